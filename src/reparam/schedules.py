"""Weights and learning rates that change with the step, and with nothing else.

A schedule is a function of the step. No schedule depends on time, so a resumed run is the same run.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

Schedule = Callable[[int], float]
Weight = float | Schedule


def at(weight: Weight, step: int) -> float:
    """The value of a weight at a step."""
    return weight(step) if callable(weight) else weight


@dataclass(frozen=True)
class Ramp:
    """Linear from `start` to `end` over `steps`, constant after."""

    steps: int
    start: float = 0.0
    end: float = 1.0

    def __call__(self, step: int) -> float:
        return self.start + (self.end - self.start) * min(step / self.steps, 1.0)


@dataclass(frozen=True)
class Fall:
    """`start` for the first half of `steps`, then linear to 0, constant after."""

    steps: int
    start: float

    def __call__(self, step: int) -> float:
        return self.start * min(max(2 * (1 - step / self.steps), 0.0), 1.0)


@dataclass(frozen=True)
class Fade:
    """`start` for the first half of `steps`, then by equal factors to its share `left`, constant after."""

    steps: int
    start: float
    left: float = 0.01

    def __call__(self, step: int) -> float:
        return self.start * self.left ** min(max(2 * step / self.steps - 1, 0.0), 1.0)


@dataclass(frozen=True)
class Cosine:
    """Half a cosine from `start` to `end` over `steps`, constant after."""

    steps: int
    start: float
    end: float = 0.0

    def __call__(self, step: int) -> float:
        done = min(step / self.steps, 1.0)
        return self.end + (self.start - self.end) * 0.5 * (1 + math.cos(math.pi * done))


@dataclass(frozen=True)
class Cyclical:
    """Another schedule, begun anew every `period` steps.

    Of a rate's weight, `Cyclical(p, Ramp(p // 2))`: Fu et al. 2019 (arXiv:1903.10145), eq. 6–7. Of a learning
    rate, `Cyclical(p, Cosine(p, lr))`: Loshchilov & Hutter 2017 (arXiv:1608.03983). The first paper's text
    model had both at once; here each is asked for on its own.
    """

    period: int
    schedule: Schedule

    def __call__(self, step: int) -> float:
        return self.schedule(step % self.period)


def arrives(weight: Weight, steps: int) -> bool:
    """Whether a run of so many steps is long enough for the weight to come to its end.

    A cyclical one must end where a cycle does, or hold by then. True of functions that are not of this file.
    """
    match weight:
        case Ramp(length) | Fall(length) | Fade(length) | Cosine(length):
            return steps >= length
        case Cyclical(period, schedule):
            return steps % period == 0 or arrives(schedule, steps % period)
        case _:
            return True
