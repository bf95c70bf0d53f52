"""U-GAT-IT: translation that attends to what tells two domains apart, and so may change shapes."""

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrize import cached

from reparam.losses import LEAST_SQUARES, judged, mean_absolute_error, per_example
from reparam.model import Model, Move, Terms, Turn
from reparam.noise import Source


class UGATIT(Model):
    """x ─forth→ ỹ ─back→ x̂;  y ─back→ x̃ ─forth→ ŷ;  either translator: first domain, or second?
    critic_x: x, or x̃?  critic_y: y, or ỹ?"""

    name = "u-gat-it"
    paper = (
        "Kim et al. 2020, U-GAT-IT: Unsupervised Generative Attentional Networks with Adaptive "
        "Layer-Instance Normalization for Image-to-Image Translation, arXiv:1907.10830"
    )
    takes = ("image",)

    # Structure and training flow

    def __init__(
        self,
        forth: nn.Module,
        back: nn.Module,
        critic_x: nn.Module,
        critic_y: nn.Module,
        *,
        cycle: float = 20.0,
        identity: float = 20.0,
        attention: float = 1000.0,
    ) -> None:
        super().__init__()
        self.forth, self.back, self.critic_x, self.critic_y = forth, back, critic_x, critic_y
        self.cycle, self.identity, self.attention = cycle, identity, attention

    def turns(self) -> list[Turn]:
        weights = {"deception": 1.0, "cycle": self.cycle, "identity": self.identity}
        weights["attention"] = self.attention
        # Their code steps the critics first and translates anew; one forward pass serves both here.
        return [
            Turn(
                Move(self.forth, self.back, weights=_both(weights)),
                Move(self.critic_x, self.critic_y, weights=_both({"real": 1.0, "fake": 1.0})),
                lowers=self.translation,
            )
        ]

    def translate(self, x: Tensor) -> Tensor:
        return self.forth(x).made

    def translate_back(self, other: Tensor) -> Tensor:
        return self.back(other).made

    # Loss

    def translation(self, x: Tensor, other: Tensor) -> Terms:
        """Kim et al. 2020, eq. 3–7; y is the other domain's example. A critic is a local and a global one.

        deception_x = Σ over both critics' patches and classifiers: (critic_x(x̃) − 1)²
        deception_y = Σ over both critics' patches and classifiers: (critic_y(ỹ) − 1)²
        cycle_x = mean |x − x̂|
        cycle_y = mean |y − ŷ|
        identity_x = mean |x − back(x)|
        identity_y = mean |y − forth(y)|
        attention_x = −log P(y's domain | y) − log P(not it | x), by back's classifiers
        attention_y = −log P(x's domain | x) − log P(not it | y), by forth's classifiers
        real_x = Σ over both critics' patches and classifiers: (critic_x(x) − 1)²
        fake_x = Σ over both critics' patches and classifiers: critic_x(x̃)²
        real_y = Σ over both critics' patches and classifiers: (critic_y(y) − 1)²
        fake_y = Σ over both critics' patches and classifiers: critic_y(ỹ)²

        The paper's pixels lie in [−1, 1], so that its weights of 10 are 20 for ours.
        """
        y, game = other, LEAST_SQUARES
        (y_made, forth_of_x), (x_made, back_of_y) = self.forth(x), self.back(y)
        (y_same, forth_of_y), (x_same, back_of_x) = self.forth(y), self.back(x)
        with cached():  # the critics' weights are normalised once for both
            of_x, of_y = self.critic_x(x_made), self.critic_y(y_made)
            x_judged, y_judged = self.critic_x(x), self.critic_y(y)
        return {
            "deception_x": judged(game.fool, of_x),
            "deception_y": judged(game.fool, of_y),
            "cycle_x": mean_absolute_error(x, self.back(y_made).made),
            "cycle_y": mean_absolute_error(y, self.forth(x_made).made),
            "identity_x": mean_absolute_error(x, x_same),
            "identity_y": mean_absolute_error(y, y_same),
            "attention_x": per_example(F.softplus(-back_of_y) + F.softplus(back_of_x)),
            "attention_y": per_example(F.softplus(-forth_of_x) + F.softplus(forth_of_y)),
            "real_x": judged(game.real, x_judged),
            "fake_x": judged(game.fake, of_x),
            "real_y": judged(game.real, y_judged),
            "fake_y": judged(game.fake, of_y),
        }

    # Randomness

    def noise(self) -> dict[str, Source]:
        return {}  # none: what is random is which pictures meet, and that is the data's


def _both(weights: dict[str, float]) -> dict[str, float]:
    return {f"{term}_{domain}": weight for term, weight in weights.items() for domain in "xy"}
