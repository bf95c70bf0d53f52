"""The VAE whose rate is led along a rising capacity."""

import torch
from torch import Tensor, nn

from reparam.coupling import gather
from reparam.model import Model, Replace, Rule, Terms, Turn
from reparam.noise import Source


class CapacityVAE(Model):
    """x ─encoder→ q(z|x) ─eps→ z ─decoder→ p(x|z);  the mean rate is held at C, which rises"""

    name = "capacity-vae"
    paper = "Burgess et al. 2018, Understanding Disentangling in β-VAE, arXiv:1804.03599"
    couples_batch = True  # the mean rate of the batch is held, not each example's

    moves: Tensor

    # Structure and training flow

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        posterior: Source,
        prior: Source,
        *,
        capacity: float = 25.0,
        rising: int = 100_000,
        gamma: float = 1000.0,
    ) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.posterior, self.prior = posterior, prior
        self.capacity, self.rising, self.gamma = capacity, rising, gamma
        self.register_buffer("moves", torch.zeros(()))

    def turns(self) -> list[Turn]:
        weights = {"distortion": 1.0, "gap": self.gamma}
        return [Turn(self.encoder, self.decoder, lowers=self.negative_elbo, weights=weights)]

    def state(self) -> dict[str, Rule]:
        # C is inside the absolute value, where no weight can stand for it, and a loss knows no step.
        return {"moves": Replace()}

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x).mean

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z).mean

    # Loss

    def negative_elbo(self, x: Tensor, *, eps: Tensor) -> Terms:
        """Burgess et al. 2018, eq. 8; C rises linearly from 0 to `capacity` nats over `rising` moves.

        distortion = −log p(x|z), z ~ q(z|x)
        rate = KL(q(z|x) ‖ p(z)), which is logged and not lowered
        gap = |mean rate of the batch − C|
        """
        q = self.encoder(x)
        rate = q.kl()
        allowed = self.capacity * (self.moves / self.rising).clamp_max(1)
        return {
            "distortion": -self.decoder(q.at(eps)).log_prob(x),
            "rate": rate,
            "gap": (gather(rate).mean() - allowed).abs().expand(len(x)),
            "moves": self.moves + 1,
        }

    def score(self, x: Tensor, *, eps: Tensor) -> Tensor:
        """The evidence lower bound of each example, in nats: (n,)."""
        q = self.encoder(x)
        return self.decoder(q.at(eps)).log_prob(x) - q.kl()

    # Randomness

    def noise(self) -> dict[str, Source]:
        return {
            "eps": self.posterior,  # posterior: what the encoder's law is pushed from
            "prior": self.prior,  # prior: drawn only to sample
        }

    def sample(self, *, prior: Tensor) -> Tensor:
        return self.decode(prior)
