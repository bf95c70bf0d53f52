"""The introspective VAE: its encoder is the discriminator, its KL the energy."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reparam.coupling import gather
from reparam.distributions import Gaussian
from reparam.losses import squared_error
from reparam.model import Model, Terms, Turn
from reparam.noise import Normal, Source


class IntroVAE(Model):
    """x ─encoder→ q(z|x) ─eps→ z ─decoder→ x̂;  z ─decoder→ x̃;  encoder: low KL for x, high for x̂ and x̃"""

    name = "intro-vae"
    paper = "Huang et al. 2018, IntroVAE: Introspective Variational Autoencoders, arXiv:1807.06358"
    couples_batch = True  # the hinges are of the batch's mean KL
    surrogates = ("reconstructed",)  # the encoder is judged on x̂ as it is, not on how its code makes it

    # Structure and training flow

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        latent: int,
        *,
        margin: float = 20.0,
        fidelity: float = 1.0,
        adversarial: float = 0.25,
    ) -> None:
        super().__init__()
        self.encoder, self.decoder, self.latent = encoder, decoder, latent
        self.margin, self.fidelity, self.adversarial = margin, fidelity, adversarial

    def turns(self) -> list[Turn]:
        inspection = {"distortion": self.fidelity, "rate": 1.0}
        inspection |= {"reconstructed": self.adversarial, "generated": self.adversarial}
        creation = {"distortion": self.fidelity}
        creation |= {"reconstructed_rate": self.adversarial, "generated_rate": self.adversarial}
        return [
            Turn(self.encoder, lowers=self.inspection, weights=inspection),
            # Its own forward pass, after the encoder has moved; the authors' reuse of the first one's graph
            # needs weights that are no longer there.
            Turn(self.decoder, lowers=self.creation, weights=creation),
        ]

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x).mean

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    # Loss

    def inspection(self, x: Tensor, *, eps: Tensor, z: Tensor) -> Terms:
        """Huang et al. 2018, eq. 11: the encoder's side. The hinge is of the batch's mean, as in their code.

        distortion = ½ ‖x − x̂‖²
        rate = KL(q(z|x) ‖ N(0, I))
        reconstructed = max(0, margin − mean KL(q(z|x̂) ‖ N(0, I)))
        generated = max(0, margin − mean KL(q(z|x̃) ‖ N(0, I)))
        """
        q: Gaussian = self.encoder(x)
        reconstruction = self.decoder(q.at(eps))
        with torch.no_grad():
            drawn = self.decoder(z)
        return {
            "distortion": 0.5 * squared_error(x, reconstruction),
            "rate": q.kl(),
            "reconstructed": self._hinge(self.encoder(reconstruction.detach())),
            "generated": self._hinge(self.encoder(drawn)),
        }

    def creation(self, x: Tensor, *, eps: Tensor, z: Tensor) -> Terms:
        """Huang et al. 2018, eq. 12: the decoder's side.

        distortion = ½ ‖x − x̂‖²
        reconstructed_rate = KL(q(z|x̂) ‖ N(0, I))
        generated_rate = KL(q(z|x̃) ‖ N(0, I))
        """
        reconstruction = self.decoder(self.encoder(x).at(eps))
        return {
            "distortion": 0.5 * squared_error(x, reconstruction),
            "reconstructed_rate": self.encoder(reconstruction).kl(),
            "generated_rate": self.encoder(self.decoder(z)).kl(),
        }

    def _hinge(self, q: Gaussian) -> Tensor:
        rate = q.kl()
        return F.relu(self.margin - gather(rate).mean()).expand(len(rate))

    def score(self, x: Tensor) -> Tensor:
        """Minus KL(q(z|x) ‖ N(0, I)), by which the encoder tells data from fakes, in nats: (n,)."""
        return -self.encoder(x).kl()

    # Randomness

    def noise(self) -> dict[str, Source]:
        return {
            "eps": Normal((self.latent,)),  # posterior: z = mean + std · eps, the same in both turns
            "z": Normal((self.latent,)),  # prior: the generated fakes, the same in both turns, and samples
        }

    def sample(self, *, z: Tensor) -> Tensor:
        return self.decode(z)
