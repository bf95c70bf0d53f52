"""Barker's test of Metropolis–Hastings on a few examples a step: its own noise is made of the batch's.

Seita et al. 2017, An Efficient Minibatch Acceptance Test for Metropolis-Hastings (arXiv:1610.06848). For what
all examples share, such as a decoder's weights; a code of one example has one term of likelihood, and nothing
to save. `samplers.py` makes moves of it.
"""

import math
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from reparam.errors import ReparamError

SPAN, CELLS, ROUNDS = 12.0, 401, 800
SURE = 6.0  # standard errors that an estimate is never off by
MOST = 100  # times as many draws as examples, where no number of them leaves no error


class Correction(NamedTuple):
    """A law on a grid that, added to N(0, σ²), makes nearly a logistic one."""

    points: Tensor
    mass: Tensor

    def at(self, u: Tensor) -> Tensor:
        """The inverse distribution function at u ~ U[0, 1), of any shape: float64, uniform within a cell."""
        steps = self.mass.cumsum(0)
        cell = torch.searchsorted(steps, u.double(), right=True).clamp_max(len(steps) - 1)
        within = (u - steps[cell]) / self.mass[cell] + 0.5
        return self.points[cell] + (self.points[1] - self.points[0]) * within.clamp(-0.5, 0.5)

    @property
    def variance(self) -> float:
        """Of the draws; π²/3 − σ² were there an exact law."""
        width = float(self.points[1] - self.points[0])
        return float((self.mass * self.points.square()).sum()) + width**2 / 12


@cache
def correction(std: float = 1.0) -> Correction:
    """The correction for N(0, std²), by Richardson–Lucy deconvolution of the logistic distribution.

    No exact law exists, for any std > 0: the quotient of the characteristic functions diverges. At std = 1
    the sum's distribution function is off by 1.6e-4 at most, at 1.1 by 3.8e-4. Raises ReparamError for a std
    outside (0, 1.2].
    """
    if not 0 < std <= 1.2:
        raise ReparamError(
            f"std={std:g}: the correction is computed for noise of std in (0, 1.2]; 1 is usual."
        )
    points = torch.linspace(-SPAN, SPAN, CELLS, dtype=torch.float64)
    half = (points[1] - points[0]) / 2
    logistic = torch.sigmoid(points + half) - torch.sigmoid(points - half)
    apart = points[:, None] - points
    normal = torch.special.ndtr((apart + half) / std) - torch.special.ndtr((apart - half) / std)
    mass = logistic / logistic.sum()
    for _ in range(ROUNDS):  # each round keeps the mass positive, and raises the likelihood
        mass = mass * (normal.T @ (logistic / (normal @ mass).clamp_min(1e-300)))
        mass = mass / mass.sum()
    return Correction(points, (mass + mass.flip(0)) / 2)


class Decision(NamedTuple):
    """Whether a proposal was accepted, and how many examples it took to say so."""

    accepted: bool
    used: int


def accepts(
    some: Callable[[int], Tensor],
    examples: int,
    draw: Tensor,
    *,
    every: Callable[[], Tensor] | None = None,
    gain: float = 0.0,
    batch: int = 50,
    temperature: float = 1.0,
) -> Decision:
    """Barker's test, accepting with probability sigmoid(Δ), on as few examples as its noise allows.

    Δ = gain + (1 / temperature) Σ over all examples of log p(x|proposed) / p(x|now). The estimate of it from
    b examples has an error of about N(0, s²). Below 1 that is made up to a logistic law, the test's own
    randomness; until then as many examples more are looked at as the error asks for, those seen being kept.

    Args:
        some: n → the log ratios (n,) of n more examples, drawn with replacement, of always the same two.
        examples: how many there are.
        draw: (2,), a uniform number and a normal one: the test's randomness.
        every: the log ratios of all examples, which leave no error; None where each is an estimate itself.
        gain: what is known without examples: log of the ratio of the proposal's densities.
        batch: examples looked at first, at least 2; below 50 the error is hardly normal.
        temperature: above 1 the law is flattened, below sharpened; it is then not the posterior any more.

    A ratio that is infinite or no number refuses the proposal. Raises ReparamError for numbers out of range,
    and where the noise of the ratios asks for more than MOST draws of each.
    """
    if batch < 2 or examples < 1 or not temperature > 0:
        raise ReparamError(
            f"batch={batch}, examples={examples}, temperature={temperature:g}: give batch ≥ 2, examples ≥ 1 "
            "and temperature > 0."
        )
    noise, scale = correction(), examples / temperature
    seen, used, wanted = torch.zeros(0, dtype=torch.float64), 0, batch
    while True:
        if every is not None and wanted >= examples:
            seen, used, error = every().double().cpu(), used + examples, 0.0
        elif wanted > MOST * examples:
            raise ReparamError(
                f"the noise of the loss itself leaves the test of a proposal in doubt: {wanted:,} draws of "
                f"{examples:,} examples would be needed. Take smaller steps, or more draws in the loss."
            )
        else:
            seen = torch.cat([seen, some(wanted - len(seen)).double().cpu()])
            used, error = len(seen), scale**2 * float(seen.var()) / len(seen)
        delta = gain + scale * float(seen.mean())
        if not math.isfinite(delta):
            return Decision(False, used)
        if error < 1:
            fill = math.sqrt(1 - error) * float(draw[1])
            return Decision(delta + fill + float(noise.at(draw[0])) > 0, used)
        if abs(delta) > SPAN + SURE * math.sqrt(error):  # no noise of the test would change that
            return Decision(delta > 0, used)
        wanted = max(math.ceil(1.1 * len(seen) * error), len(seen) + batch)
