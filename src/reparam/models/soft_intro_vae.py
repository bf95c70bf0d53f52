"""The introspective VAE with a soft exponential in the place of the hinge."""

import torch
from torch import Tensor, nn

from reparam.distributions import Gaussian
from reparam.losses import squared_error
from reparam.model import Model, Terms, Turn
from reparam.noise import Normal, Source


class SoftIntroVAE(Model):
    """x ─encoder→ q(z|x) ─eps→ z ─decoder→ x̂;  z ─decoder→ x̃;  encoder: high ELBO for x, low for x̂ and x̃"""

    name = "soft-intro-vae"
    paper = (
        "Daniel & Tamar 2021, Soft-IntroVAE: Analyzing and Improving the Introspective VAE, arXiv:2012.13253"
    )
    surrogates = ("reconstructed", "reconstructed_again", "generated_again")  # fakes are held as they are

    # Structure and training flow

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        latent: int,
        *,
        fidelity: float = 1.0,
        rate: float = 1.0,
        repulsion: float = 256.0,
        scale: float = 1.0,
        renewal: float = 1e-8,
    ) -> None:
        super().__init__()
        self.encoder, self.decoder, self.latent = encoder, decoder, latent
        self.fidelity, self.rate, self.repulsion = fidelity, rate, repulsion
        self.scale, self.renewal = scale, renewal

    def turns(self) -> list[Turn]:
        s = self.scale
        inspection = {"distortion": s * self.fidelity, "rate": s * self.rate}
        inspection |= {"reconstructed": 0.25, "generated": 0.25}
        creation = {"distortion": s * self.fidelity}
        creation |= dict.fromkeys(("reconstructed_rate", "generated_rate"), 0.5 * s * self.rate)
        creation |= dict.fromkeys(("reconstructed_again", "generated_again"), 0.5 * s * self.renewal)
        return [
            Turn(self.encoder, lowers=self.inspection, weights=inspection),
            Turn(self.decoder, lowers=self.creation, weights=creation),
        ]

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x).mean

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    # Loss

    def inspection(self, x: Tensor, *, eps: Tensor, z: Tensor, eps_hat: Tensor, eps_tilde: Tensor) -> Terms:
        """Daniel & Tamar 2021, eq. 5 with α = 2: the encoder's side.

        distortion = ‖x − x̂‖²
        rate = KL(q(z|x) ‖ N(0, I))
        reconstructed = exp(−2 s (fidelity · ‖x̂ − decoder(z')‖² + repulsion · KL(q(z'|x̂) ‖ N(0, I))))
        generated = exp(−2 s (fidelity · ‖x̃ − decoder(z'')‖² + repulsion · KL(q(z''|x̃) ‖ N(0, I))))

        s, one over the number of data dimensions, is what keeps the exponentials away from 0.
        """
        q: Gaussian = self.encoder(x)
        reconstruction = self.decoder(q.at(eps))
        with torch.no_grad():
            drawn = self.decoder(z)
        return {
            "distortion": squared_error(x, reconstruction),
            "rate": q.kl(),
            "reconstructed": self._exponential(reconstruction.detach(), eps_hat),
            "generated": self._exponential(drawn, eps_tilde),
        }

    def creation(self, x: Tensor, *, eps: Tensor, z: Tensor, eps_hat: Tensor, eps_tilde: Tensor) -> Terms:
        """Daniel & Tamar 2021, eq. 5: the decoder's side, whose ELBO of its own fakes is nearly all KL.

        distortion = ‖x − x̂‖²
        reconstructed_rate = KL(q(z'|x̂) ‖ N(0, I))
        generated_rate = KL(q(z''|x̃) ‖ N(0, I))
        reconstructed_again = ‖x̂ − decoder(z')‖², x̂ and z' held fixed
        generated_again = ‖x̃ − decoder(z'')‖², x̃ and z'' held fixed
        """
        with torch.no_grad():
            code = self.encoder(x).at(eps)
        reconstruction, drawn = self.decoder(code), self.decoder(z)
        q_hat, q_tilde = self.encoder(reconstruction), self.encoder(drawn)
        return {
            "distortion": squared_error(x, reconstruction),
            "reconstructed_rate": q_hat.kl(),
            "generated_rate": q_tilde.kl(),
            "reconstructed_again": squared_error(
                reconstruction.detach(), self.decoder(q_hat.at(eps_hat).detach())
            ),
            "generated_again": squared_error(drawn.detach(), self.decoder(q_tilde.at(eps_tilde).detach())),
        }

    def _exponential(self, fake: Tensor, eps: Tensor) -> Tensor:
        q: Gaussian = self.encoder(fake)
        error = squared_error(fake, self.decoder(q.at(eps)))
        return torch.exp(-2 * self.scale * (self.fidelity * error + self.repulsion * q.kl()))

    def score(self, x: Tensor, *, eps: Tensor) -> Tensor:
        """Minus (fidelity · distortion + rate · KL), the bound by which it tells data from fakes: (n,)."""
        q: Gaussian = self.encoder(x)
        return -self.fidelity * squared_error(x, self.decoder(q.at(eps))) - self.rate * q.kl()

    # Randomness

    def noise(self) -> dict[str, Source]:
        return {
            "eps": Normal((self.latent,)),  # posterior of x, the same in both turns
            "z": Normal((self.latent,)),  # prior: the generated fakes, the same in both turns, and samples
            "eps_hat": Normal((self.latent,)),  # posterior of the reconstruction x̂
            "eps_tilde": Normal((self.latent,)),  # posterior of the generated x̃
        }

    def sample(self, *, z: Tensor) -> Tensor:
        return self.decode(z)
