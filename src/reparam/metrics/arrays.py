"""What measures accept, checked once: vectors (n, d) and images (n, c, h, w) in [0, 1]."""

import numpy as np
import torch
from torch import Tensor

from reparam.errors import ReparamError

Array = Tensor | np.ndarray


def _tensor(x: Array) -> Tensor:
    return (x.detach() if isinstance(x, Tensor) else torch.from_numpy(np.ascontiguousarray(x))).cpu()


def _finite(x: Tensor, what: str) -> None:
    bad = int((~torch.isfinite(x)).flatten(1).any(1).sum()) if x.ndim > 1 else int((~torch.isfinite(x)).sum())
    if bad:
        raise ReparamError(
            f"{what}: {bad} of {len(x)} rows hold NaN or infinity; a measure needs finite numbers."
        )


def vector(x: Array, what: str = "values", least: int = 1) -> Tensor:
    """`x` as a finite float64 tensor (n,) on the CPU, or a ReparamError that names `what`."""
    t = _tensor(x).double()
    if t.ndim != 1 or len(t) < least:
        raise ReparamError(f"{what}: expected shape (n,) with n ≥ {least}, got {tuple(t.shape)}.")
    _finite(t, what)
    return t


def vectors(x: Array, what: str = "vectors", least: int = 2) -> Tensor:
    """`x` as a finite float64 tensor (n, d) on the CPU, or a ReparamError that names `what`."""
    t = _tensor(x).double()
    if t.ndim != 2 or len(t) < least:
        raise ReparamError(f"{what}: expected shape (n, d) with n ≥ {least}, got {tuple(t.shape)}.")
    _finite(t, what)
    return t


def two(
    x: Array, y: Array, what: tuple[str, str] = ("samples", "data"), least: int = 2
) -> tuple[Tensor, Tensor]:
    """Two sets of `vectors` of the same width, or a ReparamError."""
    a, b = vectors(x, what[0], least), vectors(y, what[1], least)
    if a.shape[1] != b.shape[1]:
        raise ReparamError(
            f"{what[0]} have {a.shape[1]} features and {what[1]} {b.shape[1]}; both need the same."
        )
    return a, b


def images(x: Array, what: str = "images") -> Tensor:
    """`x` as a finite float tensor (n, c, h, w) in [0, 1], c 1 or 3, on the CPU, or a ReparamError."""
    t = _tensor(x)
    if t.ndim != 4 or len(t) == 0 or t.shape[1] not in (1, 3):
        raise ReparamError(f"{what}: expected shape (n, 1 or 3, h, w) with n ≥ 1, got {tuple(t.shape)}.")
    if not t.is_floating_point():
        raise ReparamError(f"{what}: expected floats in [0, 1], got {t.dtype}; divide bytes by 255 first.")
    _finite(t, what)
    low, high = t.min().item(), t.max().item()
    if low < -1e-6 or high > 1 + 1e-6:
        raise ReparamError(
            f"{what}: values reach from {low:.3g} to {high:.3g}, expected [0, 1]; rescale or clamp them."
        )
    return t


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """‖xᵢ − yⱼ‖², (n, d) and (m, d) → (n, m)."""
    # Distances do not change with the origin, cancellation does: centring keeps the expanded square accurate.
    centre = y.mean(0)
    x, y = x - centre, y - centre
    return (x.square().sum(1)[:, None] + y.square().sum(1) - 2 * x @ y.T).clamp(min=0)
