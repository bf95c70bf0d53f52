"""Codes beside the known factors of their data: what the measures of disentanglement take."""

from collections.abc import Mapping

import numpy as np
import torch

from reparam.errors import ReparamError
from reparam.metrics.arrays import Array, vectors

Factors = Mapping[str, Array]
"""Name → (n,) whole numbers: the value of the factor of each example."""


def beside(codes: Array, factors: Factors) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Codes as (n, d) float64, and those factors that vary, each (n,), its values numbered 0 … V − 1.

    Raises ReparamError on other shapes, fewer than 2 dimensions or 2 varying factors.
    """
    x = vectors(codes, "codes").numpy()
    varying = {}
    for name, given in factors.items():
        values = torch.as_tensor(given).cpu()
        if values.shape != (len(x),) or values.is_floating_point():
            raise ReparamError(
                f"factor {name!r} has shape {tuple(values.shape)} and type {values.dtype} for {len(x)} "
                "codes; expected one whole number for each."
            )
        known, numbered = np.unique(values.numpy(), return_inverse=True)
        if len(known) > 1:
            varying[name] = numbered
    if x.shape[1] < 2 or len(varying) < 2:
        raise ReparamError(
            f"disentanglement needs at least 2 code dimensions and 2 factors that vary; there are "
            f"{x.shape[1]} and {len(varying)} ({', '.join(varying) or 'none'})."
        )
    return x, varying


def split(
    train: Array, train_factors: Factors, test: Array, test_factors: Factors
) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray, dict[str, np.ndarray]]:
    """`beside` of both parts, the values numbered over both. Raises ReparamError if they do not match."""
    x, z = vectors(train, "training codes"), vectors(test, "test codes")
    if x.shape[1] != z.shape[1] or set(train_factors) != set(test_factors):
        raise ReparamError(
            f"training and test codes have {x.shape[1]} and {z.shape[1]} dimensions, factors "
            f"{', '.join(train_factors)} and {', '.join(test_factors)}; both must be the same."
        )
    both = {
        name: torch.cat([torch.as_tensor(values).cpu(), torch.as_tensor(test_factors[name]).cpu()])
        for name, values in train_factors.items()
    }
    codes, known = beside(torch.cat([x, z]), both)
    n = len(x)
    return codes[:n], {k: v[:n] for k, v in known.items()}, codes[n:], {k: v[n:] for k, v in known.items()}


def alike(values: np.ndarray, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """For each of `rows`, of any shape, a random row that has the same of `values` (n,), perhaps itself."""
    order = np.argsort(values, kind="stable")
    counts = np.bincount(values)
    first = np.cumsum(counts) - counts
    value = values[rows]
    return order[first[value] + (rng.random(rows.shape) * counts[value]).astype(np.int64)]


def listed(scores: Mapping[str, float]) -> str:
    """The words for a score of each factor."""
    return ", ".join(f"{name} {score:.2f}" for name, score in scores.items())
