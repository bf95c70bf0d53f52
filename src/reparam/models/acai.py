"""The adversarially constrained autoencoder, whose interpolations a critic cannot tell from data."""

import torch
from torch import Tensor, nn

from reparam.coupling import reversed_rows
from reparam.losses import squared_error
from reparam.model import Model, Terms, Turn
from reparam.noise import Normal, Source, Uniform


class ACAI(Model):
    """x ─encoder→ z ─decoder→ x̂;  α z + (1 − α) z' ─decoder→ x̂_α;  critic: which α made this?"""

    name = "acai"
    paper = (
        "Berthelot et al. 2019, Understanding and Improving Interpolation in Autoencoders via an "
        "Adversarial Regularizer, arXiv:1807.07543"
    )
    couples_batch = True  # each example is mixed with the one at its place from the batch's other end

    # Structure and training flow

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        critic: nn.Module,
        latent: int,
        dimensions: int,
        *,
        penalty: float = 0.5,
        leak: float = 0.2,
    ) -> None:
        super().__init__()
        self.encoder, self.decoder, self.critic = encoder, decoder, critic
        self.latent, self.dimensions = latent, dimensions
        self.penalty, self.leak = penalty, leak

    def turns(self) -> list[Turn]:
        # The paper's error is a mean over the data's dimensions.
        weights = {"error": 1 / self.dimensions, "realism": self.penalty}
        return [
            Turn(self.encoder, self.decoder, lowers=self.reconstruction, weights=weights),
            Turn(self.critic, lowers=self.criticism),
        ]

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x).mean

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    # Loss

    def reconstruction(self, x: Tensor, *, alpha: Tensor) -> Terms:
        """Berthelot et al. 2019, eq. 2: the autoencoder wants its mixtures to be taken for α = 0.

        error = ‖x − x̂‖²
        realism = critic(x̂_α)²
        """
        code = self.encode(x)
        return {
            "error": squared_error(x, self.decoder(code)),
            "realism": self.critic(self._mixed(code, alpha)).square(),
        }

    def criticism(self, x: Tensor, *, alpha: Tensor) -> Terms:
        """Berthelot et al. 2019, eq. 1: the critic reads α off a mixture, and 0 off data and what is near.

        mixed = (critic(x̂_α) − α)²
        unmixed = critic(leak · x + (1 − leak) · x̂)²
        """
        with torch.no_grad():
            code = self.encode(x)
            near = torch.lerp(self.decoder(code), x, self.leak)
            mixed = self._mixed(code, alpha)
        return {"mixed": (self.critic(mixed) - alpha).square(), "unmixed": self.critic(near).square()}

    def _mixed(self, code: Tensor, alpha: Tensor) -> Tensor:
        return self.decoder(torch.lerp(reversed_rows(code), code, alpha[:, None]))

    def score(self, x: Tensor) -> Tensor:
        """Minus the squared error of the reconstruction: (n,). Not a likelihood."""
        return -squared_error(x, self.decode(self.encode(x)))

    # Randomness

    def noise(self) -> dict[str, Source]:
        return {
            "alpha": Uniform((), 0.0, 0.5),  # one per example: the share of itself in its mixture
            "z": Normal((self.latent,)),  # no law of the codes is learned: see the autoencoder
        }

    def sample(self, *, z: Tensor) -> Tensor:
        return self.decode(z)
