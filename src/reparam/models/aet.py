"""Auto-encoding transformations: an encoder that learns by telling how a picture was turned."""

import torch
from torch import Tensor, nn

from reparam.losses import squared_error
from reparam.model import Model, Terms, Turn
from reparam.noise import Source
from reparam.transformations import Transformation


class AET(Model):
    """x, t(x) ─encoder→ two codes ─decoder→ t̂"""

    name = "aet"
    paper = "Zhang et al. 2019, AET vs. AED: Auto-Encoding Transformations rather than Data, arXiv:1901.04596"
    takes = ("image",)

    # Structure and training flow

    def __init__(self, encoder: nn.Module, decoder: nn.Module, transformation: Transformation) -> None:
        super().__init__()
        self.encoder, self.decoder, self.transformation = encoder, decoder, transformation

    def turns(self) -> list[Turn]:
        return [Turn(self.encoder, self.decoder, lowers=self.reading)]

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x)

    # Loss

    def reading(self, x: Tensor, *, t: Tensor) -> Terms:
        """Zhang et al. 2019, eq. 1 and §3.2, on the transformation's numbers, each scaled to [−1, 1].

        error = ‖t − decoder(encoder(x), encoder(t(x)))‖²
        """
        turned = self.transformation.apply(x, t)
        read = self.decoder(torch.cat([self.encoder(x), self.encoder(turned)], 1))
        return {"error": squared_error(self.transformation.target(t), read)}

    # Randomness

    def noise(self) -> dict[str, Source]:
        return {"t": self.transformation.source}  # the transformation: what is asked, not only what disturbs
