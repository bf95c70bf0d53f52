"""The adversarial autoencoder whose latent regions are given to classes by labels."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reparam.losses import NON_SATURATING
from reparam.model import Model, Terms, Turn
from reparam.noise import Categorical, GaussianRing, Normal, Source


class LabelledAAE(Model):
    """x ─encoder→ z ─decoder→ p(x|z);  discriminator, told y: the code, or a draw of y's leaf?"""

    name = "aae-labels"
    paper = "Makhzani et al. 2015, Adversarial Autoencoders, arXiv:1511.05644, §2.3"

    # Structure and training flow

    def __init__(
        self, encoder: nn.Module, decoder: nn.Module, discriminator: nn.Module, prior: GaussianRing
    ) -> None:
        super().__init__()
        self.encoder, self.decoder, self.discriminator = encoder, decoder, discriminator
        self.prior, self.classes = prior, prior.components

    def turns(self) -> list[Turn]:
        return [
            Turn(self.encoder, self.decoder, lowers=self.reconstruction),
            Turn(self.discriminator, lowers=self.discrimination),
            Turn(self.encoder, lowers=self.deception),
        ]

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x).mean

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z).mean

    # Loss

    def reconstruction(self, x: Tensor) -> Terms:
        """Makhzani et al. 2015, §2: the reconstruction phase.

        distortion = −log p(x|z), z = encoder(x)
        """
        return {"distortion": -self.decoder(self.encode(x)).log_prob(x)}

    def discrimination(self, x: Tensor, y: Tensor, *, leaf: Tensor, spread: Tensor) -> Terms:
        """Makhzani et al. 2015, §2.3: a label of −1 is unknown, and a class of its own to the discriminator.

        real = −log D(draw of the leaf of y, y); of any leaf where y is unknown
        fake = −log(1 − D(z, y))
        """
        with torch.no_grad():
            code = self.encode(x)
        drawn = self.prior.of(torch.where(y < 0, leaf, y), spread)
        return {
            "real": NON_SATURATING.real(self._judged(drawn, y)),
            "fake": NON_SATURATING.fake(self._judged(code, y)),
        }

    def deception(self, x: Tensor, y: Tensor) -> Terms:
        """Makhzani et al. 2015, §2.3: the encoder's side.

        deception = −log D(z, y)
        """
        return {"deception": NON_SATURATING.fool(self._judged(self.encode(x), y))}

    def _judged(self, z: Tensor, y: Tensor) -> Tensor:
        told = F.one_hot(torch.where(y < 0, self.classes, y), self.classes + 1)
        return self.discriminator(torch.cat([z, told.to(z)], 1))

    def score(self, x: Tensor) -> Tensor:
        """log p(x|z) at the code of x, in nats: (n,). No bound on log p(x)."""
        return self.decoder(self.encode(x)).log_prob(x)

    # Randomness

    def noise(self) -> dict[str, Source]:
        return {
            "leaf": Categorical((), self.classes),  # the component of an unlabelled draw, and of a sample
            "spread": Normal((2,)),  # the place within a component
        }

    def sample(self, *, leaf: Tensor, spread: Tensor) -> Tensor:
        return self.decode(self.prior.of(leaf, spread))
