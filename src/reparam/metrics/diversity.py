"""Diversity: mean distance between two samples, against that between two data."""

import torch
from torch import Tensor

from reparam.errors import ReparamError
from reparam.metrics.arrays import Array, squared_distances, two
from reparam.metrics.bootstrap import TIMES, percentiles, resampled, weights
from reparam.metrics.measure import Measure
from reparam.metrics.pairs import within


def _distances(x: Tensor, y: Tensor) -> Tensor:
    return squared_distances(x, y).sqrt()


def diversity(
    samples: Array, data: Array, *, of: str = "the given vectors", seed: int = 0, times: int = TIMES
) -> Measure:
    """Mean pairwise Euclidean distance of samples (n, d) over that of data (m, d); below 1: too alike.

    Raises ReparamError on other shapes, different widths, or data that are all the same.
    """
    x, y = two(samples, data)

    def spread(z: Tensor, seed: int) -> Tensor:
        """Row 0: the set itself; the others: its resamples."""
        w = torch.cat([z.new_ones(1, len(z)), weights(len(z), seed=seed, times=times)])
        return within(_distances, z, w)

    ours, theirs = spread(x, seed), spread(y, seed + 1)
    if theirs[0] == 0:
        raise ReparamError("diversity: all data are the same point; there is no diversity to compare with.")
    ratios = ours / theirs
    low, high = percentiles(ratios[1:].numpy())
    how = (
        f"Mean pairwise distance of {len(x)} samples over that of {len(y)} data on {of}; "
        f"{resampled(seed, times)}."
    )
    return Measure(ratios[0].item(), low, high, len(x), "ratio to data", "one", how)
