"""dSprites by formula (Matthey et al. 2017): a white sprite on black, every factor of the picture known.

Shapes, sizes and places are measured from the pictures of the published set; its pixels are not copied.
Differences: a pixel is white where the sprite covers more than half of it (there: by a rasteriser without
antialiasing), and the heart stands with its centre of mass on the position (there: 2 pixels above).
"""

import math

import numpy as np

from reparam.data.prepare import uniforms
from reparam.data.raw import Part, Raw
from reparam.errors import ReparamError

SIDE = 64
SIZES = {"shape": 3, "scale": 6, "orientation": 40, "x": 32, "y": 32}
SHAPES = ("square", "ellipse", "heart")
N = math.prod(SIZES.values())  # 737,280
SPLITS = {"train": 24_000, "validation": 3_000, "test": 3_000}

HALF_SQUARE = 9.6  # pixels at scale 1
AXES = (12.8, 7.2)  # the ellipse's halves, lying
HEART = 11.2  # a square of this side on its corner, and a disc on each of its upper sides
CENTROID = HEART * (math.pi / 8 + 1 / 6) / math.sqrt(2) / (1 + math.pi / 4)  # above the square's middle
REACH = (13.6, 12.8, 10.5)  # of each shape from its centre
FINE = 5  # FINE² points a pixel, odd: no ties


def factors(rows: np.ndarray) -> dict[str, np.ndarray]:
    """The factors of rows (n,) of the whole set, each (n,) int64; y varies fastest, as published."""
    rows = np.asarray(rows)
    if rows.ndim != 1 or rows.dtype.kind not in "iu" or (len(rows) and not 0 <= rows.min() <= rows.max() < N):
        raise ReparamError(f"dsprites: rows must be whole numbers from 0 to {N - 1:,}, of shape (n,).")
    return dict(zip(SIZES, np.unravel_index(rows.astype(np.int64), tuple(SIZES.values())), strict=True))


def render(rows: np.ndarray) -> np.ndarray:
    """The pictures of rows (n,) of the whole set: (n, 1, 64, 64) uint8, 0 and 255.

    Scale is 0.5 to 1 in steps of 0.1, orientation 0 to 2π counter-clockwise in steps of 2π/39 (the last
    equals the first, as published), x (to the right) and y (downwards) 16 to 48 pixels in steps of 32/31.
    """
    known = factors(rows)
    x = np.zeros((len(rows), 1, SIDE, SIDE), np.uint8)
    for shape in range(len(SHAPES)):
        for scale in range(SIZES["scale"]):
            alike = np.flatnonzero((known["shape"] == shape) & (known["scale"] == scale))
            # Sixteen at a time stay in the cache: three times as fast as hundreds.
            for part in np.split(alike, range(16, len(alike), 16)):
                place = np.stack([known["x"][part], known["y"][part]])
                _draw(x, part, shape, 0.5 + 0.1 * scale, known["orientation"][part], place)
    return x


def _draw(
    pictures: np.ndarray,
    rows: np.ndarray,
    shape: int,
    scale: float,
    orientation: np.ndarray,
    place: np.ndarray,
) -> None:
    """Draws one shape of one scale into `rows` (n,) of the pictures, at `place` (2, n) of 0 … 31."""
    centre = 16 + 32 / 31 * place
    window = 2 * math.ceil(REACH[shape] * scale + 0.5)
    corner = np.round(centre).astype(np.int64) - window // 2
    points = (np.arange(window * FINE) + 0.5) / FINE
    dx, dy = (((corner - centre)[..., None] + points) / scale).astype(np.float32)
    # Modulo: cos 2π is 1 to a rounding, and the last orientation is the first to the bit.
    angle = (orientation % 39 * (2 * np.pi / 39)).astype(np.float32)[:, None]
    cos, sin = np.cos(angle), np.sin(angle)
    # Turned back by the orientation, in pixels of scale 1: a to the right, b downwards.
    a = (dx * cos)[:, None, :] - (dy * sin)[:, :, None]
    b = (dx * sin)[:, None, :] + (dy * cos)[:, :, None]
    inside = _inside(shape, a, b).reshape(len(rows), window, FINE, window, FINE)
    white = inside.sum((2, 4), dtype=np.uint8) > FINE**2 // 2
    i, j = corner[1][:, None] + np.arange(window), corner[0][:, None] + np.arange(window)
    pictures[rows[:, None, None], 0, i[:, :, None], j[:, None, :]] = 255 * white.astype(np.uint8)


def _inside(shape: int, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    if SHAPES[shape] == "square":
        return np.maximum(np.abs(a), np.abs(b)) <= HALF_SQUARE
    if SHAPES[shape] == "ellipse":
        return (a / AXES[0]) ** 2 + (b / AXES[1]) ** 2 <= 1
    across, up, middle = np.abs(a), CENTROID - b, HEART / math.sqrt(8)
    disc = (across - middle) ** 2 + (up - middle) ** 2 <= (HEART / 2) ** 2
    return disc | (across + np.abs(up) <= HEART / math.sqrt(2))


def dsprites() -> Raw:
    """30,000 fixed random rows of the 737,280: all of them would be 3 GB. The label is the shape."""
    order = uniforms(20170401).random(N).argsort(kind="stable")
    rows = np.split(order[: sum(SPLITS.values())], np.cumsum(list(SPLITS.values()))[:-1])
    known = {split: factors(own) for split, own in zip(SPLITS, rows, strict=True)}
    return Raw(
        "dsprites",
        "dsprites",
        {s: Part(render(own), known[s]["shape"]) for s, own in zip(SPLITS, rows, strict=True)},
        classes=SHAPES,
        attributes={name: {s: known[s][name] for s in SPLITS} for name in SIZES},
    )
