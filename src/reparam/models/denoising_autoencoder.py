"""The denoising autoencoder."""

from torch import Tensor, nn

from reparam.losses import squared_error
from reparam.model import Model, Terms, Turn
from reparam.noise import Normal, Source


class DenoisingAutoencoder(Model):
    """x ─corruption→ x + std · noise ─encoder→ code ─decoder→ x̂"""

    name = "denoising-autoencoder"
    paper = "Vincent et al. 2010, Stacked Denoising Autoencoders, JMLR 11"

    # Structure and training flow

    def __init__(
        self, encoder: nn.Module, decoder: nn.Module, latent: int, shape: tuple[int, ...], *, std: float = 0.3
    ) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.latent, self.shape, self.std = latent, shape, std

    def turns(self) -> list[Turn]:
        return [Turn(self.encoder, self.decoder, lowers=self.denoising)]

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x).mean

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    # Loss

    def denoising(self, x: Tensor, *, corruption: Tensor) -> Terms:
        """Squared error against the clean example (Vincent et al. 2010, §2.3).

        error = ‖x − decoder(encoder(x + std · corruption))‖²
        """
        return {"error": squared_error(x, self.decode(self.encode(x + self.std * corruption)))}

    def score(self, x: Tensor) -> Tensor:
        """Minus the squared error of the clean example's reconstruction: (n,)."""
        return -squared_error(x, self.decode(self.encode(x)))

    # Randomness

    def noise(self) -> dict[str, Source]:
        return {
            "corruption": Normal(self.shape),  # added to the encoder's input, in training only
            "z": Normal((self.latent,)),  # no law of the codes is learned: see the autoencoder
        }

    def sample(self, *, z: Tensor) -> Tensor:
        return self.decode(z)
