"""Lines over an axis, as PNG: what a study measured as something grew."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont

from reparam.errors import ReparamError
from reparam.report.pictures import INK, PALETTE, legend
from reparam.report.ticks import short, ticks

OVER = 3  # drawn so many times as large, then reduced: smooth lines without a drawing library
LEFT, TOP, RIGHT, BOTTOM = 52, 22, 150, 38  # margins; the legend stands in the right one


class Line(NamedTuple):
    """Points from left to right; joined, unless they are `dots`."""

    x: Sequence[float]
    y: Sequence[float]
    dots: bool = False


def lines(
    drawn: Mapping[str, Line],
    *,
    across: str,
    up: str,
    size: tuple[int, int] = (420, 260),
    log: bool = False,
    floor: float | None = None,
) -> Image.Image:
    """Named lines on one pair of axes, `across` and `up`; plain letters, which the font Pillow brings has.

    log spaces the horizontal axis by log(1 + x), so that 0 has a place; floor is the lowest value shown, at
    most. What is not finite is left out. Raises ReparamError where nothing is left.
    """
    points = {
        name: [(x, y) for x, y in zip(line.x, line.y, strict=True) if math.isfinite(y)]
        for name, line in drawn.items()
    }
    every = [point for some in points.values() for point in some]
    if not every:
        raise ReparamError(f"lines: nothing finite to draw over {across}.")
    (left, right), (low, high) = _ends([x for x, _ in every]), _ends([y for _, y in every])
    low, high = (low if floor is None else min(low, floor)), high + 0.04 * (high - low)
    frame = (LEFT, TOP, LEFT + size[0], TOP + size[1])

    def place(x: float, y: float) -> tuple[float, float]:
        along = _log_part(x, left, right) if log else (x - left) / (right - left)
        return frame[0] + along * size[0], frame[3] - (y - low) / (high - low) * size[1]

    whole = (LEFT + size[0] + RIGHT, TOP + size[1] + BOTTOM)
    image = Image.new("RGBA", (whole[0] * OVER, whole[1] * OVER), (*INK[:3], 0))
    draw = ImageDraw.Draw(image)
    for k, (name, some) in enumerate(points.items()):
        at, colour = [(OVER * x, OVER * y) for x, y in (place(*p) for p in some)], (*PALETTE[k % 10], 255)
        if not drawn[name].dots:
            draw.line(at, colour, 2 * OVER, joint="curve")
        radius = OVER * (4 if drawn[name].dots else 2)
        for x, y in at:
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
    image = image.resize(whole, Image.Resampling.LANCZOS)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(size=11)
    draw.rectangle(frame, outline=(*INK[:3], 110))
    for tick in _powers(right) if log else ticks(left, right, 4):
        x, _ = place(tick, low)
        draw.line((x, frame[3], x, frame[3] + 3), INK)
        draw.text((x, frame[3] + 5), short(tick).replace("−", "-"), INK, font, anchor="ma")
    for tick in ticks(low, high, 4):
        _, y = place(left, tick)
        draw.line((frame[0] - 3, y, frame[0], y), INK)
        draw.text((frame[0] - 5, y), short(tick).replace("−", "-"), INK, font, anchor="rm")
    draw.text((frame[2], whole[1] - 3), across, INK, font, anchor="rd")
    draw.text((4, TOP - 8), up, INK, font, anchor="ld")
    legend(image, frame, [(name, (*PALETTE[k % 10], 255)) for k, name in enumerate(drawn)])
    return image


def _ends(values: Sequence[float]) -> tuple[float, float]:
    """The least and the largest value, apart."""
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _log_part(x: float, left: float, right: float) -> float:
    start, end = math.log1p(left), math.log1p(right)
    return (math.log1p(x) - start) / (end - start)


def _powers(right: float) -> list[float]:
    return [0.0, *(10.0**k for k in range(math.floor(math.log10(max(right, 1))) + 1))]
