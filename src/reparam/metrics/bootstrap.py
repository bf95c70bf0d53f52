"""Percentile bootstrap over examples (Efron 1979): 95 % intervals, seeded, many resamples at a time."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from reparam.metrics.arrays import Array, vector

TIMES = 1000


def resampled(seed: int, times: int = TIMES) -> str:
    """The words for an interval, to stand in a measure's `how`."""
    return f"bootstrap of {times} resamples, seed {seed}"


def percentiles(draws: Array) -> tuple[float, float]:
    """The 2.5 % and 97.5 % quantiles of `draws` (times,)."""
    low, high = np.quantile(np.asarray(draws), [0.025, 0.975])
    return float(low), float(high)


def recentred(
    draws: Array, value: float, least: float = -np.inf, most: float = np.inf
) -> tuple[float, float]:
    """`percentiles` of draws moved to have `value` as their mean, kept between `least` and `most`.

    For entropies of counts: their bias of about (cells − 1) / 2n enters a resample a second time, and the
    plain interval may lie beside the value.
    """
    shift = value - float(np.asarray(draws).mean())
    low, high = percentiles(np.asarray(draws) + shift)
    return max(low, least), min(high, most)


def interval(
    statistic: Callable[..., np.ndarray], *samples: Array, seed: int = 0, times: int = TIMES
) -> tuple[float, float]:
    """The 95 % percentile interval of `statistic` over `samples`, each (nᵢ,) and resampled independently.

    `statistic` maps resamples (rows, n₁), (rows, n₂), … to (rows,): reduce over the last axis.
    """
    rng = np.random.default_rng(seed)
    arrays = [vector(s).numpy() for s in samples]
    rows = max(1, 2_000_000 // sum(len(a) for a in arrays))  # bounds memory near 32 MB
    draws = [
        statistic(*(a[rng.integers(len(a), size=(min(rows, times - start), len(a)))] for a in arrays))
        for start in range(0, times, rows)
    ]
    return percentiles(np.concatenate(draws))


def share(flags: Array, *, seed: int = 0, times: int = TIMES) -> tuple[float, float]:
    """The 95 % interval of the mean of zeros and ones (n,).

    Where all are equal so is every resample, and n examples do not prove a share of 0 or 1: the open end is
    then Clopper and Pearson's, about 3.7/n away.
    """
    x = vector(flags)
    low, high = interval(mean, x, seed=seed, times=times)
    edge = 1 - 0.025 ** (1 / len(x))
    return (1 - edge if low == high == 1 else low), (edge if low == high == 0 else high)


def mean(x: np.ndarray) -> np.ndarray:
    """Mean over the last axis."""
    return x.mean(-1)


def ratio(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """Mean of `top` over mean of `bottom`, over the last axis."""
    return top.mean(-1) / bottom.mean(-1)


def pooled(top: Array, bottom: Array, *, seed: int = 0, times: int = TIMES) -> tuple[float, float]:
    """The 95 % interval of Σ top / Σ bottom over examples (n,) that own a part of both sums.

    For figures per word or per link: words of one sentence are dependent, so sentences are resampled.
    """
    both = torch.stack([vector(top), vector(bottom)], 1).numpy()
    rng = np.random.default_rng(seed)
    rows = max(1, 2_000_000 // len(both))
    sums = [
        both[rng.integers(len(both), size=(min(rows, times - start), len(both)))].sum(1)
        for start in range(0, times, rows)
    ]
    drawn = np.concatenate(sums)
    return percentiles(drawn[:, 0] / drawn[:, 1])


def weights(n: int, *, seed: int, times: int = TIMES) -> Tensor:
    """How often each of n examples appears in each resample: (times, n) float64, every row sums to n."""
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.multinomial(n, np.full(n, 1 / n), size=times).astype(np.float64))
