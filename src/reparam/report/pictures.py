"""Pictures of what a model makes: grids of images and clouds of points.

Images are enlarged by whole numbers, nearest neighbour, so that no blur is seen that the model did not make.
What is not picture (gaps, margins) is transparent, so that one file suits a light and a dark page.
"""

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from reparam.errors import ReparamError
from reparam.report.files import write_atomic
from reparam.report.ticks import short, ticks

# Petroff (2021), "Accessible color sequences for data visualization": ten for every colour vision.
PALETTE = (
    (63, 144, 218), (255, 169, 14), (189, 31, 1), (148, 164, 162), (131, 45, 182),
    (169, 107, 89), (231, 99, 0), (185, 172, 112), (113, 117, 129), (146, 218, 221),
)  # fmt: skip
INK = (122, 122, 122, 255)  # readable on white and on near-black
NOT_FINITE = (255, 0, 255)
CELL, WIDEST = 64, 1600  # automatic enlargement: cells of about 64 pixels, pictures of at most 1600

Pixels = npt.NDArray[np.uint8]


def channels_note(channels: int) -> str | None:
    """What pictures leave out of images with this many channels, to be said beside them; None if nothing."""
    if channels in (1, 3):
        return None
    if channels == 4:
        return "Images have 4 channels, shown as colour and opacity over white."
    shown = "the first, as grey" if channels == 2 else "the first three, as red, green and blue"
    return f"Images have {channels} channels; the pictures show {shown}."


def grid(
    images: Tensor, columns: int | None = None, *, gap: int = 2, scale: int | None = None
) -> Image.Image:
    """Images (n, c, h, w) in [0, 1], row by row; as square as possible unless told how many columns."""
    cells = _cells(images, "grid", 4)
    columns = columns or int(np.ceil(np.sqrt(len(cells))))
    rows = [cells[i : i + columns] for i in range(0, len(cells), columns)]
    return _mosaic(rows, [gap] * (len(rows) - 1), gap, scale)


def pairs(
    originals: Tensor, reconstructions: Tensor, columns: int = 8, *, gap: int = 2, scale: int | None = None
) -> Image.Image:
    """Two sets (n, c, h, w) in [0, 1]: rows of originals, each above its reconstructions."""
    return stacked(originals, reconstructions, columns=columns, gap=gap, scale=scale)


def stacked(*sets: Tensor, columns: int = 8, gap: int = 2, scale: int | None = None) -> Image.Image:
    """Sets (n, c, h, w) in [0, 1] of which each belongs to the one before: below one another, in rows."""
    cells = [_cells(each, "stacked", 4) for each in sets]
    if len({each.shape for each in sets}) > 1:
        raise ReparamError(
            f"stacked: the sets {' and '.join(str(tuple(each.shape)) for each in sets)} differ in shape"
        )
    if len({each.shape for each in cells}) > 1:  # some had pixels that are not finite, and became coloured
        cells = [_coloured(each) for each in cells]
    rows = [each[i : i + columns] for i in range(0, len(cells[0]), columns) for each in cells]
    gaps = [4 * gap if i % len(cells) == 0 else gap for i in range(1, len(rows))]
    return _mosaic(rows, gaps, gap, scale)


def interpolation(strip: Tensor, *, gap: int = 2, scale: int | None = None) -> Image.Image:
    """Walks (rows, steps, c, h, w) in [0, 1], one walk a row, from left to right."""
    if strip.ndim != 5:
        raise ReparamError(f"interpolation: expected (rows, steps, c, h, w), got shape {tuple(strip.shape)}")
    cells = _cells(strip.flatten(0, 1), "interpolation", 4)
    rows = [cells[i : i + strip.shape[1]] for i in range(0, len(cells), strip.shape[1])]
    return _mosaic(rows, [2 * gap] * (len(rows) - 1), gap, scale)


