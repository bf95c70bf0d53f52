"""The denoising autoencoder of what people choose: the Mult-VAE without noise on its codes."""

import torch
from torch import Tensor, nn

from reparam.data.bags import Bags
from reparam.model import Model, Terms, Turn
from reparam.noise import Everywhere, Source


class MultDAE(Model):
    """x ─unit length─ dropout ─encoder→ code ─decoder→ p(items|code)"""

    name = "mult-dae"
    paper = (
        "Liang et al. 2018, Variational Autoencoders for Collaborative Filtering, arXiv:1802.05814, §2.2.1"
    )
    takes = ("bag",)

    # Structure and training flow

    def __init__(
        self, encoder: nn.Module, decoder: nn.Module, *, decay: float = 2e-5, dropout: float = 0.5
    ) -> None:
        super().__init__()
        self.encoder, self.decoder, self.decay, self.dropout = encoder, decoder, decay, dropout

    def turns(self) -> list[Turn]:
        weights = {"distortion": 1.0, "size": self.decay}
        return [Turn(self.encoder, self.decoder, lowers=self.denoising, weights=weights)]

    def encode(self, x: Bags) -> Tensor:
        return self.encoder(x.unit())

    def decode(self, z: Tensor) -> Tensor:
        """The probability of each item: (n, items)."""
        return self.decoder(z).mean

    def rank(self, x: Bags) -> Tensor:
        """Of every item, larger for those that are rather chosen next; without noise: (n, items)."""
        return self.decoder(self.encode(x)).logits

    # Loss

    def denoising(self, x: Bags, *, drop: Tensor) -> Terms:
        """Liang et al. 2018, eq. 4; the code is of the unit bag with items dropped.

        distortion = −Σ_i x_i log softmax_i(decoder(code))
        size = ‖weights‖² of both networks, biases left out
        """
        code = self.encoder(x.unit().dropout(self.dropout, drop))
        weights = [p for p in self.parameters() if p.dim() > 1]
        size = torch.stack([w.square().sum() for w in weights]).sum()
        return {"distortion": -self.decoder(code).log_prob(x), "size": size.expand(len(x))}

    # Randomness

    def noise(self) -> dict[str, Source]:
        return {"drop": Everywhere()}  # which items the encoder does not see, in training only
