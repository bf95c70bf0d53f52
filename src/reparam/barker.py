"""Metropolis–Hastings that looks at a few examples a step: Barker's test, its noise made of the batch's own.

Seita et al. 2017, An Efficient Minibatch Acceptance Test for Metropolis-Hastings (arXiv:1610.06848). For what
all examples share, such as a decoder's weights; a code of one example has one term of likelihood, and nothing
to save.
"""

import math
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from reparam.errors import ReparamError

SPAN, CELLS, ROUNDS = 12.0, 401, 800

LogLikelihood = Callable[[Tensor, Tensor], Tensor]
"""Parameters (d,) and rows (b,) → log p(x|parameters) of each row, (b,), in nats."""


class Correction(NamedTuple):
    """A law on a grid that, added to N(0, σ²), makes nearly a logistic one."""

    points: Tensor
    mass: Tensor

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """n draws (n,) float64: a cell by its mass, uniform within it."""
        cells = torch.multinomial(self.mass, n, replacement=True, generator=generator)
        within = torch.rand(n, generator=generator, dtype=torch.float64) - 0.5
        return self.points[cells] + (self.points[1] - self.points[0]) * within

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
    log_ratio: Callable[[Tensor], Tensor],
    examples: int,
    generator: torch.Generator,
    *,
    prior: float = 0.0,
    batch: int = 50,
    temperature: float = 1.0,
    std: float = 1.0,
) -> Decision:
    """Barker's test, accepting with probability sigmoid(Δ), on as few examples as its noise allows.

    Δ = prior + (1 / temperature) Σ over all examples of log p(x|proposed) / p(x|now). A batch's estimate
    has an error of about N(0, s²); below std² that is made up to a logistic law, the test's own randomness,
    and until then the batch is doubled, the rows kept. With all examples there is no error.

    Args:
        log_ratio: rows (b,) → log p(x|proposed) − log p(x|now), (b,), of always the same two.
        examples: how many there are; rows are drawn with replacement.
        generator: of rows and decisions.
        prior: log of the ratio of priors, and of the proposal's densities where it is not symmetric.
        batch: examples looked at first, at least 2; below 50 the error is hardly normal.
        temperature: above 1 the posterior is flattened; it is then not the posterior that is sampled.
        std: what the error is made up to.

    Raises ReparamError for numbers out of range, and ratios that are no numbers.
    """
    if batch < 2 or examples < 1 or not temperature > 0:
        raise ReparamError(
            f"batch={batch}, examples={examples}, temperature={temperature:g}: give batch ≥ 2, examples ≥ 1 "
            "and temperature > 0."
        )
    noise, seen, scale = correction(std), torch.zeros(0, dtype=torch.float64), examples / temperature
    while len(seen) < examples:
        more = max(batch - len(seen), len(seen))
        if len(seen) + more >= examples:
            rows, seen = torch.arange(examples), seen[:0]
        else:
            rows = torch.randint(examples, (more,), generator=generator)
        seen = torch.cat([seen, log_ratio(rows).double().cpu()])
        if not torch.isfinite(seen).all():
            raise ReparamError("a ratio of likelihoods is infinite or no number; take smaller steps.")
        error = 0.0 if len(seen) == examples else scale**2 * float(seen.var()) / len(seen)
        if error < std**2:
            fill = math.sqrt(std**2 - error) * torch.randn((), generator=generator, dtype=torch.float64)
            delta = prior + scale * seen.mean() + fill + noise.draw(1, generator)[0]
            return Decision(bool(delta > 0), len(seen))
    raise AssertionError("all examples leave no error")


def transition(
    log_likelihood: LogLikelihood,
    log_prior: Callable[[Tensor], Tensor],
    at: Tensor,
    step: float,
    examples: int,
    generator: torch.Generator,
    *,
    batch: int = 50,
    temperature: float = 1.0,
    std: float = 1.0,
) -> tuple[Tensor, Decision]:
    """The next parameters (d,) of a random walk with normal steps, and how they were decided.

    The prior, log_prior(at) a scalar, is not tempered.
    """
    proposed = at + step * torch.randn(at.shape, generator=generator, dtype=at.dtype)
    with torch.no_grad():
        decision = accepts(
            lambda rows: log_likelihood(proposed, rows) - log_likelihood(at, rows),
            examples,
            generator,
            prior=float(log_prior(proposed) - log_prior(at)),
            batch=batch,
            temperature=temperature,
            std=std,
        )
    return (proposed if decision.accepted else at), decision
