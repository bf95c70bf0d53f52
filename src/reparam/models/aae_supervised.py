"""The adversarial autoencoder that is told the class, so that its code holds the style."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reparam.losses import NON_SATURATING
from reparam.model import Model, Terms, Turn
from reparam.noise import Categorical, Normal, Source


class SupervisedAAE(Model):
    """x ─encoder→ style z;  (z, class y) ─decoder→ p(x|z, y);  discriminator: z, or a draw of the prior?"""

    name = "aae-supervised"
    paper = "Makhzani et al. 2015, Adversarial Autoencoders, arXiv:1511.05644, §3"

    # Structure and training flow

    def __init__(
        self, encoder: nn.Module, decoder: nn.Module, discriminator: nn.Module, latent: int, classes: int
    ) -> None:
        super().__init__()
        self.encoder, self.decoder, self.discriminator = encoder, decoder, discriminator
        self.latent, self.classes = latent, classes

    def turns(self) -> list[Turn]:
        return [
            Turn(self.encoder, self.decoder, lowers=self.reconstruction),
            Turn(self.discriminator, lowers=self.discrimination),
            Turn(self.encoder, lowers=self.deception),
        ]

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x).mean

    # Loss

    def reconstruction(self, x: Tensor, y: Tensor) -> Terms:
        """Makhzani et al. 2015, §3: the reconstruction phase.

        distortion = −log p(x|z, y), z = encoder(x)
        """
        return {"distortion": -self._decoded(self.encode(x), y).log_prob(x)}

    def discrimination(self, x: Tensor, *, z: Tensor) -> Terms:
        """Makhzani et al. 2015, §2: the regularisation phase, the discriminator's side.

        real = −log D(z)
        fake = −log(1 − D(encoder(x)))
        """
        with torch.no_grad():
            code = self.encode(x)
        return {
            "real": NON_SATURATING.real(self.discriminator(z)),
            "fake": NON_SATURATING.fake(self.discriminator(code)),
        }

    def deception(self, x: Tensor) -> Terms:
        """Makhzani et al. 2015, §2: the regularisation phase, the encoder's side.

        deception = −log D(encoder(x))
        """
        return {"deception": NON_SATURATING.fool(self.discriminator(self.encode(x)))}

    def _decoded(self, z: Tensor, y: Tensor) -> Any:
        return self.decoder(torch.cat([z, F.one_hot(y, self.classes).to(z)], 1))

    # Randomness

    def noise(self) -> dict[str, Source]:
        return {
            "z": Normal((self.latent,)),  # the style: what codes are held against, and that of samples
            "y": Categorical((), self.classes),  # the class of a sample; pinned, it is the one asked for
        }

    def sample(self, *, z: Tensor, y: Tensor) -> Tensor:
        return self._decoded(z, y).mean
