"""What of a picture is taken to be missing: a half, a middle, a box at a drawn place, or a file's white."""

from pathlib import Path

import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from reparam.errors import ReparamError, unknown
from reparam.noise import Control, Shape, Streams, Uniform

NAMES = ("left", "right", "top", "bottom", "center", "box")
SOURCES = {"box": Uniform((2,))}  # where the corner of the box lies, between the picture's edges


def missing(where: str, n: int, shape: Shape, control: Control | int = 0) -> Tensor:
    """True where n pictures of a shape (c, h, w) are missing: (n, 1, h, w).

    Raises ReparamError for a name that is none of `NAMES` and no file, and for a file that is no picture of
    that size.
    """
    height, width = shape[1:]
    rows, columns = torch.arange(height).view(1, 1, -1, 1), torch.arange(width).view(1, 1, 1, -1)
    corner = torch.full((n, 2), 0.5)
    match where:
        case "left" | "right":
            gone = (columns < width // 2) if where == "left" else (columns >= width // 2)
            return gone.expand(n, 1, height, width)
        case "top" | "bottom":
            gone = (rows < height // 2) if where == "top" else (rows >= height // 2)
            return gone.expand(n, 1, height, width)
        case "box":
            corner = Streams(control).draw("box", SOURCES["box"], n, -1)
        case "center":
            pass
        case _:
            return _read(Path(where), height, width).expand(n, 1, height, width)
    return _within(rows, corner[:, 0], height) & _within(columns, corner[:, 1], width)


def _within(places: Tensor, corner: Tensor, side: int) -> Tensor:
    """Whether places lie in an interval of half the side, which begins at that share of what is free."""
    long = max(side // 2, 1)
    begin = (corner.view(-1, 1, 1, 1) * (side - long + 1)).long().clamp_max(side - long)
    return (places >= begin) & (places < begin + long)


def _read(path: Path, height: int, width: int) -> Tensor:
    if not path.is_file():
        raise (
            unknown("mask", str(path), NAMES) if not path.suffix else ReparamError(f"{path} does not exist.")
        )
    try:
        with Image.open(path) as picture:
            grey = picture.convert("L")
    except (UnidentifiedImageError, OSError) as error:
        raise ReparamError(f"{path} cannot be read as a picture ({error}).") from None
    if grey.size != (width, height):
        raise ReparamError(
            f"{path} is {grey.width}×{grey.height} and the pictures are {width}×{height} (width × height)."
        )
    return torch.frombuffer(bytearray(grey.tobytes()), dtype=torch.uint8).view(1, 1, height, width) > 127
