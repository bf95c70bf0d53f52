"""The VAE whose Gaussian decoder always has the best noise level."""

import math

import torch
from torch import Tensor, nn

from reparam.coupling import gather
from reparam.distributions import Gaussian
from reparam.losses import squared_error
from reparam.model import Average, Model, Rule, Terms, Turn
from reparam.noise import Normal, Source


class SigmaVAE(Model):
    """x ─encoder→ q(z|x) ─eps→ z ─decoder→ x̂;  p(x|z) = N(x̂, σ²), σ² = the batch's mean squared error"""

    name = "sigma-vae"
    paper = "Rybkin, Daniilidis & Levine 2021, Simple and Effective VAE Training, arXiv:2006.13202"
    couples_batch = True  # σ² is a mean over the batch

    variance: Tensor

    # Structure and training flow

    def __init__(self, encoder: nn.Module, decoder: nn.Module, latent: int, *, beta: float = 1.0) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.latent, self.beta = latent, beta
        self.register_buffer("variance", torch.ones(()))

    def turns(self) -> list[Turn]:
        weights = {"distortion": 1.0, "rate": self.beta}
        return [Turn(self.encoder, self.decoder, lowers=self.negative_elbo, weights=weights)]

    def state(self) -> dict[str, Rule]:
        return {"variance": Average(0.99)}  # what stands for σ² where there is no training batch

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x).mean

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    # Loss

    def negative_elbo(self, x: Tensor, *, eps: Tensor) -> Terms:
        """Rybkin et al. 2021, eq. 4–5, with σ² (not σ, as printed there) the mean squared error.

        distortion = ‖x − mean‖² / 2σ² + ½ D log 2πσ²
        rate = KL(q(z|x) ‖ N(0, I))
        """
        q: Gaussian = self.encoder(x)
        error = squared_error(x, self.decoder(q.at(eps)))
        size = x[0].numel()
        # log σ ≥ −6: a batch that is reproduced exactly must not make the density infinite.
        variance = (gather(error).mean() / size).clamp_min(math.exp(-12))
        return {
            "distortion": _negative_log_normal(error, variance, size),
            "rate": q.kl(),
            "variance": variance.detach().expand(len(x)),
        }

    def score(self, x: Tensor, *, eps: Tensor) -> Tensor:
        """The evidence lower bound of each example at the σ² averaged over training, in nats: (n,)."""
        q: Gaussian = self.encoder(x)
        error = squared_error(x, self.decoder(q.at(eps)))
        return -_negative_log_normal(error, self.variance, x[0].numel()) - q.kl()

    # Randomness

    def noise(self) -> dict[str, Source]:
        return {
            "eps": Normal((self.latent,)),  # posterior: z = mean + std · eps
            "z": Normal((self.latent,)),  # prior: drawn only to sample
        }

    def sample(self, *, z: Tensor) -> Tensor:
        return self.decode(z)


def _negative_log_normal(error: Tensor, variance: Tensor, size: int) -> Tensor:
    return 0.5 * (error / variance + size * torch.log(2 * math.pi * variance))
