"""Sliced Wasserstein distance: Rabin et al. 2012; Bonneel et al. 2015, section 3. Exact on every line."""

import numpy as np
import torch
from torch import Tensor

from reparam.errors import ReparamError
from reparam.metrics.arrays import Array, two
from reparam.metrics.bootstrap import percentiles, resampled, weights
from reparam.metrics.measure import Measure

PROJECTIONS, TIMES = 100, 200


def directions(d: int, projections: int = PROJECTIONS, *, seed: int = 0) -> Tensor:
    """Directions uniform on the sphere in d dimensions: (projections, d) float64, of length 1."""
    drawn = torch.from_numpy(np.random.default_rng(seed).standard_normal((projections, d)))
    return drawn / drawn.norm(dim=1, keepdim=True)


class _Lines:
    """A set projected onto lines: its values in order on each, and those of any resample."""

    def __init__(self, x: Tensor, onto: Tensor) -> None:
        self.ordered, self.order = (onto @ x.T).sort(1)  # (projections, n) both

    def resample(self, counts: Tensor) -> Tensor:
        """The ordered values with example i `counts[i]` times: (n,) with sum n → (projections, n)."""
        repeats = counts.long()[self.order].flatten()
        return self.ordered.flatten().repeat_interleave(repeats).view_as(self.ordered)


class _Quantiles:
    """Mean over lines of W₂² between n and m ordered values: an integral over the quantiles' levels."""

    def __init__(self, n: int, m: int) -> None:
        # Between two neighbouring multiples of 1/n or 1/m both quantile functions are constant.
        ends = torch.cat([torch.arange(1, n + 1) * m, torch.arange(1, m + 1) * n]).unique()
        self.ours, self.theirs = (ends - 1) // m, (ends - 1) // n
        self.widths = torch.diff(ends, prepend=ends.new_zeros(1)).double() / (n * m)

    def __call__(self, ours: Tensor, theirs: Tensor) -> float:
        return ((ours[:, self.ours] - theirs[:, self.theirs]).square() @ self.widths).mean().item()


def sliced_squared(x: Tensor, y: Tensor, onto: Tensor) -> float:
    """Mean over directions (p, d) of W₂² between the projections of (n, d) and of (m, d).

    For these directions it is exact of the two sets. Of the laws behind them it is biased upwards, by an
    amount that falls with n.
    """
    return _Quantiles(len(x), len(y))(_Lines(x, onto).ordered, _Lines(y, onto).ordered)


def sliced_wasserstein(
    samples: Array,
    data: Array,
    *,
    projections: int = PROJECTIONS,
    of: str = "the given vectors",
    seed: int = 0,
    times: int = TIMES,
) -> Measure:
    """Squared sliced Wasserstein-2 distance of samples (n, d) and data (m, d), in squared units of theirs.

    For two Gaussians that differ by a shift δ it is ‖δ‖²/d. Resampled sets stand to the sets as these to
    their laws, so twice the plug-in value less the resamples' mean lacks the plug-in's bias, to first
    order, and may be negative; the interval is the pivotal one, reflected at the plug-in value. Two values
    compare only at one choice of directions: one seed, one number. Raises ReparamError on other shapes,
    different widths, numbers that are not finite, or no projection.
    """
    if projections < 1:
        raise ReparamError(f"sliced_wasserstein: {projections} projections, expected at least 1.")
    x, y = two(samples, data)
    onto = directions(x.shape[1], projections, seed=seed)
    ours, theirs, distance = _Lines(x, onto), _Lines(y, onto), _Quantiles(len(x), len(y))
    plug_in = distance(ours.ordered, theirs.ordered)
    pairs = zip(
        weights(len(x), seed=seed, times=times), weights(len(y), seed=seed + 1, times=times), strict=True
    )
    draws = np.array([distance(ours.resample(a), theirs.resample(b)) for a, b in pairs])
    low, high = percentiles(2 * plug_in - draws)
    how = (
        f"Squared sliced Wasserstein-2 distance of {len(x)} samples against {len(y)} data on {of}, "
        f"{projections} directions, less its bias by the bootstrap; pivotal {resampled(seed, times)}."
    )
    return Measure(2 * plug_in - float(draws.mean()), low, high, len(x), "squared distance", "lower", how)
