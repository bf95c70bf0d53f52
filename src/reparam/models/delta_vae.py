"""The VAE whose posterior cannot reach its prior."""

import math

import torch
from torch import Tensor, nn

from reparam import bounds
from reparam.distributions import LOG_2PI, Gaussian
from reparam.errors import ReparamError
from reparam.model import Model, Terms, Turn
from reparam.noise import Chain, Normal, Source


class DeltaVAE(Model):
    """x ─encoder→ q(z|x), independent ─eps→ z ─decoder→ p(x|z);  p(z) a chain, so that KL(q ‖ p) ≥ δ"""

    name = "delta-vae"
    paper = "Razavi et al. 2019, Preventing Posterior Collapse with delta-VAEs, arXiv:1901.03416"

    # Structure and training flow

    def __init__(self, encoder: nn.Module, decoder: nn.Module, latent: int, *, delta: float = 2.0) -> None:
        super().__init__()
        self.encoder, self.decoder, self.latent = encoder, decoder, latent
        self.correlation = correlation(delta, latent)

    def turns(self) -> list[Turn]:
        return [Turn(self.encoder, self.decoder, lowers=self.negative_elbo)]

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x).mean

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z).mean

    # Loss

    def negative_elbo(self, x: Tensor, *, eps: Tensor) -> Terms:
        """Razavi et al. 2019, §2.1; eps (n, 1, latent). Their sum is the negative ELBO in nats.

        distortion = −log p(x|z), z = mean + std · eps
        rate = KL(q(z|x) ‖ p(z)), p(z) = N(z₁; 0, 1) Πₜ N(zₜ; α zₜ₋₁, 1 − α²)
        """
        q: Gaussian = self.encoder(x)
        return {
            "distortion": -self.decoder(q.at(eps[:, 0])).log_prob(x),
            "rate": kl_to_chain(q, self.correlation),
        }

    def log_weights(self, x: Tensor, *, eps: Tensor) -> Tensor:
        """log p(x|z) p(z) / q(z|x) at k draws of z; eps (n, k, latent) → (n, k), in nats."""
        q: Gaussian = self.encoder(x)
        z = bounds.draw(q, eps)
        log_q = -0.5 * (eps.square() + LOG_2PI).sum(2) - q.log_std.sum(1, keepdim=True)
        return self.log_joint(x, z) - log_q

    def log_joint(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x|z) p(z); z (n, k, latent) → (n, k), in nats."""
        return bounds.log_likelihood(self.decoder, x, z) + log_chain(z, self.correlation)

    def score(self, x: Tensor, *, eps: Tensor) -> Tensor:
        """The evidence lower bound of each example, in nats: (n,)."""
        terms = self.negative_elbo(x, eps=eps)
        return -(terms["distortion"] + terms["rate"])

    # Randomness

    def noise(self) -> dict[str, Source]:
        return {
            "eps": Normal((1, self.latent)),  # posterior: z = mean + std · eps
            "z": Chain((self.latent,), self.correlation),  # prior: drawn only to sample
        }

    def sample(self, *, z: Tensor) -> Tensor:
        return self.decode(z)


def log_chain(z: Tensor, alpha: float) -> Tensor:
    """log p(z) of the stationary chain of correlation α along the last dimension: (…, T) → (…), in nats."""
    fresh, steps = 1 - alpha**2, z[..., 1:] - alpha * z[..., :-1]
    square = z[..., 0].square() + steps.square().sum(-1) / fresh
    return -0.5 * (square + z.shape[-1] * LOG_2PI + (z.shape[-1] - 1) * math.log(fresh))


def kl_to_chain(q: Gaussian, alpha: float) -> Tensor:
    """KL of independent normals (n, T) to the chain of correlation α, in nats: (n,)."""
    variance, fresh = torch.exp(2 * q.log_std), 1 - alpha**2
    # A step of independent normals has the variance of both its ends.
    spread = variance[:, 0] + (variance[:, 1:] + alpha**2 * variance[:, :-1]).sum(1) / fresh
    negative_entropy = -q.log_std.sum(1) - 0.5 * q.mean.shape[1] * (1 + LOG_2PI)
    return negative_entropy + 0.5 * spread - log_chain(q.mean, alpha)


def committed(alpha: float, length: int) -> float:
    """δ: the least KL, in nats, of independent normals to a chain of `length` steps and correlation α."""
    return 0.5 * ((length - 2) * math.log1p(alpha**2) - math.log1p(-(alpha**2)))


def correlation(delta: float, length: int) -> float:
    """The α in (0, 1) of the chain to which the least KL is δ nats, by bisection.

    Raises ReparamError for fewer than 2 steps, and a δ that is not above 0.
    """
    if length < 2 or not (math.isfinite(delta) and delta > 0):
        raise ReparamError(
            f"delta-vae: delta={delta:g} nats with latent={length}; give delta > 0, and a chain of 2 or more."
        )
    low, high = 0.0, 1.0 - 1e-12
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if committed(middle, length) < delta else (low, middle)
    return low
