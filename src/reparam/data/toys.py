"""Toys in the plane, drawn from a fixed seed. Their coordinates matter: they are never standardised."""

import numpy as np

from reparam.data.raw import Part, Raw

N = 100_000
_AT, _ANGLE = np.arange(-4.0, 5.0, 2.0), np.arange(8) * np.pi / 4
# The centres (k, 2) and σ of those that are mixtures.
MODES: dict[str, tuple[np.ndarray, float]] = {
    "25gaussians": (np.stack(np.meshgrid(_AT, _AT, indexing="ij"), -1).reshape(25, 2), 0.05),
    "8gaussians": (2 * np.stack([np.cos(_ANGLE), np.sin(_ANGLE)], 1), 0.02),
}


def gaussians25() -> Raw:
    """A 5 × 5 grid of modes at {−4, −2, 0, 2, 4}², σ = 0.05 (Gulrajani et al. 2017, arXiv:1704.00028, §5;
    without their final division by 2.828). The label is the mode."""
    return _mixture("25gaussians")


def gaussians8() -> Raw:
    """Eight modes on a ring of radius 2, σ = 0.02 (Metz et al. 2017, arXiv:1611.02163, §3.1).
    The label is the mode."""
    return _mixture("8gaussians")


def swissroll2d() -> Raw:
    """t (cos t, sin t) with t uniform on [1.5π, 4.5π], noise σ = 0.25, all divided by 7.5 (as in the code of
    Gulrajani et al. 2017). Unlabelled."""
    draw = np.random.Generator(np.random.PCG64(3))
    t = 1.5 * np.pi * (1 + 2 * draw.random(N))
    x = t[:, None] * np.stack([np.cos(t), np.sin(t)], 1) + 0.25 * draw.standard_normal((N, 2))
    return _toy("swissroll2d", Part(x / 7.5))


def _mixture(name: str) -> Raw:
    modes, std = MODES[name]
    draw = np.random.Generator(np.random.PCG64(len(modes)))
    y = np.arange(N) % len(modes)  # as many of each, to the row
    return _toy(name, Part(modes[y] + std * draw.standard_normal((N, 2)), y))


def _toy(name: str, part: Part) -> Raw:
    return Raw(
        name, name, {"train": part}, standardise=False, licence="none needed", source="drawn from its formula"
    )
