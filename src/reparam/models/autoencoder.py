"""The autoencoder: the baseline everything is held against."""

from torch import Tensor, nn

from reparam.losses import squared_error
from reparam.model import Model, Terms, Turn
from reparam.noise import Normal, Source


class Autoencoder(Model):
    """x ─encoder→ code ─decoder→ x̂"""

    name = "autoencoder"
    paper = (
        "Hinton & Salakhutdinov 2006, Reducing the Dimensionality of Data with Neural Networks, Science 313"
    )

    # Structure and training flow

    def __init__(self, encoder: nn.Module, decoder: nn.Module, latent: int) -> None:
        super().__init__()
        self.encoder, self.decoder, self.latent = encoder, decoder, latent

    def turns(self) -> list[Turn]:
        return [Turn(self.encoder, self.decoder, lowers=self.reconstruction)]

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x).mean

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    # Loss

    def reconstruction(self, x: Tensor) -> Terms:
        """Squared error, summed over dimensions.

        error = ‖x − decoder(encoder(x))‖²
        """
        return {"error": squared_error(x, self.decode(self.encode(x)))}

    def score(self, x: Tensor) -> Tensor:
        """Minus the squared error: (n,)."""
        return -self.reconstruction(x)["error"]

    # Randomness

    def noise(self) -> dict[str, Source]:
        # Training has none. An autoencoder has no law of its codes either: drawing them from a
        # normal is what people try, and what the other systems are there to put right.
        return {"z": Normal((self.latent,))}

    def sample(self, *, z: Tensor) -> Tensor:
        return self.decode(z)
