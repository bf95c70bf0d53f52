"""The VAE whose codes are entries of a codebook."""

import math

import torch.nn.functional as F
from torch import Tensor, nn

from reparam.distributions import Distribution, Quantised, total
from reparam.losses import straight_through
from reparam.model import Model, Rule, Terms, Turn
from reparam.nets.codebook import Codebook
from reparam.noise import Categorical, SharedUniform, Source


class VQVAE(Model):
    """x ─encoder→ z ─codebook→ e, the nearest entries ─decoder→ p(x|e)"""

    name = "vqvae"
    paper = (
        "van den Oord, Vinyals & Kavukcuoglu 2017, Neural Discrete Representation Learning, arXiv:1711.00937"
    )
    takes = ("image",)
    surrogates = ("distortion", "codebook", "commitment")  # straight-through, and stopped gradients

    # Structure and training flow

    def __init__(
        self,
        encoder: nn.Module,
        codebook: Codebook,
        decoder: nn.Module,
        grid: tuple[int, int],
        *,
        beta: float = 0.25,
        weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.encoder, self.codebook, self.decoder = encoder, codebook, decoder
        self.grid, self.size, self.beta, self.weight = grid, codebook.size, beta, weight

    def turns(self) -> list[Turn]:
        weights = {"distortion": self.weight, "codebook": 1.0, "commitment": self.beta}
        networks = (self.encoder, self.codebook, self.decoder)
        players = (each for each in networks if any(True for _ in each.parameters()))  # averages do not move
        return [Turn(*players, lowers=self.negative_elbo, weights=weights)]

    def state(self) -> dict[str, Rule]:
        return {f"codebook.{name}": rule for name, rule in self.codebook.state().items()}

    def quantise(self, x: Tensor) -> Quantised:
        """The entries that stand for x, and their numbers."""
        return self.codebook(self.encoder(x))

    def indices(self, x: Tensor) -> Tensor:
        """The discrete code of x: (n, N) of `size` numbers."""
        return self.quantise(x).indices

    def of_indices(self, indices: Tensor) -> Tensor:
        """The data that a discrete code (n, N) stands for."""
        vectors = F.embedding(indices, self.codebook.entries())
        return self.decoder(vectors.transpose(1, 2).unflatten(2, self.grid)).mean

    def encode(self, x: Tensor) -> Tensor:
        return self.quantise(x).vectors

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(self.codebook(z).vectors).mean

    # Loss

    def negative_elbo(self, x: Tensor, *, picks: Tensor) -> Terms:
        """van den Oord et al. 2017, eq. 3; distortion + rate is the negative ELBO under a uniform prior.

        distortion = −log p(x|e), whose gradient at e is handed to z
        codebook = mean over the N positions of ‖sg(z) − e‖², which moves entries that are parameters
        commitment = mean over the N positions of ‖z − sg(e)‖²
        rate = N log K, a constant
        """
        z = self.encoder(x)
        e, indices = self.codebook(z)
        proposals = self.codebook.proposals(z, indices, picks)
        return {
            "distortion": -self.decoder(straight_through(e, z)).log_prob(x),
            "codebook": self._gap(z.detach(), e),
            "commitment": self._gap(z, e.detach()),
            "rate": self._rate(x),
            **{f"codebook.{name}": proposal for name, proposal in proposals.items()},
        }

    def likelihood(self, x: Tensor) -> Distribution:
        """p(·|e) at the entries that stand for x."""
        return self.decoder(self.quantise(x).vectors)

    def elbo(self, x: Tensor) -> Tensor:
        """The evidence lower bound of each example under a uniform prior, in nats: (n,)."""
        return self.likelihood(x).log_prob(x) - self._rate(x)

    def score(self, x: Tensor) -> Tensor:
        """The evidence lower bound: (n,)."""
        return self.elbo(x)

    def _gap(self, z: Tensor, e: Tensor) -> Tensor:
        return total((z - e).square()) / math.prod(self.grid)

    def _rate(self, x: Tensor) -> Tensor:
        return x.new_full((len(x),), math.prod(self.grid) * math.log(self.size))

    # Randomness

    def noise(self) -> dict[str, Source]:
        return {
            "picks": SharedUniform((self.size,)),  # where k-means starts, and where dead entries are put
            "codes": Categorical((math.prod(self.grid),), self.size),  # the uniform prior, for samples
        }

    def sample(self, *, codes: Tensor) -> Tensor:
        return self.of_indices(codes)
