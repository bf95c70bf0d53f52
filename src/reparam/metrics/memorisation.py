"""Memorisation: are samples nearer to the training data than fresh data are? After Meehan et al. 2020."""

import numpy as np
import torch
from torch import Tensor

from reparam.errors import ReparamError
from reparam.metrics.arrays import Array, squared_distances, two
from reparam.metrics.bootstrap import interval, resampled
from reparam.metrics.measure import Measure


def nearest(x: Tensor, train: Tensor) -> Tensor:
    """Distance of each of (n, d) to its nearest of (m, d): (n,)."""
    return torch.cat([squared_distances(rows, train).min(1).values for rows in x.split(1024)]).sqrt()


def memorisation(
    samples: Array, held_out: Array, train: Array, *, of: str = "the given vectors", seed: int = 0
) -> Measure:
    """Median distance to the nearest of train (t, d), samples (n, d) over held-out data (m, d).

    Near 0: copies of the training data. Near 1: as near as fresh data. Above 1: off the data.
    Raises ReparamError on other shapes, different widths, or held-out data that repeat the training data.
    """
    x, t = two(samples, train, ("samples", "training data"), least=1)
    y, _ = two(held_out, train, ("held-out data", "training data"), least=1)
    ours, fresh = nearest(x, t), nearest(y, t)
    # Rounding leaves about 1e-8 of the data's own size between two copies.
    if fresh.median() <= 1e-6 * t.std():
        raise ReparamError(
            "memorisation: most held-out data also stand in the training data; split them first."
        )

    def medians(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.median(a, -1) / np.median(b, -1)

    how = (
        f"Median distance to the nearest of {len(t)} training examples on {of}, "
        f"{len(x)} samples over {len(y)} held-out examples; {resampled(seed)}."
    )
    value = float(medians(ours.numpy(), fresh.numpy()))
    low, high = interval(medians, ours, fresh, seed=seed)
    return Measure(value, low, high, len(x), "ratio to held-out data", "one", how)
