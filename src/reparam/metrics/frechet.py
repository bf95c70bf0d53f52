"""Fréchet distance of two Gaussians fitted to features: Dowson and Landau 1982; Heusel et al. 2017 (FID)."""

import math

import numpy as np
import torch
from torch import Tensor

from reparam.errors import ReparamError
from reparam.metrics.arrays import Array, two, vectors
from reparam.metrics.measure import Measure


def _distance(mean_a: Tensor, root_a: Tensor, mean_b: Tensor, root_b: Tensor) -> float:
    """‖μ_a − μ_b‖² + tr(A + B − 2(AB)^½) from roots with A = root_aᵀ root_a and B alike.

    tr (AB)^½ is the sum of the singular values of root_a root_bᵀ: no square root of a near-singular
    product is taken, so nothing turns complex and no small constant is added to the diagonal.
    """
    overlap = torch.linalg.svdvals(root_a @ root_b.T).sum()
    spread = root_a.square().sum() + root_b.square().sum() - 2 * overlap
    return max(0.0, ((mean_a - mean_b).square().sum() + spread).item())  # rounding alone can go below 0


def between_gaussians(mean_a: Tensor, cov_a: Tensor, mean_b: Tensor, cov_b: Tensor) -> float:
    """Fréchet distance (squared 2-Wasserstein) of two Gaussians: means (d,), covariances (d, d)."""

    def root(cov: Tensor) -> Tensor:
        values, columns = torch.linalg.eigh(cov.double())
        return values.clamp(min=0).sqrt()[:, None] * columns.T

    return _distance(mean_a.double(), root(cov_a), mean_b.double(), root(cov_b))


def _fit(x: Tensor) -> tuple[Tensor, Tensor]:
    mean = x.mean(0)
    root = torch.linalg.qr((x - mean) / math.sqrt(len(x) - 1), mode="r").R
    return mean, root


def frechet(samples: Array, data: Array, *, of: str = "the given vectors") -> Measure:
    """Fréchet distance of the features of samples (n, d) and data (m, d); unit: squared feature units.

    It is biased upwards in n: quote `frechet_floor` at the same n beside it. It has no interval, because
    a resample holds fewer distinct examples and so is biased further up than the value itself. Raises
    ReparamError on other shapes, different widths or numbers that are not finite.
    """
    x, y = two(samples, data)
    how = f"Fréchet distance of {len(x)} samples against {len(y)} data on {of}, float64."
    return Measure(
        _distance(*_fit(x), *_fit(y)), None, None, len(x), "squared feature distance", "lower", how
    )


def frechet_floor(
    data: Array, n: int | None = None, *, of: str = "the given vectors", seed: int = 0
) -> Measure:
    """Fréchet distance of two disjoint random sets of n (default: half) of the data: the bias at that n.

    Raises ReparamError if the data hold fewer than 2·n examples.
    """
    x = vectors(data, "data", least=4)
    n = len(x) // 2 if n is None else n
    if 2 * n > len(x) or n < 2:
        raise ReparamError(
            f"frechet_floor: two sets of n = {n} out of {len(x)} data; n must be 2 to {len(x) // 2}."
        )
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(x)))
    value = _distance(*_fit(x[order[:n]]), *_fit(x[order[n : 2 * n]]))
    how = f"Fréchet distance of {n} data against {n} others on {of}, float64, split by seed {seed}."
    return Measure(value, None, None, n, "squared feature distance", "lower", how)
