"""The collaborative denoising autoencoder: what a user chose, and a node of the user's own."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reparam.data.bags import Bags
from reparam.distributions import Scores
from reparam.model import Model, Terms, Turn
from reparam.noise import Everywhere, Source, Uniform

RATIO = 5.0  # items taken for not chosen, to each that was: Wu et al. 2016, §5


class CDAE(Model):
    """x ─dropout─, user ─encoder→ code ─decoder→ a logit of every item, of which the loss sees some"""

    name = "cdae"
    paper = (
        "Wu et al. 2016, Collaborative Denoising Auto-Encoders for Top-N Recommender Systems, WSDM, "
        "doi:10.1145/2835776.2835837"
    )
    takes = ("bag",)

    # Structure and training flow

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        items: int,
        *,
        decay: float = 1e-3,
        dropout: float = 0.5,
        draws: int = 100,
    ) -> None:
        """The encoder takes bags and whose they are, (n,), −1 for users that training does not know."""
        super().__init__()
        self.encoder, self.decoder, self.items = encoder, decoder, items
        self.decay, self.dropout, self.draws = decay, dropout, draws

    def turns(self) -> list[Turn]:
        weights = {"chosen": 1.0, "others": 1.0, "size": self.decay}
        return [Turn(self.encoder, self.decoder, lowers=self.denoising, weights=weights)]

    def encode(self, x: Bags) -> Tensor:
        """The code of people whom training did not know."""
        return self.encoder(x, torch.full((len(x),), -1, device=x.device))

    def rank(self, x: Bags) -> Tensor:
        """Of every item, larger for those that are rather chosen next; without noise: (n, items)."""
        return self.decoder(self.encode(x)).all

    # Loss

    def denoising(self, x: Bags, user: Tensor, *, drop: Tensor, u: Tensor) -> Terms:
        """Wu et al. 2016, eq. 4 with the logistic loss; s are the logits of the bag with items dropped.

        chosen = −Σ_{i in x} log σ(s_i)
        others = −5 |x| · the mean of log σ(−s_j) over the items j at u that are not in x
        size = ‖weights‖² of both networks, the users' nodes among them, biases left out
        """
        found: Scores = self.decoder(self.encoder(x.dropout(self.dropout, drop), user))
        n = len(x)
        drawn = (u * self.items).long().clamp_max(self.items - 1)
        row = torch.arange(n, device=u.device)[:, None].expand_as(drawn)
        inside = torch.isin(row * self.items + drawn, x.rows * self.items + x.items)
        loss = F.softplus(found.of(row.flatten(), drawn.flatten())).view_as(u).masked_fill(inside, 0)
        mean = loss.sum(1) / (~inside).sum(1).clamp_min(1)
        weights = [p.square().sum() for p in self.parameters() if p.dim() > 1]
        return {
            "chosen": x.summed(F.softplus(-found.of(x.rows, x.items))),
            "others": RATIO * x.lengths * mean,
            "size": sum(weights, mean.new_zeros(n)),
        }

    # Randomness

    def noise(self) -> dict[str, Source]:
        return {
            "drop": Everywhere(),  # which items the encoder does not see, in training only
            "u": Uniform((self.draws,)),  # which items are taken for not chosen, in training only
        }
