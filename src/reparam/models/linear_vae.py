"""The linear VAE, whose bound is a closed form: where posterior collapse can be understood exactly."""

import torch
from torch import Tensor, nn

from reparam import bounds
from reparam.distributions import Gaussian
from reparam.model import Model, Terms, Turn
from reparam.models.ppca import PPCA, affine
from reparam.noise import Normal, Source


class LinearVAE(Model):
    """x ─encoder→ q(z|x) = N(Vx + c, D), D diagonal;  z ─decoder→ p(x|z) = N(Wz + µ, σ²I)"""

    name = "linear-vae"
    paper = (
        "Lucas et al. 2019, Don't Blame the ELBO! A Linear VAE Perspective on Posterior Collapse, "
        "arXiv:1911.02469"
    )

    # Structure and training flow

    def __init__(self, encoder: nn.Module, decoder: nn.Module, latent: int) -> None:
        super().__init__()
        self.encoder, self.decoder, self.latent = encoder, decoder, latent

    def turns(self) -> list[Turn]:
        return [Turn(self.encoder, self.decoder, lowers=self.negative_elbo)]

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x).mean

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z).mean

    def to_ppca(self) -> PPCA:
        """Probabilistic PCA with this decoder (the same module): its likelihood is what the bound bounds."""
        return PPCA(self.decoder, self.latent)

    # Loss

    def negative_elbo(self, x: Tensor) -> Terms:
        """Lucas et al. 2019, the analytic bound: the expectation over q(z|x), not a draw of it.

        distortion = (‖x − W mean − µ‖² + Σⱼ stdⱼ² ‖wⱼ‖²) / 2σ² + ½ d log 2πσ²
        rate = KL(q(z|x) ‖ N(0, I))
        """
        q: Gaussian = self.encoder(x)
        w, _, log_std = affine(self.decoder, self.latent, x)
        spread = (torch.exp(2 * q.log_std) * w.square().sum(1)).sum(1)
        distortion = 0.5 * spread * torch.exp(-2 * log_std) - self.decoder(q.mean).log_prob(x)
        return {"distortion": distortion, "rate": q.kl()}

    def log_weights(self, x: Tensor, *, eps: Tensor) -> Tensor:
        """log p(x|z) p(z) / q(z|x) at k draws of z; eps (n, k, latent) → (n, k), in nats."""
        return bounds.log_weights(self.decoder, self.encoder(x), x, eps)

    def log_joint(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x|z) p(z); z (n, k, latent) → (n, k), in nats."""
        return bounds.log_joint(self.decoder, x, z)

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x), exact, in nats: (n,)."""
        return self.to_ppca().log_prob(x)

    def score(self, x: Tensor) -> Tensor:
        """The evidence lower bound of each example, exact, in nats: (n,)."""
        terms = self.negative_elbo(x)
        return -(terms["distortion"] + terms["rate"])

    # Randomness

    def noise(self) -> dict[str, Source]:
        return {
            "eps": Normal((1, self.latent)),  # posterior: drawn only for importance weights
            "z": Normal((self.latent,)),  # prior: drawn only to sample
        }

    def sample(self, *, z: Tensor) -> Tensor:
        return self.decode(z)
