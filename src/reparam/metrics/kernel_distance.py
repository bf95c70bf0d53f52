"""Kernel distance (KID): unbiased MMD² with a cubic kernel on features, Bińkowski et al. 2018, section 4."""

import numpy as np
import torch
from torch import Tensor

from reparam.metrics.arrays import Array, vectors
from reparam.metrics.bootstrap import TIMES
from reparam.metrics.measure import Measure
from reparam.metrics.mmd import Kernel, mmd, mmd2


def _cubic(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T / x.shape[1] + 1).pow(3)


CUBIC = Kernel("kernel (x·y/d + 1)³", _cubic)


def kernel_distance(
    samples: Array, data: Array, *, of: str = "the given vectors", seed: int = 0, times: int = TIMES
) -> Measure:
    """KID of the features of samples (n, d) and data (m, d); unbiased in n, so it may be negative.

    Value and interval as in `mmd`. Raises ReparamError as `mmd` does.
    """
    return mmd(samples, data, CUBIC, of=of, seed=seed, times=times)


def kernel_distance_floor(
    data: Array, *, of: str = "the given vectors", seed: int = 0, times: int = 200
) -> Measure:
    """95 % quantile of KID between random halves of the data (n, d): what one law reaches by chance.

    The halves hold n // 2 examples, so quote it beside a distance measured at that n.
    """
    x = vectors(data, "data", least=4)
    half = len(x) // 2
    rng = np.random.default_rng(seed)
    order = torch.from_numpy(rng.permuted(np.tile(np.arange(len(x)), (times, 1)), axis=1))
    first = torch.zeros(times, len(x), dtype=torch.float64).scatter_(1, order[:, :half], 1.0)
    second = torch.zeros_like(first).scatter_(1, order[:, half : 2 * half], 1.0)
    value = float(np.quantile(mmd2(x, x, CUBIC, first, second).numpy(), 0.95))
    how = (
        f"95 % quantile of {times} KID of {half} data against {half} others on {of}, "
        f"{CUBIC.name}, seed {seed}."
    )
    return Measure(value, None, None, half, "MMD²", "lower", how)
