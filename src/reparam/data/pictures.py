"""Pictures: how one is decoded, cropped and stacked, and folders of them."""

import warnings
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from reparam.data.raw import Part, Raw
from reparam.errors import ReparamError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif")
SPLIT_FOLDERS = {
    "train": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}


def decode(image: Image.Image, size: int | None = None) -> np.ndarray:
    """(h, w, 1) uint8 if every pixel is grey, else (h, w, 3).

    Turned as its EXIF says, first frame only, transparency laid on white, 16 bits cut to 8.
    With `size`, cropped to the central square and resized (antialiased) to size × size.
    """
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):  # 16-bit grey: Pillow's own conversion would clip it at 255
        image = Image.fromarray((np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("L" if image.mode in ("1", "L") else "RGB")
    if size is not None:
        image = _square(image, size)
    pixels = np.asarray(image)
    if pixels.ndim == 2:
        return pixels[..., None]
    grey = (pixels == pixels[..., :1]).all()
    return pixels[..., :1] if grey else pixels


def fit(x: np.ndarray, size: int) -> np.ndarray:
    """Images (n, c, h, w) uint8 as (n, c, size, size), by `decode`'s crop and resize."""
    if x.shape[2:] == (size, size):
        return x
    channels = [np.asarray(_square(Image.fromarray(c), size)) for c in x.reshape(-1, *x.shape[2:])]
    return np.stack(channels).reshape(*x.shape[:2], size, size)


def _square(image: Image.Image, size: int) -> Image.Image:
    # Cropped first: a resize with a box, as ImageOps.fit does it, lets in pixels from outside the box.
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    image = image.crop((left, top, left + side, top + side))
    return image if side == size else image.resize((size, size), Image.Resampling.LANCZOS)


def channels_of(pictures: Iterable[np.ndarray]) -> int:
    """1 if every decoded picture is grey, else 3."""
    return max((p.shape[-1] for p in pictures), default=1)


def stack(pictures: list[np.ndarray], channels: int) -> np.ndarray:
    """Decoded pictures, grey and coloured mixed, as one (n, channels, h, w) uint8 array."""
    h, w = pictures[0].shape[:2]
    x = np.empty((len(pictures), channels, h, w), np.uint8)
    for row, picture in zip(x, pictures, strict=True):
        row[:] = picture.transpose(2, 0, 1)  # one grey channel is repeated into three
    return x


def check_sizes(pictures: list[np.ndarray], names: list[str], where: str) -> None:
    """An error naming two pictures that differ in size."""
    for picture, name in zip(pictures, names, strict=True):
        if picture.shape[:2] != pictures[0].shape[:2]:
            (h0, w0), (h, w) = pictures[0].shape[:2], picture.shape[:2]
            raise ReparamError(
                f"{where} holds pictures of different sizes: {names[0]} is {w0}×{h0} and {name} is {w}×{h} "
                "(width × height); give size=… to crop and resize all to one square."
            )


def skipped(bad: list[str], where: str) -> None:
    """Warn of unreadable pictures that were left out, all counted, the first twenty named."""
    if bad:
        more = f" and {len(bad) - 20:,} more" if len(bad) > 20 else ""
        warnings.warn(f"{where}: skipped {len(bad):,} unreadable: {', '.join(bad[:20])}{more}", stacklevel=2)


def folder(path: Path, size: int | None, skip_bad: bool) -> Raw:
    """All pictures under `path`, in the order of their names.

    The first level of subfolders names the classes, where there are two or more. Subfolders `train` and
    val/validation or test, where they exist, are the splits, and the classes lie below them.
    """
    files = _pictures_in(path)
    if not files:
        raise ReparamError(f"{path} holds no pictures ({', '.join(SUFFIXES)}), nor do its subfolders.")
    tops = {f.relative_to(path).parts[0] for f in files}
    roots = {SPLIT_FOLDERS[top]: path / top for top in tops if top in SPLIT_FOLDERS}
    if "train" not in roots or len(roots) == 1:
        roots = {"train": path}
    elif len(roots) < len(tops):
        raise ReparamError(
            f"{path} holds {', '.join(sorted(tops))}: beside train there can be one folder validation "
            "(or val) and one folder test, and nothing else."
        )
    if len(roots) == 1 and len(files) < 10:
        raise ReparamError(f"{path} holds {len(files)} pictures; at least 10 are needed to split them.")
    pictures = dict(zip(files, _decode_all(files, size), strict=True))
    bad = {f.relative_to(path).as_posix(): p for f, p in pictures.items() if isinstance(p, Exception)}
    if bad and not skip_bad:
        name, reason = next(iter(bad.items()))
        raise ReparamError(
            f"{path / name} cannot be read as a picture ({reason}); mend or remove it, "
            "or go on without such files by skip_bad (--skip-bad)."
        )
    skipped(list(bad), str(path))
    good = {f: p for f, p in pictures.items() if isinstance(p, np.ndarray)}
    check_sizes(list(good.values()), [f.relative_to(path).as_posix() for f in good], str(path))

    channels = channels_of(good.values())
    labels = _labels(list(good), roots)
    parts = {}
    for name, root in roots.items():
        mine = [p for f, p in good.items() if f.is_relative_to(root)]
        if not mine:
            raise ReparamError(f"{root} holds no readable pictures; every split needs at least one.")
        parts[name] = Part(stack(mine, channels), None if labels is None else labels[name])
    return Raw(path.resolve().name, str(path), parts)


def _pictures_in(path: Path) -> list[Path]:
    def hidden(file: Path) -> bool:  # thumbnails, and the "._x.png" that macOS leaves in archives
        return any(part.startswith(".") for part in file.relative_to(path).parts)

    files = (f for f in path.rglob("*") if f.suffix.lower() in SUFFIXES and not hidden(f) and f.is_file())
    return sorted(files, key=lambda f: f.relative_to(path).as_posix())


def _labels(files: list[Path], roots: dict[str, Path]) -> dict[str, np.ndarray] | None:
    """Split → (n,) names of the first subfolders; None where there are fewer than two of those."""
    inside = {
        name: [f.relative_to(root).parts for f in files if f.is_relative_to(root)]
        for name, root in roots.items()
    }
    every = [parts for split in inside.values() for parts in split]
    classes = {parts[0] for parts in every if len(parts) > 1}
    if len(classes) < 2:
        return None
    if stray := [parts[0] for parts in every if len(parts) == 1]:
        raise ReparamError(
            f"{' and '.join(map(str, roots.values()))}: pictures without a class ({stray[0]}) beside "
            f"subfolders that are classes ({min(classes)}); put every picture in a subfolder, or none."
        )
    return {name: np.array([parts[0] for parts in split]) for name, split in inside.items()}


def _decode_all(files: list[Path], size: int | None) -> list[np.ndarray | Exception]:
    with ThreadPoolExecutor() as pool:  # Pillow's decoders release the interpreter lock
        return list(pool.map(partial(_decode_file, size=size), files))


def _decode_file(file: Path, size: int | None) -> np.ndarray | Exception:
    try:
        with Image.open(file) as image:
            return decode(image, size)
    except Exception as error:  # a broken file can make a decoder raise nearly anything
        return error
