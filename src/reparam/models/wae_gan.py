"""The Wasserstein autoencoder whose codes are held to the prior by a discriminator."""

import torch
from torch import Tensor, nn

from reparam.losses import NON_SATURATING, squared_error
from reparam.model import Model, Terms, Turn
from reparam.noise import Normal, Source


class WAEGAN(Model):
    """x ─encoder→ code ─decoder→ x̂;  discriminator: code, or draw z of the prior?"""

    name = "wae-gan"
    paper = "Tolstikhin et al. 2018, Wasserstein Auto-Encoders, arXiv:1711.01558"

    # Structure and training flow

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        discriminator: nn.Module,
        latent: int,
        *,
        penalty: float = 200.0,
    ) -> None:
        super().__init__()
        self.encoder, self.decoder, self.discriminator = encoder, decoder, discriminator
        self.latent, self.penalty = latent, penalty

    def turns(self) -> list[Turn]:
        weights = {"cost": 1.0, "deception": self.penalty}
        return [
            Turn(self.discriminator, lowers=self.discrimination),
            # Unlike the AAE's, one step lowers both terms.
            Turn(self.encoder, self.decoder, lowers=self.transport, weights=weights),
        ]

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x).mean

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    # Loss

    def discrimination(self, x: Tensor, *, z: Tensor) -> Terms:
        """Tolstikhin et al. 2018, algorithm 1: the discriminator's ascent.

        real = −log D(z)
        fake = −log(1 − D(code))
        """
        with torch.no_grad():
            code = self.encoder(x).mean
        return {
            "real": NON_SATURATING.real(self.discriminator(z)),
            "fake": NON_SATURATING.fake(self.discriminator(code)),
        }

    def transport(self, x: Tensor) -> Terms:
        """Tolstikhin et al. 2018, algorithm 1: the autoencoder's descent.

        cost = ‖x − x̂‖²
        deception = −log D(code)

        The authors' code lowers 0.05 · cost + 10 · deception on MNIST, which is a weight of 200 here.
        """
        code = self.encoder(x).mean
        return {
            "cost": squared_error(x, self.decoder(code)),
            "deception": NON_SATURATING.fool(self.discriminator(code)),
        }

    def score(self, x: Tensor) -> Tensor:
        """Minus the squared error of the reconstruction: (n,). Not a likelihood."""
        return -squared_error(x, self.decode(self.encode(x)))

    # Randomness

    def noise(self) -> dict[str, Source]:
        return {"z": Normal((self.latent,))}  # prior: what the codes are held against, and samples

    def sample(self, *, z: Tensor) -> Tensor:
        return self.decode(z)
