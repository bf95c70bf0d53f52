"""Data: any of a name, a path or an array becomes three splits in memory, and batches as pure functions.

>>> from reparam.data import load
>>> data = load("digits", binarise="dynamic")
>>> data
Data('digits', image (1, 28, 28), binary, 8,000/1,000/1,000)
>>> data.noise()["binarise"].shape
(1, 28, 28)
"""

import typing
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from reparam.data import arrays, domains, hub, named, pictures, ratings, strong_generalisation, tables, text
from reparam.data.bags import Bags
from reparam.data.dataset import Binarise, Data, Kind, Levels, Split
from reparam.data.named import Entry
from reparam.data.prepare import Like, prepare
from reparam.data.ratings import Ratings
from reparam.data.raw import Raw, Units
from reparam.errors import ReparamError, unknown

__all__ = ["Bags", "Binarise", "Data", "Entry", "Kind", "Levels", "Split", "available", "describe", "load"]

FILES = {
    ".npz": arrays.from_file,
    ".npy": arrays.from_file,
    ".csv": tables.from_csv,
    ".parquet": tables.from_parquet,
    ".txt": text.from_txt,
    ".jsonl": text.from_jsonl,
    ".inter": ratings.from_inter,
}
OF_RATINGS = ("rated", "threshold", "per_user", "per_item")


def load(
    spec: "str | Path | np.ndarray | Tensor | list[str] | dict[str, Any] | Data",
    *,
    binarise: Binarise = "none",
    size: int | None = None,
    mirror: bool = False,
    skip_bad: bool = False,
    standardise: bool = True,
    missing: bool = False,
    labels: int | None = None,
    to: "str | Path | np.ndarray | Tensor | list[str] | None" = None,
    disjoint: bool = False,
    aligned: bool = False,
    units: Units | None = None,
    length: int | None = None,
    min_count: int = 2,
    vocabulary_size: int | None = None,
    lower: bool = False,
    rated: bool = False,
    threshold: float | None = None,
    per_user: int = 5,
    per_item: int = 0,
    seed: int = 0,
    like: Like | None = None,
) -> Data:
    """Load a dataset.

    Args:
        spec: a name (`available()` lists them), a folder of pictures, a .npz, .npy, .csv, .parquet, .txt or
            .jsonl file, `hub:OWNER/NAME`, an array or tensor, a list of lines, a dict {"x": …, "y": …}, or a
            Data's `spec`. Ratings: a table with columns user and item (perhaps rating and title), a RecBole
            .inter file, or a folder of MovieLens.
        binarise: of images. dynamic: afresh in every training batch, validation and test once by a fixed
            seed; static: every split once by that seed; threshold: above one half.
        size: crop pictures to the central square and resize them to size × size pixels.
        mirror: declare the noise `flip`, which mirrors half of the training images.
        skip_bad: go on without unreadable picture files, with a warning that names them, or empty lines.
        standardise: vectors that are not binary, by the train split's mean and standard deviation.
        missing: of vectors: NaN (an empty cell of a table) marks a number that was not observed, for models
            of data with holes, such as miwae; else it is an error.
        labels: how many training labels are known, as many of each class, drawn by `seed`; all, if not given.
        to: a second dataset, read in the same way: the domain that x is translated to.
        disjoint: row i of both shows the same thing; train on the even rows of one and the odd of the other.
        aligned: of two texts: line i of both says the same, and they stay together.
        units: of text: characters, words, or bpe: parts of words, learned from the training lines.
        length: of text: the most tokens in a row; longer lines are left out.
        min_count: of text: how often a token must occur in the training lines to be one of the vocabulary.
        vocabulary_size: of text: the most entries of the vocabulary, four specials among them.
        lower: of text: make it lower case.
        rated: of ratings: keep all, each with its value, and not only which items are liked.
        threshold: of ratings: the one from which on an item is liked; 4 where the data do not say another.
        per_user: of ratings: how many liked items (rated ones, if rated) a user must have to be kept.
        per_item: and how many users an item; with both, those below are left out until none is (a core).
        seed: of the 80/10/10 split of data that come unsplit, and of what is held out of each user of the
            last two tenths; not the seed of a run.
        like: data, or facts about data, whose vocabulary and length text is to be read with.
    """
    options: dict[str, Any] = {
        "binarise": binarise,
        "size": size,
        "mirror": mirror,
        "skip_bad": skip_bad,
        "standardise": standardise,
        "missing": missing,
        "labels": labels,
        "to": to,
        "disjoint": disjoint,
        "aligned": aligned,
        "units": units,
        "length": length,
        "min_count": min_count,
        "vocabulary_size": vocabulary_size,
        "lower": lower,
        "rated": rated,
        "threshold": threshold,
        "per_user": per_user,
        "per_item": per_item,
        "seed": seed,
    }
    if isinstance(spec, Data) or (isinstance(spec, dict) and "spec" in spec):
        if changed := [k for k, v in options.items() if v != (load.__kwdefaults__ or {})[k]]:
            raise ReparamError(f"{changed[0]} cannot be changed on data already specified; load it anew.")
        if isinstance(spec, Data):
            return spec
        if strange := [k for k in spec if k not in ("spec", *options)]:
            raise unknown("option of load", strange[0], options)
        return load(**spec)
    if binarise not in typing.get_args(Binarise):
        raise unknown("binarise", binarise, typing.get_args(Binarise))
    if size is not None and size < 1:
        raise ReparamError(f"size={size}: it is the side of the pictures in pixels, at least 1.")
    if seed < 0:
        raise ReparamError(f"seed={seed}: it must not be negative.")
    if disjoint and to is None:
        raise ReparamError("disjoint rows are those of two domains: name the second one (--to).")
    if aligned and to is None:
        raise ReparamError("aligned rows are those of two texts: name the second one (--to).")
    text.check_options(units, length, min_count)
    raw, address = _read(spec, size, skip_bad)
    if isinstance(raw, Ratings):
        if to is not None:
            raise ReparamError(f"{raw.where} holds ratings, which are not translated; leave `to` out.")
        if like is not None:
            raise ReparamError(f"{raw.where} holds ratings, and text is needed: what the run learned from.")
        return strong_generalisation.prepare(raw, {"spec": address, **options})
    if asked := [k for k in OF_RATINGS if options[k] != (load.__kwdefaults__ or {})[k]]:
        raise ReparamError(f"{asked[0]} is for ratings, and {raw.where} holds none.")
    if to is None:
        return prepare(raw, {"spec": address, **options}, like)
    alone = options | {"to": None, "disjoint": False}
    other, place = _read(to, size, skip_bad)
    if isinstance(other, Ratings):
        raise ReparamError(f"{other.where} holds ratings, into which nothing is translated; choose another.")
    if aligned:
        return prepare(text.aligned(raw, other), {"spec": address, **options, "to": place}, like)
    both = (prepare(raw, {"spec": address, **alone}), prepare(other, {"spec": place, **alone}))
    return domains.pair(*both, {"spec": address, **options, "to": place}, disjoint=disjoint)


