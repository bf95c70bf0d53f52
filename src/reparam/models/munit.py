"""MUNIT: translation of what a picture shows, with a look that is drawn, or taken from an example.

Of the translators with a style code this one is chosen, and not TwinGAN, because its style is a source of
noise with a declared law. TwinGAN's look is a set of batch-norm parameters for a whole domain: one
picture has one translation there, and nothing is drawn.
"""

from torch import Tensor, nn

from reparam.distributions import Factored
from reparam.losses import LEAST_SQUARES, judged, mean_absolute_error
from reparam.model import Model, Move, Terms, Turn
from reparam.noise import Normal, Source


class MUNIT(Model):
    """x ─encoder_x→ content, style;  (x's content, style ~ N(0, I)) ─decoder_y→ ỹ ─encoder_y→ both again;
    the same from y;  critic_x: x, or x̃?  critic_y: y, or ỹ?"""

    name = "munit"
    paper = "Huang et al. 2018, Multimodal Unsupervised Image-to-Image Translation, arXiv:1804.04732"
    takes = ("image",)

    # Structure and training flow

    def __init__(
        self,
        encoder_x: nn.Module,
        encoder_y: nn.Module,
        decoder_x: nn.Module,
        decoder_y: nn.Module,
        critic_x: nn.Module,
        critic_y: nn.Module,
        style: int,
        *,
        reconstruction: float = 20.0,
        codes: float = 1.0,
        cycle: float = 20.0,
    ) -> None:
        super().__init__()
        self.encoder_x, self.encoder_y = encoder_x, encoder_y
        self.decoder_x, self.decoder_y = decoder_x, decoder_y
        self.critic_x, self.critic_y, self.style = critic_x, critic_y, style
        self.reconstruction, self.codes, self.cycle = reconstruction, codes, cycle

    def turns(self) -> list[Turn]:
        weights = {"deception": 1.0, "reconstruction": self.reconstruction, "cycle": self.cycle}
        weights |= {"content": self.codes, "style": self.codes}
        translators = (self.encoder_x, self.encoder_y, self.decoder_x, self.decoder_y)
        return [
            Turn(
                Move(*translators, weights=_both(weights)),
                Move(self.critic_x, self.critic_y, weights=_both({"real": 1.0, "fake": 1.0})),
                lowers=self.translation,
            )
        ]

    def translate(self, x: Tensor, *, style_y: Tensor) -> Tensor:
        return self.decoder_y(self.encoder_x(x).content, style_y)

    def translate_back(self, other: Tensor, *, style_x: Tensor) -> Tensor:
        return self.decoder_x(self.encoder_y(other).content, style_x)

    def style_of(self, other: Tensor) -> Tensor:
        """What `translate` is given in the place of its noise to make pictures that look like these."""
        return self.encoder_y(other).style

    def style_of_back(self, x: Tensor) -> Tensor:
        """The same for `translate_back`."""
        return self.encoder_x(x).style

    # Loss

    def translation(self, x: Tensor, other: Tensor, *, style_x: Tensor, style_y: Tensor) -> Terms:
        """Huang et al. 2018, eq. 1–5, and the style-augmented cycle of §5.1; y is the other domain's example.

        reconstruction_x = mean |x − decoder_x(content and style of x)|
        reconstruction_y = mean |y − decoder_y(content and style of y)|
        content_x = mean |content of x − content of ỹ|
        content_y = mean |content of y − content of x̃|
        style_x = mean |style_x − style of x̃|
        style_y = mean |style_y − style of ỹ|
        cycle_x = mean |x − decoder_x(content of ỹ, style of x)|
        cycle_y = mean |y − decoder_y(content of x̃, style of y)|
        deception_x = Σ over scales: (critic_x(x̃) − 1)²
        deception_y = Σ over scales: (critic_y(ỹ) − 1)²
        real_x = Σ over scales: (critic_x(x) − 1)²
        fake_x = Σ over scales: critic_x(x̃)²
        real_y = Σ over scales: (critic_y(y) − 1)²
        fake_y = Σ over scales: critic_y(ỹ)²

        The paper's pixels lie in [−1, 1], so that its weights of 10 for pictures are 20 for ours.
        """
        y, game = other, LEAST_SQUARES
        of_x, of_y = self.encoder_x(x), self.encoder_y(y)
        x_made, y_made = self.decoder_x(of_y.content, style_x), self.decoder_y(of_x.content, style_y)
        again_x: Factored = self.encoder_y(y_made)  # what is left of x in its translation
        again_y: Factored = self.encoder_x(x_made)
        judged_x, judged_y = self.critic_x(x_made), self.critic_y(y_made)
        return {
            "reconstruction_x": mean_absolute_error(x, self.decoder_x(*of_x)),
            "reconstruction_y": mean_absolute_error(y, self.decoder_y(*of_y)),
            "content_x": mean_absolute_error(of_x.content, again_x.content),
            "content_y": mean_absolute_error(of_y.content, again_y.content),
            "style_x": mean_absolute_error(style_x, again_y.style),
            "style_y": mean_absolute_error(style_y, again_x.style),
            "cycle_x": mean_absolute_error(x, self.decoder_x(again_x.content, of_x.style)),
            "cycle_y": mean_absolute_error(y, self.decoder_y(again_y.content, of_y.style)),
            "deception_x": judged(game.fool, judged_x),
            "deception_y": judged(game.fool, judged_y),
            "real_x": judged(game.real, self.critic_x(x)),
            "fake_x": judged(game.fake, judged_x),
            "real_y": judged(game.real, self.critic_y(y)),
            "fake_y": judged(game.fake, judged_y),
        }

    # Randomness

    def noise(self) -> dict[str, Source]:
        return {
            "style_x": Normal((self.style,)),  # prior: the look of a picture made for the first domain
            "style_y": Normal((self.style,)),  # prior: the look of one made for the second
        }


def _both(weights: dict[str, float]) -> dict[str, float]:
    return {f"{term}_{domain}": weight for term, weight in weights.items() for domain in "xy"}
