"""The VAE whose codes' covariance, over the data, is held to the identity."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from reparam.coupling import gather
from reparam.distributions import Gaussian
from reparam.model import Model, Terms, Turn
from reparam.noise import Normal, Source

Covariance = Callable[[Gaussian], Tensor]


def of_means(q: Gaussian) -> Tensor:
    """Cov[mean] over the joint batch, by which DIP-VAE I goes: (latent, latent)."""
    mean = gather(q.mean)
    centred = mean - mean.mean(0)
    return centred.t() @ centred / len(mean)


def of_codes(q: Gaussian) -> Tensor:
    """Cov[z] = Cov[mean] + E[diag std²], by which DIP-VAE II goes: (latent, latent)."""
    return of_means(q) + torch.diag(torch.exp(2 * gather(q.log_std)).mean(0))


class DIPVAE(Model):
    """x ─encoder→ q(z|x) ─eps→ z ─decoder→ p(x|z);  the batch's covariance of means, or of codes"""

    name = "dip-vae"
    paper = (
        "Kumar, Sattigeri & Balakrishnan 2018, Variational Inference of Disentangled Latent Concepts from "
        "Unlabeled Observations, arXiv:1711.00848"
    )
    couples_batch = True  # a covariance is one of the batch

    # Structure and training flow

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        latent: int,
        covariance: Covariance = of_codes,
        *,
        off_diagonal: float = 10.0,
        diagonal: float = 10.0,
    ) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.latent, self.covariance = latent, covariance
        self.off_diagonal, self.diagonal = off_diagonal, diagonal

    def turns(self) -> list[Turn]:
        penalties = {"off_diagonal": self.off_diagonal, "diagonal": self.diagonal}
        weights = {"distortion": 1.0, "rate": 1.0, **penalties}
        return [Turn(self.encoder, self.decoder, lowers=self.negative_elbo, weights=weights)]

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x).mean

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z).mean

    # Loss

    def negative_elbo(self, x: Tensor, *, eps: Tensor) -> Terms:
        """Kumar et al. 2018, eq. 5–7; C is the covariance over the batch, divided by its size.

        distortion = −log p(x|z), z = mean + std · eps
        rate = KL(q(z|x) ‖ N(0, I))
        off_diagonal = Σ C²ᵢⱼ over i ≠ j
        diagonal = Σ (Cᵢᵢ − 1)²
        """
        q: Gaussian = self.encoder(x)
        covariance = self.covariance(q)
        variances = covariance.diagonal()
        off_diagonal = covariance.square().sum() - variances.square().sum()
        return {
            "distortion": -self.decoder(q.at(eps)).log_prob(x),
            "rate": q.kl(),
            "off_diagonal": off_diagonal.expand(len(x)),
            "diagonal": (variances - 1).square().sum().expand(len(x)),
        }

    def score(self, x: Tensor, *, eps: Tensor) -> Tensor:
        """The evidence lower bound of each example, in nats: (n,)."""
        q: Gaussian = self.encoder(x)
        return self.decoder(q.at(eps)).log_prob(x) - q.kl()

    # Randomness

    def noise(self) -> dict[str, Source]:
        return {
            "eps": Normal((self.latent,)),  # posterior: z = mean + std · eps
            "z": Normal((self.latent,)),  # prior: drawn only to sample
        }

    def sample(self, *, z: Tensor) -> Tensor:
        return self.decode(z)
