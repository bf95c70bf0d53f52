"""The VAE whose total correlation a discriminator estimates."""

import torch
from torch import Tensor, nn

from reparam.coupling import gather, mine
from reparam.distributions import Gaussian
from reparam.losses import NON_SATURATING
from reparam.model import Model, Terms, Turn
from reparam.noise import Normal, Source, Uniform


class FactorVAE(Model):
    """x ─encoder→ q(z|x) ─eps→ z ─decoder→ p(x|z);  discriminator: z, or codes shuffled by dimension?"""

    name = "factor-vae"
    paper = "Kim & Mnih 2018, Disentangling by Factorising, arXiv:1802.05983"
    couples_batch = True  # codes are shuffled over the batch

    # Structure and training flow

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        discriminator: nn.Module,
        latent: int,
        *,
        gamma: float = 10.0,
    ) -> None:
        super().__init__()
        self.encoder, self.decoder, self.discriminator = encoder, decoder, discriminator
        self.latent, self.gamma = latent, gamma

    def turns(self) -> list[Turn]:
        weights = {"distortion": 1.0, "rate": 1.0, "correlation": self.gamma}
        return [
            Turn(self.encoder, self.decoder, lowers=self.negative_elbo, weights=weights),
            Turn(self.discriminator, lowers=self.discrimination),
        ]

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x).mean

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z).mean

    # Loss

    def negative_elbo(self, x: Tensor, *, eps: Tensor) -> Terms:
        """Kim & Mnih 2018, eq. 2 and 3.

        distortion = −log p(x|z), z = mean + std · eps
        rate = KL(q(z|x) ‖ N(0, I))
        correlation = log D(z) − log(1 − D(z)), whose mean estimates the total correlation
        """
        q: Gaussian = self.encoder(x)
        z = q.at(eps)
        return {
            "distortion": -self.decoder(z).log_prob(x),
            "rate": q.kl(),
            "correlation": self.discriminator(z),
        }

    def discrimination(self, x: Tensor, *, eps: Tensor, eps_shuffled: Tensor, shuffle: Tensor) -> Terms:
        """Kim & Mnih 2018, algorithm 2, with the logarithms' sum in place of their mean.

        joint = −log D(z)
        shuffled = −log(1 − D(z')), z' a second draw, each dimension permuted over the batch

        The paper shuffles a second batch. Each term is a mean of its own, so that other draws of the same
        examples bias neither.
        """
        with torch.no_grad():
            q: Gaussian = self.encoder(x)
            z = q.at(eps)
            order = gather(shuffle).argsort(0)  # of uniforms: a permutation a dimension
            shuffled = mine(gather(q.at(eps_shuffled)).gather(0, order))
        return {
            "joint": NON_SATURATING.real(self.discriminator(z)),
            "shuffled": NON_SATURATING.fake(self.discriminator(shuffled)),
        }

    def score(self, x: Tensor, *, eps: Tensor) -> Tensor:
        """The evidence lower bound of each example, in nats: (n,)."""
        q: Gaussian = self.encoder(x)
        return self.decoder(q.at(eps)).log_prob(x) - q.kl()

    # Randomness

    def noise(self) -> dict[str, Source]:
        return {
            "eps": Normal((self.latent,)),  # posterior: z = mean + std · eps
            "eps_shuffled": Normal((self.latent,)),  # of the codes that are shuffled
            "shuffle": Uniform((self.latent,)),  # their order in the batch, dimension by dimension
            "z": Normal((self.latent,)),  # prior: drawn only to sample
        }

    def sample(self, *, z: Tensor) -> Tensor:
        return self.decode(z)
