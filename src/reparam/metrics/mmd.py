"""Unbiased squared maximum mean discrepancy (Gretton et al. 2012), kernels of Tolstikhin et al. 2018."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from reparam.errors import ReparamError
from reparam.metrics.arrays import Array, squared_distances, two, vectors
from reparam.metrics.bootstrap import TIMES, percentiles, resampled, weights
from reparam.metrics.measure import Measure
from reparam.metrics.pairs import Pairwise, between, within

SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)

Prior = Callable[[int, torch.Generator], Tensor]
"""(n, generator) → (n, d)."""


class Kernel(NamedTuple):
    """A positive definite function of two sets of vectors and the words for it."""

    name: str
    of: Pairwise


def inverse_multiquadratic(sigma: float = 1.0, scales: tuple[float, ...] = SCALES) -> Kernel:
    """Σ over scales s of s·C / (s·C + ‖x − y‖²), C = 2·d·σ²; WAE's code, which sums over scales."""

    def of(x: Tensor, y: Tensor) -> Tensor:
        squared = squared_distances(x, y)
        total = torch.zeros_like(squared)
        for s in scales:
            c = s * 2 * x.shape[1] * sigma**2
            total += c / (c + squared)
        return total

    return Kernel(
        f"inverse multiquadratic kernel, σ {sigma:g}, scales {', '.join(f'{s:g}' for s in scales)}", of
    )


def rbf(bandwidth: float) -> Kernel:
    """exp(−‖x − y‖² / (2·bandwidth²))."""
    return Kernel(
        f"RBF kernel, bandwidth {bandwidth:g}",
        lambda x, y: torch.exp(-squared_distances(x, y) / (2 * bandwidth**2)),
    )


def median_distance(data: Array) -> float:
    """Median distance between two of the data (n, d): the usual bandwidth of `rbf` (Gretton et al. 2012, §8).

    Of the data alone, so that one kernel serves every model held against them. Raises ReparamError if more
    than half of the pairs are the same point twice.
    """
    x = vectors(data, "data")
    value = torch.pdist(x).median().item()
    if value == 0:
        raise ReparamError("median_distance: most of the data are one point; give a bandwidth instead.")
    return value


def mmd2(x: Tensor, y: Tensor, kernel: Kernel, x_weights: Tensor, y_weights: Tensor) -> Tensor:
    """Unbiased MMD² with weighted examples: (n, d), (m, d), (r, n), (r, m) → (r,); may be negative."""
    return (
        within(kernel.of, x, x_weights)
        + within(kernel.of, y, y_weights)
        - 2 * between(kernel.of, x, y, x_weights, y_weights)
    )


def _ones(x: Tensor) -> Tensor:
    return x.new_ones(1, len(x))


def mmd(
    x: Array, y: Array, kernel: Kernel, *, of: str = "the given vectors", seed: int = 0, times: int = TIMES
) -> Measure:
    """Unbiased MMD² between `x` (n, d) and `y` (m, d), unit of the kernel.

    The interval resamples the examples of both sides and takes the U-statistic of each resample. Away
    from equality this is the consistent bootstrap of a U-statistic (Arcones and Giné 1992). At equality
    the statistic is degenerate and the resamples spread about √3 times too far: the interval is then too
    wide, not too narrow. The means over blocks of Bińkowski et al. 2018 would show the spread at the
    size of a block, not at n.

    Raises ReparamError on other shapes, different widths or numbers that are not finite.
    """
    x, y = two(x, y, ("the first set", "the second set"))
    value = mmd2(x, y, kernel, _ones(x), _ones(y)).item()
    draws = mmd2(
        x, y, kernel, weights(len(x), seed=seed, times=times), weights(len(y), seed=seed + 1, times=times)
    )
    low, high = percentiles(draws.numpy())
    how = (
        f"Unbiased MMD² of {len(x)} against {len(y)} examples on {of}, {kernel.name}; "
        f"{resampled(seed, times)}."
    )
    return Measure(value, low, high, len(x), "MMD²", "lower", how)


def standard_normal(d: int) -> Prior:
    """The prior N(0, I) in d dimensions."""
    return lambda n, generator: torch.randn(n, d, generator=generator, dtype=torch.float64)


def null_quantile(
    prior: Prior, n: int, kernel: Kernel, *, m: int | None = None, seed: int = 0, times: int = 200
) -> Measure:
    """95 % quantile of the MMD² of n prior draws against m (default n) others: below it, nothing is proven.

    Draw i uses a generator of seed `seed + i`. Raises ReparamError if n or m is below 2.
    """
    m = n if m is None else m
    if min(n, m) < 2:
        raise ReparamError(
            f"null_quantile: n and m are {n} and {m}; an unbiased MMD² needs 2 examples a side."
        )

    def one(generator: torch.Generator) -> float:
        x, y = prior(n, generator).double(), prior(m, generator).double()
        return mmd2(x, y, kernel, _ones(x), _ones(y)).item()

    draws = [one(torch.Generator().manual_seed(seed + i)) for i in range(times)]
    how = (
        f"95 % quantile of {times} unbiased MMD² of {n} prior draws against {m} others, {kernel.name}, "
        f"seeds {seed} to {seed + times - 1}."
    )
    return Measure(float(np.quantile(draws, 0.95)), None, None, n, "MMD²", "lower", how)
