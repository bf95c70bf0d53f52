"""The VAE whose codes lie on a sphere."""

import torch.nn.functional as F
from torch import Tensor, nn

from reparam import bounds
from reparam.model import Model, Terms, Turn
from reparam.noise import Around, Source, Sphere
from reparam.spheres import UniformOnSphere


class SphericalVAE(Model):
    """x ─encoder→ q(z|x) on the unit sphere ─eps→ z ─decoder→ p(x|z);  p(z) uniform on the sphere"""

    name = "spherical-vae"
    paper = "Davidson et al. 2018, Hyperspherical Variational Auto-Encoders, arXiv:1804.00891"
    surrogates = (
        "distortion",
    )  # a proposal is accepted or not: the gradient is not of that step but of the law

    # Structure and training flow

    def __init__(self, encoder: nn.Module, decoder: nn.Module, posterior: Around, prior: Sphere) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.posterior, self.prior = posterior, prior

    def turns(self) -> list[Turn]:
        return [Turn(self.encoder, self.decoder, lowers=self.negative_elbo)]

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x).mean

    def decode(self, z: Tensor) -> Tensor:
        # A line between two codes leaves the sphere: this brings it back, to the great circle.
        return self.decoder(F.normalize(z)).mean

    # Loss

    def negative_elbo(self, x: Tensor, *, eps: Tensor) -> Terms:
        """Davidson et al. 2018, eq. 1 and 6; eps (n, 1, numbers). Their sum is the negative ELBO in nats.

        distortion = −log p(x|z), z ~ q(z|x) = vMF(μ, κ) or Power Spherical
        rate = KL(q(z|x) ‖ uniform)
        """
        q = self.encoder(x)
        return {"distortion": -self.decoder(q.at(eps[:, 0])).log_prob(x), "rate": q.kl()}

    def log_weights(self, x: Tensor, *, eps: Tensor) -> Tensor:
        """log p(x|z) p(z) / q(z|x) at k draws of z; eps (n, k, numbers) → (n, k), in nats."""
        return bounds.log_weights(self.decoder, self.encoder(x), x, eps, UniformOnSphere())

    def score(self, x: Tensor, *, eps: Tensor) -> Tensor:
        """The evidence lower bound of each example, in nats: (n,)."""
        terms = self.negative_elbo(x, eps=eps)
        return -(terms["distortion"] + terms["rate"])

    # Randomness

    def noise(self) -> dict[str, Source]:
        return {
            "eps": self.posterior,  # posterior: the angle from the mean direction, and the bearing
            "z": self.prior,  # prior: drawn only to sample
        }

    def sample(self, *, z: Tensor) -> Tensor:
        return self.decode(z)
