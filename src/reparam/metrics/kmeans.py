"""k-means: Lloyd 1982 from k-means++ starts (Arthur & Vassilvitskii 2007), the best of several."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from reparam.errors import ReparamError
from reparam.metrics.arrays import Array, squared_distances, vectors


class Clusters(NamedTuple):
    """The cluster of each point (n,), the centres (k, d), and the sum of squared distances to them."""

    of: Tensor
    centres: Tensor
    inertia: float


def kmeans(x: Array, k: int, *, starts: int = 20, iterations: int = 300, seed: int = 0) -> Clusters:
    """Points (n, d) in k clusters, the `starts` run of smallest inertia; float64, generator of its own.

    Raises ReparamError if there are fewer than k distinct points.
    """
    points = vectors(x, "points to cluster")
    if not 1 <= k <= (distinct := len(points.unique(dim=0))):
        raise ReparamError(f"kmeans: {k} clusters of {distinct} distinct points; expected 1 to {distinct}.")
    rng = np.random.default_rng(seed)
    runs = (_lloyd(points, _spread(points, k, rng), iterations) for _ in range(starts))
    return min(runs, key=lambda run: run.inertia)


def _spread(x: Tensor, k: int, rng: np.random.Generator) -> Tensor:
    """k-means++: each centre is a point, drawn in proportion to its squared distance from those before."""
    chosen = [int(rng.integers(len(x)))]
    nearest = (x - x[chosen[0]]).square().sum(1)
    for _ in range(k - 1):
        total = nearest.cumsum(0)
        chosen.append(int(torch.searchsorted(total, rng.random() * total[-1], right=True)))
        nearest = nearest.minimum((x - x[chosen[-1]]).square().sum(1))
    return x[chosen]


def _lloyd(x: Tensor, centres: Tensor, iterations: int) -> Clusters:
    k, of = len(centres), torch.full((len(x),), -1)
    for _ in range(iterations):
        squared, nearest = squared_distances(x, centres).min(1)
        if torch.equal(nearest, of):
            break
        of = nearest
        counts = torch.bincount(of, minlength=k)
        sums = torch.zeros_like(centres).index_add_(0, of, x)
        centres = torch.where(counts[:, None] > 0, sums / counts.clamp(min=1)[:, None], centres)
        for i, empty in enumerate(torch.nonzero(counts == 0).flatten().tolist()):
            centres[empty] = x[squared.argsort(descending=True)[i]]  # the worst served points found a new one
    squared, of = squared_distances(x, centres).min(1)
    return Clusters(of, centres, squared.sum().item())
