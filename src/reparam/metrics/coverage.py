"""Precision and recall (Kynkäänniemi et al. 2019); density and coverage (Naeem et al. 2020), on features."""

import torch
from torch import Tensor

from reparam.errors import ReparamError
from reparam.metrics.arrays import Array, squared_distances, two
from reparam.metrics.bootstrap import interval, mean, resampled, share
from reparam.metrics.measure import Better, Measure


def _radii(x: Tensor, k: int) -> Tensor:
    """Squared distance of each of (n, d) to its k-th nearest other: (n,)."""
    return squared_distances(x, x).fill_diagonal_(-1).kthvalue(k + 1, dim=1).values  # the first is itself


def coverage(
    samples: Array, data: Array, *, k: int = 5, of: str = "the given vectors", seed: int = 0
) -> dict[str, Measure]:
    """Precision, recall, density, coverage of samples (n, d) against data (m, d): k-neighbour balls.

    precision: share of samples inside some ball of the data; recall: share of data inside some ball of
    the samples; density: balls of the data around a sample, over k, 1 expected under one law; coverage:
    share of data whose ball holds a sample, 1 − Π_{i=1..k} (m − i)/(n + m − i) expected under one law.

    The intervals resample the examples that are judged and hold the balls fixed: copies in a resampled
    set would shrink its balls to nothing. Raises ReparamError unless both sets hold more than k examples
    of one width.
    """
    if k < 1:
        raise ReparamError(f"coverage: k is {k}, expected at least 1.")
    x, y = two(samples, data, least=k + 1)
    squared = squared_distances(x, y)
    in_data = squared <= _radii(y, k)  # (n, m): is sample i in the ball of datum j?
    in_samples = squared <= _radii(x, k)[:, None]  # (n, m): is datum j in the ball of sample i?
    per_example: dict[str, tuple[Tensor, Better]] = {
        "precision": (in_data.any(1).double(), "higher"),
        "recall": (in_samples.any(0).double(), "higher"),
        "density": (in_data.sum(1).double() / k, "one"),
        "coverage": (in_data.any(0).double(), "higher"),
    }
    how = (
        f"{{}} of {len(x)} samples against {len(y)} data on {of}, k = {k}; "
        f"{resampled(seed)}, balls held fixed."
    )
    return {
        name: Measure(
            torch.mean(judged).item(),
            *(interval(mean, judged, seed=seed) if name == "density" else share(judged, seed=seed)),
            len(x),
            "ratio" if name == "density" else "share",
            better,
            how.format(name.capitalize()),
        )
        for name, (judged, better) in per_example.items()
    }
