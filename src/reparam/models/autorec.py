"""AutoRec: an autoencoder of the ratings that a user gave, and through it of those that are missing."""

from torch import Tensor, nn

from reparam.data.bags import Bags
from reparam.distributions import Scores
from reparam.model import Model, Terms, Turn
from reparam.noise import Source


class AutoRec(Model):
    """x ─encoder→ code ─decoder→ a rating of every item, of which the loss sees those that x holds"""

    name = "autorec"
    paper = "Sedhain et al. 2015, AutoRec: Autoencoders Meet Collaborative Filtering, WWW Companion"
    takes = ("bag",)

    # Structure and training flow

    def __init__(self, encoder: nn.Module, decoder: nn.Module, users: int, *, penalty: float = 1.0) -> None:
        super().__init__()
        self.encoder, self.decoder, self.users, self.penalty = encoder, decoder, users, penalty

    def turns(self) -> list[Turn]:
        # The paper's objective is a sum over users, ours their mean.
        weights = {"error": 1.0, "size": 0.5 * self.penalty / self.users}
        return [Turn(self.encoder, self.decoder, lowers=self.squared_error, weights=weights)]

    def encode(self, x: Bags) -> Tensor:
        return self.encoder(x)

    def rank(self, x: Bags) -> Tensor:
        """The rating that each user would give each item, in parts of the highest: (n, items)."""
        return self.decoder(self.encoder(x)).all

    # Loss

    def squared_error(self, x: Bags) -> Terms:
        """Sedhain et al. 2015, §2, user by user: items without a rating are no error.

        error = Σ over rated items (rating − its reconstruction)²
        size = ‖weights‖² of both networks, biases left out
        """
        found: Scores = self.decoder(self.encoder(x))
        missed = found.of(x.rows, x.items) - x.each()
        weights = [p.square().sum() for p in self.parameters() if p.dim() > 1]
        return {"error": x.summed(missed.square()), "size": sum(weights, missed.new_zeros(len(x)))}

    # Randomness

    def noise(self) -> dict[str, Source]:
        return {}
