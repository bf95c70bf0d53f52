"""Fader networks: a code that does not know the attribute, and a decoder that is told it, or another."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reparam.losses import squared_error
from reparam.model import Model, Terms, Turn
from reparam.noise import Source
from reparam.schedules import Weight


class Fader(Model):
    """x ─encoder→ z;  (z, y) ─decoder→ x̂;  discriminator: which y had z?"""

    name = "fader"
    paper = "Lample et al. 2017, Fader Networks: Manipulating Images by Sliding Attributes, arXiv:1706.00409"

    # Structure and training flow

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        discriminator: nn.Module,
        classes: int,
        *,
        weight: Weight = 1.0,
    ) -> None:
        super().__init__()
        self.encoder, self.decoder, self.discriminator = encoder, decoder, discriminator
        self.classes, self.weight = classes, weight

    def turns(self) -> list[Turn]:
        weights = {"error": 1.0, "deception": self.weight}
        return [
            Turn(self.encoder, self.decoder, lowers=self.reconstruction, weights=weights),
            Turn(self.discriminator, lowers=self.discrimination),
        ]

    def encode(self, x: Tensor, y: Tensor) -> Tensor:
        """The code, and beside it the attribute, one-hot, that can be slid: (n, latent + classes)."""
        return torch.cat([self.encoder(x).mean, F.one_hot(y, self.classes)], 1)

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    # Loss

    def discrimination(self, x: Tensor, y: Tensor) -> Terms:
        """Lample et al. 2017, eq. 2: the discriminator's side.

        ignorance = −log P(y|z)
        """
        with torch.no_grad():
            z = self.encoder(x).mean
        return {"ignorance": F.cross_entropy(self.discriminator(z), y, reduction="none")}

    def reconstruction(self, x: Tensor, y: Tensor) -> Terms:
        """Lample et al. 2017, eq. 3: the autoencoder's side.

        error = ‖x − decoder(z, y)‖²
        deception = −log(1 − P(y|z)), of two classes −log P(the other|z)
        """
        z = self.encoder(x).mean
        log_p = self.discriminator(z).log_softmax(1)
        others = log_p.masked_fill(F.one_hot(y, self.classes).bool(), -torch.inf)
        told = torch.cat([z, F.one_hot(y, self.classes).to(z)], 1)
        return {"error": squared_error(x, self.decoder(told)), "deception": -others.logsumexp(1)}

    def score(self, x: Tensor, y: Tensor) -> Tensor:
        """Minus the squared error: (n,)."""
        return -self.reconstruction(x, y)["error"]

    # Randomness

    def noise(self) -> dict[str, Source]:
        return {}  # and no law of the codes: it changes what there is, and makes nothing new