def available() -> tuple[Entry, ...]:
    """The datasets that have a name."""
    return named.ENTRIES


def describe(name: str) -> Entry:
    """The one of that name."""
    name = named.ALIASES.get(name, name)
    if name not in named.NAMED:
        raise unknown("dataset", name, named.NAMED)
    return named.NAMED[name]


def _read(spec: Any, size: int | None, skip_bad: bool) -> tuple[Raw | Ratings, str]:
    """The reader's arrays, and the string that finds them again from any working directory."""
    if isinstance(spec, (np.ndarray, Tensor, dict, list)):
        return arrays.from_memory(spec), "memory"
    text = str(spec)
    if isinstance(spec, str):
        if text == "memory":
            raise ReparamError("this run was given its data in memory; pass the same array or tensor again.")
        if (name := named.ALIASES.get(text, text)) in named.NAMED:
            entry = named.NAMED[name]
            raw = entry.read()
            raw.licence, raw.source = entry.licence, entry.source
            return raw, name
        if text.startswith("hub:"):
            place = text.removeprefix("hub:")
            local = Path(place).expanduser()
            return hub.from_hub(place, size), f"hub:{local.resolve()}" if local.exists() else text
    path = Path(text).expanduser()
    if path.is_dir():
        if (found := ratings.folder(path)) is not None:
            return found, str(path.resolve())
        return pictures.folder(path, size, skip_bad), str(path.resolve())
    suffix = path.suffix.lower()
    if path.is_file():
        if suffix not in FILES:
            raise ReparamError(
                f"{path}: cannot read {suffix or 'a file without suffix'}; known: {', '.join(FILES)}."
            )
        return FILES[suffix](path), str(path.resolve())
    if isinstance(spec, Path) or suffix in FILES or "/" in text or "\\" in text:
        raise ReparamError(f"{path} does not exist (looked from {Path.cwd()}); check the path.")
    raise unknown("dataset", text, named.NAMED)
