"""The VAE with a choice among categories beside its continuous code."""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reparam import bounds
from reparam.coupling import gather
from reparam.distributions import Gaussian
from reparam.model import Model, Replace, Rule, Terms, Turn
from reparam.nets.heads import GaussianCode, exact
from reparam.noise import Categorical, Gumbel, Normal, Source


class Mixed(NamedTuple):
    """q(z|x) q(c|x): a normal law over (n, latent), and the logits (n, categories) of a choice."""

    law: Gaussian
    logits: Tensor


class MixedCode(nn.Module):
    """(n, features) → the two parts of a code."""

    def __init__(self, features: int, latent: int, categories: int) -> None:
        super().__init__()
        self.law, self.logits = GaussianCode(features, latent), nn.Linear(features, categories)

    def forward(self, features: Tensor) -> Mixed:
        return Mixed(self.law(features), exact(self.logits(features)))


class JointVAE(Model):
    """x ─encoder→ q(c|x) ─gumbel→ c, nearly one-hot, and q(z|x) ─eps→ z;  (c, z) ─decoder→ p(x|c, z)"""

    name = "joint-vae"
    paper = (
        "Dupont 2018, Learning Disentangled Joint Continuous and Discrete Representations, arXiv:1804.00104"
    )
    couples_batch = True  # the mean rates of the batch are held

    moves: Tensor

    # Structure and training flow

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        latent: int,
        categories: int,
        *,
        temperature: float = 0.67,
        capacities: tuple[float, float] = (5.0, 5.0),
        rising: int = 25_000,
        gamma: float = 30.0,
    ) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.latent, self.categories, self.temperature = latent, categories, temperature
        # More than log K nats a choice among K cannot tell.
        self.capacities = capacities[0], min(capacities[1], math.log(categories))
        self.rising, self.gamma = rising, gamma
        self.register_buffer("moves", torch.zeros(()))

    def turns(self) -> list[Turn]:
        weights = {"distortion": 1.0, "gap": self.gamma, "choice_gap": self.gamma}
        return [Turn(self.encoder, self.decoder, lowers=self.relaxed, weights=weights)]

    def state(self) -> dict[str, Rule]:
        return {"moves": Replace()}  # the capacities stand inside absolute values, and a loss knows no step

    def encode(self, x: Tensor) -> Tensor:
        """The choice's probabilities and the mean of z, side by side: (n, categories + latent)."""
        q: Mixed = self.encoder(x)
        return torch.cat([q.logits.softmax(1), q.law.mean], 1)

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z).mean

    def cluster(self, x: Tensor) -> Tensor:
        """The likeliest choice of each example: (n,) int64."""
        return self.encoder(x).logits.argmax(1)

    # Loss

    def relaxed(self, x: Tensor, *, eps: Tensor, gumbel: Tensor) -> Terms:
        """Dupont 2018, eq. 7, the choice relaxed; capacities rise linearly over `rising` moves, in nats.

        distortion = −log p(x|c, z), c = softmax((log q(c|x) + gumbel) / temperature)
        rate = KL(q(z|x) ‖ N(0, I)), which is logged and not lowered
        choice_rate = KL(q(c|x) ‖ uniform), which is logged and not lowered
        gap = |mean rate of the batch − its capacity|
        choice_gap = |mean choice_rate of the batch − its capacity|
        """
        q: Mixed = self.encoder(x)
        c = ((q.logits.log_softmax(1) + gumbel) / self.temperature).softmax(1)
        rate, choice_rate = q.law.kl(), self._choice_rate(q)
        risen = (self.moves / self.rising).clamp_max(1)
        gaps = [
            (gather(each).mean() - capacity * risen).abs().expand(len(x))
            for each, capacity in zip((rate, choice_rate), self.capacities, strict=True)
        ]
        return {
            "distortion": -self.decoder(torch.cat([c, q.law.at(eps)], 1)).log_prob(x),
            "rate": rate,
            "choice_rate": choice_rate,
            "gap": gaps[0],
            "choice_gap": gaps[1],
            "moves": self.moves + 1,
        }

    def score(self, x: Tensor, *, eps: Tensor) -> Tensor:
        """The evidence lower bound of each example, the choice enumerated and not relaxed, in nats: (n,)."""
        q: Mixed = self.encoder(x)
        expected = (q.logits.softmax(1) * self._log_likelihoods(x, q.law.at(eps))).sum(1)
        return expected - q.law.kl() - self._choice_rate(q)

    def _log_likelihoods(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x|c, z) of every choice: (n, categories)."""
        every = torch.eye(self.categories, device=z.device, dtype=z.dtype).expand(len(z), -1, -1)
        codes = torch.cat([every, z[:, None].expand(-1, self.categories, -1)], 2)
        return bounds.log_likelihood(self.decoder, x, codes)

    def _choice_rate(self, q: Mixed) -> Tensor:
        log_q = q.logits.log_softmax(1)
        return (log_q.exp() * log_q).sum(1) + math.log(self.categories)

    # Randomness

    def noise(self) -> dict[str, Source]:
        return {
            "eps": Normal((self.latent,)),  # posterior: z = mean + std · eps
            "gumbel": Gumbel((self.categories,)),  # posterior: c, nearly the category of the largest sum
            "z": Normal((self.latent,)),  # prior: drawn only to sample
            "choice": Categorical((), self.categories),  # prior: drawn only to sample
        }

    def sample(self, *, z: Tensor, choice: Tensor) -> Tensor:
        return self.decode(torch.cat([F.one_hot(choice, self.categories).to(z), z], 1))
