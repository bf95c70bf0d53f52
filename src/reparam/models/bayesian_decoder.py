"""The Bayesian decoder: weights that are sampled, and predictions that are their mean."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from reparam import bounds
from reparam.distributions import Distribution
from reparam.errors import ReparamError
from reparam.model import Model, Replace, Rule, Terms, Turn
from reparam.nets.weighed import NormalWeights
from reparam.noise import Categorical, Source, Uniform


class BayesianDecoder(Model):
    """z, one of M codes, ─decoder of weights θ→ p(x|z, θ);  θ ~ p(θ|data), of which some are kept"""

    name = "bayesian-decoder"
    paper = "MacKay 1995, Bayesian Neural Networks and Density Networks, Nucl. Instrum. Methods A 354(1)"

    codes: Tensor
    age: Tensor

    # Structure and training flow

    def __init__(
        self, decoder: NormalWeights, codes: Tensor, examples: int, *, keep: int = 50, every: int = 100
    ) -> None:
        super().__init__()
        if keep < 2 or every < 1:
            raise ReparamError(f"keep={keep}, every={every}: keep 2 weights or more, of every step or fewer.")
        self.decoder, self.examples, self.every = decoder, examples, every
        self.register_buffer("codes", codes)
        # Before any data, the posterior is the prior.
        self.kept = nn.ModuleList(decoder.from_prior() for _ in range(keep))
        self.register_buffer("age", torch.zeros((), dtype=torch.int64))

    def turns(self) -> list[Turn]:
        # N times what is lowered is −log p(θ, data): by gradients the likeliest weights are found, by
        # Metropolis–Hastings p(θ|data) is sampled.
        weights = {"surprise": 1.0, "prior": 1 / self.examples}
        return [Turn(self.decoder, lowers=self.negative_log_joint, weights=weights)]

    def state(self) -> Mapping[str, Rule]:
        return {"age": Replace(), **{f"kept.{name}": Replace() for name, _ in self.kept.named_buffers()}}

    def encode(self, x: Tensor) -> Tensor:
        """The mean of p(z|x, data): (n, latent)."""
        return self._joint(x).logsumexp(0).softmax(1) @ self.codes

    def decode(self, z: Tensor) -> Tensor:
        """The mean of x given z, over the weights that are kept."""
        return self.means(z).mean(0)

    def spread(self, z: Tensor) -> Tensor:
        """How far the weights that are kept disagree: the standard deviation of their means, (n, *shape)."""
        return self.means(z).std(0)

    def means(self, z: Tensor) -> Tensor:
        """The mean of x given z by each of the weights that are kept: (kept, n, *shape)."""
        return torch.stack([network(z).mean for network in self._known()])

    # Loss

    def negative_log_joint(self, x: Tensor) -> Terms:
        """MacKay 1995, for each example; the integral over z is a sum over the M codes.

        surprise = −log (1/M) Σ_z p(x|z, θ)
        prior = −log N(θ / std; 0, I)
        """
        law, log_prior = self.decoder(self.codes)
        terms = {"surprise": -_joint(law, x).logsumexp(1), "prior": -log_prior.expand(len(x))}
        return terms | self._aged()

    def log_prob(self, x: Tensor) -> Tensor:
        """log of the mean of p(x|θ) over the weights that are kept, in nats: (n,)."""
        each = self.log_prob_of_each(x)
        return each.logsumexp(0) - math.log(len(each))

    def log_prob_of_each(self, x: Tensor) -> Tensor:
        """log p(x|θ) by each of the weights that are kept, in nats: (kept, n)."""
        return self._joint(x).logsumexp(2)

    def score(self, x: Tensor) -> Tensor:
        """log p(x|data), in nats: (n,)."""
        return self.log_prob(x)

    def likelihood(self, x: Tensor) -> Distribution:
        """p(·|z, θ) at the codes of x, by the weights kept first."""
        return self.kept[0](self.encode(x))

    def _aged(self) -> Terms:
        """At every so many steps the present weights take the place of those kept longest."""
        found: Terms = {"age": self.age + 1}
        if int(self.age) % self.every == 0:
            place = int(self.age) // self.every % len(self.kept)
            for name, weight in self.decoder.weights().items():
                found[f"kept.{place}.{name}"] = weight.detach()
        return found

    def _known(self) -> list[nn.Module]:
        """The networks of the weights that are kept; those of the prior's draws while there are none."""
        filled = min(-(-int(self.age) // self.every), len(self.kept))
        return list(self.kept[: filled or len(self.kept)])

    def _joint(self, x: Tensor) -> Tensor:
        """log p(x, z|θ) of all kept θ and all codes: (kept, n, M)."""
        return torch.stack([_joint(network(self.codes), x) for network in self._known()])

    # Randomness

    def noise(self) -> dict[str, Source]:
        return {
            "z": Categorical((), len(self.codes)),  # which code: drawn only to sample
            "theta": Uniform(),  # which of the kept weights: drawn only to sample
        }

    def sample(self, *, z: Tensor, theta: Tensor) -> Tensor:
        known = self._known()
        which, codes = (theta * len(known)).long(), self.codes[z]
        made = known[0](codes).mean
        for k, network in enumerate(known[1:], 1):
            chosen = (which == k).view(-1, *[1] * (made.dim() - 1))
            made = torch.where(chosen, network(codes).mean, made)
        return made


def _joint(law: Distribution, x: Tensor) -> Tensor:
    """log p(x, z) of every example and every code: (n, M)."""
    return bounds.of_every_code(law, x) - math.log(len(law.mean))
