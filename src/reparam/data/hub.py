"""Datasets of the Hugging Face hub, through the optional package `datasets`."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from reparam.data import pictures
from reparam.data.raw import Part, Raw
from reparam.data.tables import LABELS, from_columns
from reparam.errors import ReparamError

IMAGES = ("image", "img", "picture")
SPLITS = {
    "train": "train",
    "validation": "validation",
    "val": "validation",
    "valid": "validation",
    "dev": "validation",
    "test": "test",
}


def from_hub(name: str, size: int | None) -> Raw:
    """`OWNER/NAME`, or a local folder in a format that `datasets` knows.

    A hub dataset is kept as one .npz below $REPARAM_CACHE (default ~/.cache/reparam) and read from there the
    next time; delete that file to fetch it anew.
    """
    where = f"hub:{name}"
    local = Path(name).expanduser()
    if local.exists():
        raw = from_splits(_load(str(local), where), where, size)
    else:
        cache = cache_file(name, size)
        if not cache.is_file():
            _write(from_splits(_load(name, where), where, size), cache)
        raw = _read(cache, where)
    raw.licence, raw.source = "as its page states", where
    return raw


def from_splits(splits: Mapping[str, Any], where: str, size: int | None) -> Raw:
    """Split name → a `datasets.Dataset`: the image column, or text, or all numeric ones; and the label."""
    known = {SPLITS[name]: ds for name, ds in splits.items() if name in SPLITS}
    if "train" not in known:
        if len(splits) != 1:
            raise ReparamError(f"{where} has the splits {', '.join(splits)}; it needs one named train.")
        known = {"train": next(iter(splits.values()))}
    features = known["train"].features
    image = next((c for c in features if type(features[c]).__name__ == "Image" or c in IMAGES), None)
    label = next((c for c in features if c.lower() in LABELS), None) or next(
        (c for c in features if type(features[c]).__name__ == "ClassLabel"), None
    )
    classes = tuple(getattr(features[label], "names", None) or ()) or None if label else None
    if image is None:
        parts = {name: _table(ds, label, where) for name, ds in known.items()}
    else:
        parts = _pictures(known, image, label, where, size)
    return Raw(where, where, parts, classes=classes)


def cache_file(name: str, size: int | None) -> Path:
    """Where a hub dataset is kept."""
    root = Path(os.environ.get("REPARAM_CACHE", "~/.cache/reparam")).expanduser()
    return root / "hub" / f"{name.replace('/', '--')}{'' if size is None else f'-{size}'}.npz"


def _load(name: str, where: str) -> Mapping[str, Any]:
    try:
        import datasets  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ReparamError(f'{where} needs the package datasets: pip install "reparam[hub]"') from error
    try:
        if (Path(name) / "dataset_dict.json").is_file() or (Path(name) / "state.json").is_file():
            loaded = datasets.load_from_disk(name)
        else:
            loaded = datasets.load_dataset(name)
    except Exception as error:  # the network, the hub and every builder have errors of their own
        raise ReparamError(f"{where} cannot be loaded ({type(error).__name__}: {error}).") from error
    return {str(k): v for k, v in loaded.items()} if isinstance(loaded, dict) else {"train": loaded}


def _pictures(
    known: Mapping[str, Any], image: str, label: str | None, where: str, size: int | None
) -> dict[str, Part]:
    decoded, labels = {}, {}
    for name, ds in known.items():
        rows = ds.select_columns([image] if label is None else [image, label])
        decoded[name] = [pictures.decode(row[image], size) for row in rows]
        labels[name] = None if label is None else np.asarray(rows[label][:])
    every = [p for split in decoded.values() for p in split]
    names = [f"{name} row {i}" for name, split in decoded.items() for i in range(len(split))]
    pictures.check_sizes(every, names, where)
    channels = pictures.channels_of(every)
    return {
        name: Part(pictures.stack(split, channels), labels[name]) for name, split in decoded.items() if split
    }


def _table(ds: Any, label: str | None, where: str) -> Part:
    columns = {c: np.asarray(ds[c][:]) for c in ds.column_names if c != label}
    part = from_columns(columns, where)
    return part if label is None else part._replace(y=np.asarray(ds[label][:]))


def _write(raw: Raw, path: Path) -> None:
    content: dict[str, Any] = {f"x_{name}": _stored(part.x) for name, part in raw.parts.items()}
    content |= {f"y_{name}": part.y for name, part in raw.parts.items() if part.y is not None}
    if raw.classes is not None:
        content["classes"] = np.array(raw.classes)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    with unfinished.open("wb") as file:
        np.savez_compressed(file, **content)
    unfinished.replace(path)  # a reader sees the whole file, or none


def _read(path: Path, where: str) -> Raw:
    with np.load(path, allow_pickle=False) as file:
        content = {name: file[name] for name in file.files}
    classes = content.pop("classes", None)
    parts = {
        name.removeprefix("x_"): Part(_restored(x), content.get(f"y_{name.removeprefix('x_')}"))
        for name, x in content.items()
        if name.startswith("x_")
    }
    return Raw(where, where, parts, classes=None if classes is None else tuple(str(c) for c in classes))


def _stored(x: np.ndarray) -> np.ndarray:
    """Lines as their bytes: an array of objects could only be pickled."""
    return x if x.dtype != object else np.frombuffer("\n".join(x).encode(), np.uint8)


def _restored(x: np.ndarray) -> np.ndarray:
    return x if x.ndim != 1 else np.array(x.tobytes().decode().split("\n"), dtype=object)
