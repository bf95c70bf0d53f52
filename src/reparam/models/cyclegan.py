"""The cycle-consistent GAN: translation between two domains without pairs."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from reparam.coupling import gather, mine
from reparam.losses import LEAST_SQUARES, Adversarial, mean_absolute_error, per_example
from reparam.model import Model, Move, Replace, Terms, Turn
from reparam.noise import Bernoulli, Categorical, Source


class CycleGAN(Model):
    """x ─forth→ ỹ ─back→ x̂;  y ─back→ x̃ ─forth→ ŷ;  critic_x: x, or x̃?  critic_y: y, or ỹ?"""

    name = "cyclegan"
    paper = (
        "Zhu et al. 2017, Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks, "
        "arXiv:1703.10593"
    )
    couples_batch = True  # a critic is shown fakes of a pool that the whole batch fills

    pool_x: Tensor
    pool_y: Tensor
    filled: Tensor

    # Structure and training flow

    def __init__(
        self,
        forth: nn.Module,
        back: nn.Module,
        critic_x: nn.Module,
        critic_y: nn.Module,
        shapes: tuple[tuple[int, ...], tuple[int, ...]],
        *,
        cycle: float = 20.0,
        identity: float = 10.0,
        pool: int = 50,
        game: Adversarial = LEAST_SQUARES,
        distance: Callable[[Tensor, Tensor], Tensor] = mean_absolute_error,
    ) -> None:
        super().__init__()
        self.forth, self.back, self.critic_x, self.critic_y = forth, back, critic_x, critic_y
        self.cycle, self.identity, self.game, self.distance = cycle, identity, game, distance
        self.register_buffer("pool_x", torch.zeros(pool, *shapes[0]))
        self.register_buffer("pool_y", torch.zeros(pool, *shapes[1]))
        self.register_buffer("filled", torch.zeros(()))

    def turns(self) -> list[Turn]:
        translators = {"deception_x": 1.0, "deception_y": 1.0, "cycle_x": self.cycle, "cycle_y": self.cycle}
        translators |= {"identity_x": self.identity, "identity_y": self.identity}
        critics = {"real_x": 0.5, "fake_x": 0.5, "real_y": 0.5, "fake_y": 0.5}
        return [
            Turn(
                Move(self.forth, self.back, weights=translators),
                Move(self.critic_x, self.critic_y, weights=critics),
                lowers=self.translation,
            )
        ]

    def state(self) -> Mapping[str, Replace]:
        return {"pool_x": Replace(), "pool_y": Replace(), "filled": Replace()}

    def translate(self, x: Tensor) -> Tensor:
        return self.forth(x)

    def translate_back(self, other: Tensor) -> Tensor:
        return self.back(other)

    # Loss

    def translation(self, x: Tensor, other: Tensor, *, coin: Tensor, place: Tensor) -> Terms:
        """Zhu et al. 2017, eq. 1–3 and §4; y is the other domain's example.

        deception_x = (critic_x(x̃) − 1)²
        deception_y = (critic_y(ỹ) − 1)²
        cycle_x = mean |x − x̂|
        cycle_y = mean |y − ŷ|
        identity_x = mean |x − back(x)|
        identity_y = mean |y − forth(y)|
        real_x = (critic_x(x) − 1)²
        fake_x = critic_x(x̃, or for half of them an older one of the pool)²
        real_y = (critic_y(y) − 1)²
        fake_y = critic_y(ỹ, or for half of them an older one of the pool)²

        The paper's pixels lie in [−1, 1], so that its weights of 10 and 5 are 20 and 10 for ours.
        """
        y = other
        y_made, x_made = self.forth(x), self.back(y)
        x_shown, pool_x = self._shown(x_made, self.pool_x, coin[:, 0], place[:, 0])
        y_shown, pool_y = self._shown(y_made, self.pool_y, coin[:, 1], place[:, 1])
        return {
            "deception_x": per_example(self.game.fool(self.critic_x(x_made))),
            "deception_y": per_example(self.game.fool(self.critic_y(y_made))),
            "cycle_x": self.distance(x, self.back(y_made)),
            "cycle_y": self.distance(y, self.forth(x_made)),
            "identity_x": self.distance(x, self.back(x)),
            "identity_y": self.distance(y, self.forth(y)),
            "real_x": per_example(self.game.real(self.critic_x(x))),
            "fake_x": per_example(self.game.fake(self.critic_x(x_shown))),
            "real_y": per_example(self.game.real(self.critic_y(y))),
            "fake_y": per_example(self.game.fake(self.critic_y(y_shown))),
            "pool_x": pool_x,
            "pool_y": pool_y,
            "filled": torch.ones_like(self.filled),
        }

    def _shown(self, fake: Tensor, pool: Tensor, coin: Tensor, place: Tensor) -> tuple[Tensor, Tensor]:
        """What the critic sees, and the pool after it: where the coin falls, fakes are exchanged."""
        fakes, coin, place = gather(fake.detach()), gather(coin) > 0, gather(place)
        slots = torch.arange(len(pool), device=pool.device)
        pool = torch.where(self.filled > 0, pool, fakes[slots % len(fakes)])  # at first, this batch's own
        shown = torch.where(_wide(coin, fakes), pool[place], fakes)
        # Of several that are put in one place, the last stays: the same on every device.
        turn = torch.arange(1, len(fakes) + 1, device=pool.device)
        last = ((place == slots[:, None]) & coin).mul(turn).amax(1)
        pool = torch.where(_wide(last > 0, pool), fakes[(last - 1).clamp_min(0)], pool)
        return mine(shown), pool

    # Randomness

    def noise(self) -> dict[str, Source]:
        # No z: a translator ignores it (Zhu et al. 2017, their answers to questions).
        return {
            "coin": Bernoulli((2,), 0.5),  # for each domain: is the critic shown an older fake?
            "place": Categorical((2,), len(self.pool_x)),  # for each domain: which one of the pool
        }


def _wide(mask: Tensor, like: Tensor) -> Tensor:
    return mask.view(-1, *[1] * (like.dim() - 1))
