"""Lines: toy pictures by which interpolation is judged (Berthelot et al. 2019, arXiv:1807.07543, §3.2)."""

import numpy as np

from reparam.data.raw import Part, Raw

SIDE = 32
THICKNESS = 2.0
SIZES = {"train": 10_000, "validation": 1_000, "test": 1_000}


def draw(angles: np.ndarray) -> np.ndarray:
    """Pictures of one line each, from the centre nearly to the edge: angles (n,) → (n, 1, 32, 32) uint8.

    A pixel's grey is the share of it that the line covers, by the distance of its middle from the line.
    """
    place = np.arange(SIDE) + 0.5 - SIDE / 2
    x, y = np.meshgrid(place, -place)
    cos, sin = np.cos(angles)[:, None, None], np.sin(angles)[:, None, None]
    along = (x * cos + y * sin).clip(0, SIDE / 2 - 2)
    distance = np.hypot(x - along * cos, y - along * sin)
    cover = (THICKNESS / 2 + 0.5 - distance).clip(0, 1)
    return np.rint(255 * cover).astype(np.uint8)[:, None]


def lines() -> Raw:
    """pictures of one line from the centre, at an angle uniform in [0, 2π); label: the tenth of the turn"""
    uniform = np.random.Generator(np.random.PCG64(32))
    turns = {split: uniform.random(n) for split, n in SIZES.items()}
    parts = {split: Part(draw(2 * np.pi * t), (10 * t).astype(np.int64)) for split, t in turns.items()}
    return Raw("lines", "lines", parts, licence="none needed", source="drawn from its formula")
