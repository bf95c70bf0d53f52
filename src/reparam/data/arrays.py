"""Arrays: .npz and .npy files, and tensors, arrays and dicts in memory."""

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from reparam.data import ratings
from reparam.data.raw import Part, Raw
from reparam.data.text import as_lines
from reparam.errors import ReparamError

SUFFIXES = {"train": ("train",), "validation": ("validation", "val"), "test": ("test",)}
LAYOUTS = "(n, d) for vectors; (n, h, w), (n, h, w, c) or (n, c, h, w) with 1, 3 or 4 channels for images"


def from_file(path: Path) -> Raw | ratings.Ratings:
    """`x` and perhaps `y`; or `x_train`, `x_test`, `x_validation`, `y_train` … A .npy is `x`."""
    try:
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            arrays = {"x": loaded} if isinstance(loaded, np.ndarray) else {k: loaded[k] for k in loaded.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        if "pickle" in str(error) or "Object arrays" in str(error):
            raise ReparamError(
                f"{path} holds pickled objects, or is no {path.suffix} file; objects are never unpickled, "
                "for that could run any code: save plain arrays of numbers or strings."
            ) from error
        raise ReparamError(f"{path} cannot be read as {path.suffix} ({error}); save it again.") from error
    return from_arrays(arrays, path.stem, str(path))


def from_memory(given: Any) -> Raw | ratings.Ratings:
    """An array or a tensor is x; a dict holds what an .npz would."""
    arrays = given if isinstance(given, Mapping) else {"x": given}
    return from_arrays({str(k): _numpy(v) for k, v in arrays.items()}, "memory", "the data in memory")


def from_arrays(arrays: Mapping[str, np.ndarray], name: str, where: str) -> Raw | ratings.Ratings:
    if ratings.recognised(arrays):
        return ratings.from_columns(arrays, name, where)
    if "x" in arrays and "x_train" in arrays:
        raise ReparamError(f"{where} holds both `x` and `x_train`; keep one of them.")
    if "x" in arrays:
        x = images_or_vectors(arrays["x"], f"{where}: `x`")
        return Raw(name, where, {"train": Part(x, arrays.get("y"))})
    parts = {}
    for split, suffixes in SUFFIXES.items():
        for suffix in suffixes:
            if f"x_{suffix}" in arrays:
                x = images_or_vectors(arrays[f"x_{suffix}"], f"{where}: `x_{suffix}`")
                parts[split] = Part(x, arrays.get(f"y_{suffix}"))
    if "train" not in parts:
        raise ReparamError(
            f"{where} holds {', '.join(f'`{k}`' for k in arrays) or 'nothing'}; "
            "it needs `x` (and perhaps `y`), or `x_train`, `x_test` and perhaps `x_validation`, `y_train` …"
        )
    return Raw(name, where, parts)


def images_or_vectors(x: np.ndarray, where: str) -> np.ndarray:
    """Images as (n, c, h, w) uint8, vectors as (n, d) float64, lines as (n,) object; else an error.

    Image values: bytes; or integers that are bytes; or floats in [0, 1], which are rounded to 256 levels.
    Bytes (and booleans) that never pass 1 are black and white, not nearly black.
    """
    if x.dtype.kind == "U" and x.ndim == 1:
        return as_lines(x)
    if x.dtype.kind not in "biuf":
        raise ReparamError(f"{where} is of type {x.dtype}; it needs numbers.")
    if x.ndim not in (2, 3, 4) or 0 in x.shape[1:]:
        raise ReparamError(f"{where} has shape {x.shape}; it needs {LAYOUTS}.")
    finite(x, where)
    return x.astype(np.float64) if x.ndim == 2 else _bytes(_channels_first(x, where), where)


def finite(x: np.ndarray, where: str, columns: Sequence[str] | None = None) -> None:
    """An error naming the first row of x (n, …) with a value that is no number of float32.

    In vectors NaN is let through: whether a number may be missing is not the reader's to say.
    """
    if x.dtype.kind != "f":
        return
    with np.errstate(over="ignore"):
        bad = ~np.isfinite(x.astype(np.float32))
    if x.ndim == 2:
        bad &= ~np.isnan(x)
    if bad.any():
        raise ReparamError(f"{where} holds {first(x, bad, columns)}; drop such rows or fill them in first.")


def first(x: np.ndarray, bad: np.ndarray, columns: Sequence[str] | None = None) -> str:
    """The first of the values that are bad, and where it stands, in words."""
    index = np.unravel_index(int(bad.argmax()), x.shape)
    column = "" if x.ndim != 2 else f", column {columns[int(index[1])] if columns else index[1]}"
    return f"{x[index]} in row {index[0]} (from 0){column}"


def _channels_first(x: np.ndarray, where: str) -> np.ndarray:
    if x.ndim == 3:
        return x[:, None]
    first, last = x.shape[1] in (1, 3, 4), x.shape[3] in (1, 3, 4)
    if first == last:
        why = "could be channels first or channels last" if first else "has no axis of 1, 3 or 4 channels"
        raise ReparamError(f"{where} of shape {x.shape} {why}; give {LAYOUTS}.")
    return x if first else x.transpose(0, 3, 1, 2)


def _bytes(x: np.ndarray, where: str) -> np.ndarray:
    top = 1 if x.dtype.kind == "f" else 255
    low, high = (x.min(), x.max()) if x.size else (0, 0)
    if low < 0 or high > top:
        row = int(((x < 0) | (x > top)).reshape(len(x), -1).any(1).argmax())
        raise ReparamError(
            f"{where} holds values outside [0, {top}], the first in row {row} "
            f"(they span {low:g} … {high:g}); images are bytes 0–255 or floats in [0, 1]: rescale them."
        )
    if x.dtype.kind == "f":
        x = np.round(x * 255)
    elif high <= 1:
        x = x.astype(np.uint8) * 255
    x = x.astype(np.uint8)
    if x.shape[1] == 4:  # laid on white, as pictures in files are
        alpha = x[:, 3:].astype(np.float32) / 255
        x = np.round(x[:, :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)
    return x


def _numpy(value: Any) -> np.ndarray:
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        return (value.float() if value.dtype == torch.bfloat16 else value).numpy()
    return np.asarray(value)