def scatter(
    points: Any,
    labels: Any = None,
    prior: Any = None,
    *,
    size: int = 480,
    limits: tuple[float, float, float, float] | None = None,
    names: list[str] | None = None,
    under: str = "prior",
) -> Image.Image:
    """Points (n, 2) as a cloud, coloured by integer labels, over an optional cloud in grey: `under`.

    Both axes have one scale. ``limits`` (left, right, bottom, top) makes pictures of several models
    comparable; points outside, or not finite, are counted under the picture. ``names[k]`` stands for label k
    in the legend.
    """
    cloud, below = _points(points), _points(prior) if prior is not None else np.zeros((0, 2))
    colours = np.zeros(len(cloud), dtype=int) if labels is None else _array(labels).astype(int).reshape(-1)
    if len(colours) != len(cloud):
        raise ReparamError(f"scatter: {len(cloud)} points but {len(colours)} labels")
    left, right, bottom, top = _square(limits or _limits(np.concatenate([cloud, below])))
    over = 3  # drawn three times as large, then reduced: smooth dots without a drawing library
    kinds = [] if labels is None else sorted({int(k) for k in colours})
    margin, beside = 34, 70 if kinds or len(below) else 0
    image = Image.new("RGBA", ((size + margin + beside) * over, (size + margin) * over), (*INK[:3], 0))
    box = (margin * over, 4 * over, (size + margin - 6) * over, size * over)

    def place(xy: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        across = (xy[:, 0] - left) / (right - left) * (box[2] - box[0]) + box[0]
        return np.stack([across, box[3] - (xy[:, 1] - bottom) / (top - bottom) * (box[3] - box[1])], axis=1)

    radius = over * float(np.clip(90 / np.sqrt(max(len(cloud), 1)), 1.1, 4))
    _dots(image, place(below), [(*INK[:3], 110)] * len(below), 0.8 * radius, box)
    seen = _dots(image, place(cloud), [(*PALETTE[k % 10], 190) for k in colours], radius, box)
    image = image.resize((image.width // over, image.height // over), Image.Resampling.LANCZOS)
    frame = (box[0] // over, box[1] // over, box[2] // over, box[3] // over)
    _axes(image, frame, (left, right, bottom, top), len(cloud) - seen)
    entries = [
        (names[k] if names and 0 <= k < len(names) else str(k), (*PALETTE[k % 10], 255)) for k in kinds[:20]
    ]
    entries += [(f"+ {len(kinds) - 20} more", INK)] if len(kinds) > 20 else []
    legend(image, frame, entries + ([(under, (*INK[:3], 110))] if len(below) else []))
    return image


def save(image: Image.Image, path: Path | str) -> Path:
    """Write a PNG, whole or not at all."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return write_atomic(path, buffer.getvalue())


def _array(values: Any) -> Any:
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)


def _cells(images: Tensor, who: str, dims: int) -> Pixels:
    """(n, c, h, w) in [0, 1] to (n, h, w, 1 or 3) bytes; pixels that are not finite become magenta."""
    if images.ndim != dims or 0 in images.shape:
        raise ReparamError(
            f"{who}: expected images (n, c, h, w), none of them empty, got shape {tuple(images.shape)}"
        )
    values = images.detach().cpu().float().numpy().transpose(0, 2, 3, 1)
    finite = np.isfinite(values).all(axis=-1)
    values = np.clip(np.nan_to_num(values), 0, 1)
    if values.shape[-1] == 4:
        values = values[..., :3] * values[..., 3:] + 1 - values[..., 3:]
    values = values[..., :3] if values.shape[-1] >= 3 else values[..., :1]
    pixels = np.rint(values * 255).astype(np.uint8)
    if not finite.all():
        pixels = _coloured(pixels)
        pixels[~finite] = NOT_FINITE
    return pixels


def _coloured(pixels: Pixels) -> Pixels:
    return np.repeat(pixels, 3, axis=-1) if pixels.shape[-1] == 1 else pixels


def _mosaic(rows: list[Pixels], row_gaps: list[int], gap: int, scale: int | None) -> Image.Image:
    """Rows of cells on a transparent ground; ``row_gaps[i]`` pixels between rows i and i + 1."""
    columns, (height, width, channels) = max(len(row) for row in rows), rows[0].shape[1:]
    if scale is None:
        scale = max(1, min(-(-CELL // max(height, width)), WIDEST // (columns * width)))
    height, width = height * scale, width * scale
    size = (len(rows) * height + sum(row_gaps), columns * width + (columns - 1) * gap, channels + 1)
    canvas = np.zeros(size, dtype=np.uint8)
    top = 0
    for row, below in zip(rows, [*row_gaps, 0], strict=True):
        for column, cell in enumerate(row):
            left = column * (width + gap)
            target = canvas[top : top + height, left : left + width]
            target[..., :channels] = cell.repeat(scale, axis=0).repeat(scale, axis=1)
            target[..., channels] = 255
        top += height + below
    return Image.fromarray(canvas)  # two channels: grey and opacity; four: colour and opacity


def _points(values: Any) -> npt.NDArray[np.float64]:
    points = _array(values).astype(np.float64)
    if points.ndim != 2 or points.shape[1] != 2:
        raise ReparamError(f"scatter: expected points (n, 2), got shape {points.shape}")
    return points


def _limits(points: npt.NDArray[np.float64]) -> tuple[float, float, float, float]:
    points = points[np.isfinite(points).all(axis=1)]
    if len(points) == 0:
        return -1.0, 1.0, -1.0, 1.0
    (left, bottom), (right, top) = points.min(axis=0), points.max(axis=0)
    return float(left), float(right), float(bottom), float(top)


def _square(limits: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    """The smallest square about the limits, a little larger."""
    left, right, bottom, top = limits
    half = 0.53 * max(right - left, top - bottom, 1e-6)
    across, up = (left + right) / 2, (bottom + top) / 2
    return across - half, across + half, up - half, up + half


def _dots(
    image: Image.Image,
    places: npt.NDArray[np.float64],
    colours: list[tuple[int, int, int, int]],
    radius: float,
    box: tuple[int, int, int, int],
) -> int:
    """Draw the dots inside the box; return how many."""
    draw, count = ImageDraw.Draw(image), 0
    for (x, y), colour in zip(places, colours, strict=True):
        if box[0] <= x <= box[2] and box[1] <= y <= box[3]:
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
            count += 1
    return count


def _axes(
    image: Image.Image, frame: tuple[int, ...], limits: tuple[float, float, float, float], missing: int
) -> None:
    """Frame and round ticks; with a hyphen for minus, which the font Pillow brings does not have."""
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(size=11)
    left, top, right, bottom = frame
    draw.rectangle((left, top, right, bottom), outline=(*INK[:3], 110))
    for tick in ticks(limits[0], limits[1], 4):
        x = left + (tick - limits[0]) / (limits[1] - limits[0]) * (right - left)
        if left + 6 <= x <= right - 6:
            draw.line((x, bottom, x, bottom + 3), INK)
            draw.text((x, bottom + 5), short(tick).replace("−", "-"), INK, font, anchor="ma")
    for tick in ticks(limits[2], limits[3], 4):
        y = bottom - (tick - limits[2]) / (limits[3] - limits[2]) * (bottom - top)
        if top + 6 <= y <= bottom - 6:
            draw.line((left - 3, y, left, y), INK)
            draw.text((left - 5, y), short(tick).replace("−", "-"), INK, font, anchor="rm")
    if missing:
        draw.text((left, bottom + 17), f"{missing} points outside or not finite", INK, font)


def legend(image: Image.Image, frame: tuple[int, ...], entries: list[tuple[str, tuple[int, ...]]]) -> None:
    """Writes names beside their colours, to the right of a frame."""
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(size=12)
    for row, (name, colour) in enumerate(entries):
        x, y = frame[2] + 12, frame[1] + 8 + 18 * row
        draw.rounded_rectangle((x, y - 4, x + 9, y + 5), 2, fill=colour)
        draw.text((x + 15, y), name, INK, font, anchor="lm")
