"""From a reader's arrays to `Data`: splits, labels, binarisation, standardisation, fingerprint."""

import hashlib
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from reparam.data import text
from reparam.data.arrays import first
from reparam.data.bags import Bags
from reparam.data.dataset import Binarise, Data, Kind, Levels, Split
from reparam.data.pictures import fit
from reparam.data.raw import Raw
from reparam.data.text import Writing
from reparam.errors import ReparamError

SPLITS = ("train", "validation", "test")
# Fixed, whatever the run's seed: everyone is evaluated on the same black and white pictures.
BINARISE_SEED = 20090513
# Options of `load` that only text has, as they are where nothing is said.
TEXT_OPTIONS = {"units": None, "length": None, "min_count": 2, "vocabulary_size": None, "lower": False}


class Like(Protocol):
    """Data, or facts about them, whose vocabulary other text is to be read with."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def vocabulary(self) -> tuple[str, ...] | None: ...


def prepare(raw: Raw, spec: dict[str, Any], like: Like | None = None) -> Data:
    """`spec` holds the arguments of `load`; text is read as tokens of the vocabulary of `like`, if given."""
    lines = raw.parts["train"].x.ndim == 1
    if lines:
        text.without_empty(raw, spec["skip_bad"])
    for name, part in raw.parts.items():
        if len(part.x) == 0:
            raise ReparamError(f"{raw.where}: the {name} split is empty; every split needs at least one row.")
    shapes = {name: part.x.shape[1:] for name, part in raw.parts.items()}
    if len(set(shapes.values())) > 1:
        raise ReparamError(
            f"{raw.where}: the splits differ in the shape of a row: {shapes}; make them equal."
        )
    missing = _missing(raw, spec["missing"])
    ys, classes = index_labels(raw)
    xs = {name: part.x for name, part in raw.parts.items()}
    hold_out(xs, ys, spec["seed"], raw.where)
    if lines:
        return _tokens(raw, xs, ys, classes, spec, like)
    for option, off in TEXT_OPTIONS.items():
        if spec[option] != off:
            raise ReparamError(f"{raw.where} is no text; {option}={spec[option]!r} is for text only.")

    scale = None
    if xs["train"].ndim == 4:
        kind: Kind = "image"
        if spec["size"] is not None:
            xs = {name: fit(x, spec["size"]) for name, x in xs.items()}
        xs = binarised(xs, spec["binarise"])
        binary = spec["binarise"] == "dynamic" or all(((x == 0) | (x == 255)).all() for x in xs.values())
        levels: Levels = "binary" if binary else "grey"
    else:
        kind = "vector"
        _no_pictures(spec, raw.where, "vectors")
        bits = (((x == 0) | (x == 1) | np.isnan(x)).all() for x in xs.values())
        levels = "binary" if all(bits) else "real"
        if levels == "real" and raw.standardise and spec["standardise"]:
            xs, scale = standardised(xs)
        xs = {name: x.astype(np.float32) for name, x in xs.items()}

    splits: dict[str, Split] = {
        name: Split(
            torch.tensor(xs[name]), None if classes is None else torch.tensor(ys[name], dtype=torch.int64)
        )
        for name in SPLITS
    }
    if spec["labels"] is not None:
        splits["train"] = splits["train"]._replace(known=known(splits["train"], classes, spec, raw.where))
    return Data(
        name=raw.name,
        spec=spec,
        kind=kind,
        shape=tuple(splits["train"].x.shape[1:]),
        levels=levels,
        classes=classes,
        train=splits["train"],
        validation=splits["validation"],
        test=splits["test"],
        fingerprint=fingerprint(splits, classes),
        licence=raw.licence,
        source=raw.source or raw.where,
        attributes={
            name: {s: torch.tensor(v, dtype=torch.int64) for s, v in values.items()}
            for name, values in raw.attributes.items()
        },
        scale=scale,
        missing=missing,
    )


def _missing(raw: Raw, admitted: bool) -> float:
    """The share of numbers that are NaN, of the vectors of all splits.

    Raises ReparamError where they are not admitted, are more than half, or leave a row or a column empty.
    """
    gone = {name: np.isnan(part.x) for name, part in raw.parts.items() if part.x.dtype.kind == "f"}
    for name, bad in gone.items() if not admitted else ():
        if bad.any():
            part, split = raw.parts[name], f", split {name}," if len(raw.parts) > 1 else ""
            raise ReparamError(
                f"{raw.where}{split} holds {first(part.x, bad, part.columns)}; drop such rows or fill them "
                "in first, or train a model of data with holes, such as miwae (in Python, missing=True)."
            )
    share = sum(int(bad.sum()) for bad in gone.values()) / max(sum(bad.size for bad in gone.values()), 1)
    if share > 0.5:
        raise ReparamError(
            f"{raw.where}: {share:.0%} of the numbers are missing, more than are observed; leave out rows or "
            "columns of which little is known."
        )
    for name, bad in gone.items():
        if (empty := bad.all(1)).any():
            row, others = int(empty.argmax()), int(empty.sum()) - 1
            more = f", and of {others} more" if others else ""
            raise ReparamError(
                f"{raw.where}: nothing was observed of row {row} (from 0) of {name}{more}; leave them out."
            )
    if "train" in gone and (empty := gone["train"].all(0)).any():
        column = int(empty.argmax())
        name = column if (names := raw.parts["train"].columns) is None else names[column]
        raise ReparamError(f"{raw.where}: nothing was observed of column {name}; leave it out.")
    return share


def _tokens(
    raw: Raw,
    xs: dict[str, np.ndarray],
    ys: dict[str, np.ndarray],
    classes: tuple[str, ...] | None,
    spec: dict[str, Any],
    like: Like | None,
) -> Data:
    """Lines of text, xs[split] (n,), and those that say the same, as rows of token ids."""
    _no_pictures(spec, raw.where, "text")
    others = {name: part.other for name, part in raw.parts.items() if part.other is not None}
    if others:
        hold_out(others, {}, spec["seed"], raw.where)
    sides = [xs, others] if others else [xs]
    written, rows = [], []
    for i, lines in enumerate(sides):
        if like is None:
            plain = Writing(spec["units"] or raw.units, raw.middle, spec["lower"])
            counted = (spec["min_count"], spec["vocabulary_size"])
            written.append(text.learn(lines["train"].tolist(), plain, *counted, raw.where))
        else:
            written.append(text.side(like, other=i == 1))
        rows.append({name: text.ids(lines[name].tolist(), *written[-1]) for name in SPLITS})
        if like is not None:
            text.check_known(rows[-1], lines, raw.other_where if i else raw.where)
    length = like.shape[0] if like else spec["length"]
    if length is None:
        length = max(len(row) for side in rows for split in side.values() for row in split)
        if length > text.LONGEST:
            raise ReparamError(
                f"{raw.where} has lines of up to {length:,} tokens; say how many a row may have: longer "
                "lines are left out (--length 64)."
            )
    splits, dropped = {}, 0
    for name in SPLITS:
        each = [side[name] for side in rows]
        kept = [i for i, row in enumerate(zip(*each, strict=True)) if max(map(len, row)) <= length]
        dropped += len(each[0]) - len(kept)
        if not kept:
            raise ReparamError(f"{raw.where}: every line of {name} has more than length={length} tokens.")
        x, *second = (torch.from_numpy(text.padded([side[i] for i in kept], length)) for side in each)
        y = None if classes is None else torch.tensor(ys[name][kept], dtype=torch.int64)
        splits[name] = Split(x, y, other=second[0] if second else None)
    if spec["labels"] is not None:
        splits["train"] = splits["train"]._replace(known=known(splits["train"], classes, spec, raw.where))
    (vocabulary, writing), *beside = written
    other_vocabulary, other_writing = beside[0] if beside else (None, None)
    left_out = f"; without {dropped:,} lines of more than {length} tokens" if dropped else ""
    return Data(
        name=raw.name,
        spec=spec,
        kind="tokens",
        shape=(length,),
        levels="tokens",
        classes=classes,
        train=splits["train"],
        validation=splits["validation"],
        test=splits["test"],
        fingerprint=fingerprint(splits, (*(classes or ()), *vocabulary, *(other_vocabulary or ()))),
        licence=raw.licence,
        source=(raw.source or raw.where) + left_out,
        domains=raw.domains,
        vocabulary=vocabulary,
        writing=writing,
        aligned=bool(others),
        other_vocabulary=other_vocabulary,
        other_writing=other_writing,
    )


def _no_pictures(spec: dict[str, Any], where: str, what: str) -> None:
    for option, off in (("size", None), ("mirror", False), ("binarise", "none")):
        if spec[option] != off:
            raise ReparamError(f"{where} holds {what}; {option}={spec[option]!r} is for images only.")


def known(split: Split, classes: tuple[str, ...] | None, spec: dict[str, Any], where: str) -> torch.Tensor:
    """The rows whose labels are known: the first of each class in a seeded order, sorted."""
    if classes is None or split.y is None:
        raise ReparamError(f"{where} has no labels, so that none of them can be known; leave labels out.")
    each, rest = divmod(spec["labels"], len(classes))
    if each < 1 or rest:
        raise ReparamError(
            f"labels={spec['labels']}: give as many of each of the {len(classes)} classes of {where}."
        )
    order = torch.from_numpy(uniforms(spec["seed"], 1).random(split.n).argsort(kind="stable"))
    rows = [order[split.y[order] == k][:each] for k in range(len(classes))]
    if short := [name for name, found in zip(classes, rows, strict=True) if len(found) < each]:
        raise ReparamError(
            f"labels={spec['labels']}: {each} of each class, and {where} has fewer of {', '.join(short)}."
        )
    return torch.cat(rows).sort().values


def uniforms(*seed: int) -> np.random.Generator:
    """A generator of fixed seed. Only its `random` is used where rows are chosen: its bits are stable."""
    return np.random.Generator(np.random.PCG64(list(seed)))


def hold_out(xs: dict[str, np.ndarray], ys: dict[str, np.ndarray], seed: int, where: str) -> None:
    """Fill in the missing validation and test splits, in place: each takes a seeded tenth of train."""
    missing = [name for name in SPLITS[1:] if name not in xs]
    n = len(xs["train"])
    if missing and n < 10:
        raise ReparamError(
            f"{where}: {n} rows are too few to draw a {missing[0]} split from; give at least 10."
        )
    order = uniforms(seed).random(n).argsort(kind="stable")
    for i, name in enumerate(missing):
        rows = np.sort(order[i * (n // 10) : (i + 1) * (n // 10)])
        for arrays in (xs, ys):
            if "train" in arrays:
                arrays[name] = arrays["train"][rows]
    rows = np.sort(order[len(missing) * (n // 10) :])
    for arrays in (xs, ys):
        if "train" in arrays:
            arrays["train"] = arrays["train"][rows]


def index_labels(raw: Raw) -> tuple[dict[str, np.ndarray], tuple[str, ...] | None]:
    """y as indices into the sorted classes: numbers in numeric order, strings in alphabetical order."""
    with_y = [name for name, part in raw.parts.items() if part.y is not None]
    if not with_y:
        return {}, None
    if without := [name for name in raw.parts if name not in with_y]:
        raise ReparamError(
            f"{raw.where}: {with_y[0]} has labels and {without[0]} has none; label every split, or none."
        )
    ys: dict[str, np.ndarray] = {}
    for name in with_y:
        x, y = raw.parts[name].x, np.asarray(raw.parts[name].y)
        at = f"{raw.where}: the labels of {name}"
        if y.ndim != 1:
            raise ReparamError(f"{at} have shape {y.shape}; give one class per row, (n,).")
        if len(y) != len(x):
            raise ReparamError(f"{at} are {len(y):,} for {len(x):,} rows of x; there must be one per row.")
        if y.dtype.kind == "f":
            bad = ~(np.isfinite(y) & (y == np.round(y)))
            if bad.any():
                row = int(bad.argmax())
                raise ReparamError(
                    f"{at} are not whole numbers: row {row} holds {y[row]}; labels name classes, "
                    "and a column that is none needs another name than label, y or class."
                )
        if y.dtype.kind == "S":
            y = y.astype(str)
        if y.dtype.kind not in "biufU":
            raise ReparamError(f"{at} are of type {y.dtype}; give integers or strings.")
        ys[name] = y if y.dtype.kind == "U" else y.astype(np.int64)
    if raw.classes is not None:
        for name, y in ys.items():
            bad = (y < 0) | (y >= len(raw.classes))
            if bad.any():
                raise ReparamError(
                    f"{raw.where}: row {int(bad.argmax())} of {name} has the label {y[bad][0]}, "
                    f"outside 0 … {len(raw.classes) - 1}; correct it or leave the row out."
                )
        return ys, raw.classes
    found, indices = np.unique(np.concatenate(list(ys.values())), return_inverse=True)
    ends = np.cumsum([len(y) for y in ys.values()])[:-1]
    return dict(zip(ys, np.split(indices, ends), strict=True)), tuple(str(c) for c in found)


def binarised(xs: dict[str, np.ndarray], how: Binarise) -> dict[str, np.ndarray]:
    """Images (n, c, h, w) uint8 with every binary split at 0 and 255.

    static: every split once, x = 255 where u < level. dynamic: the same for validation and test; train stays
    grey and is binarised afresh in every batch (Salakhutdinov & Murray 2008). threshold: above one half.
    """
    if how == "none":
        return xs
    if how == "threshold":
        return {name: np.where(x > 127, 255, 0).astype(np.uint8) for name, x in xs.items()}
    return {
        name: x if how == "dynamic" and name == "train" else _once(x, SPLITS.index(name))
        for name, x in xs.items()
    }


def _once(x: np.ndarray, stream: int) -> np.ndarray:
    draw, out = uniforms(BINARISE_SEED, stream), np.empty_like(x)
    for start in range(
        0, len(x), 1024
    ):  # in pieces, for the uniforms are four times as large as the pictures
        piece = x[start : start + 1024]
        out[start : start + 1024] = 255 * (draw.random(piece.shape, np.float32) < piece / np.float32(255))
    return out


def standardised(xs: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], tuple[Tensor, Tensor]]:
    """Vectors (n, d) at mean 0 and standard deviation 1 on the train split; a constant column becomes 0.

    What is missing, NaN, counts for nothing.
    """
    train = xs["train"]
    plain, without = (np.mean, np.std, np.min, np.max), (np.nanmean, np.nanstd, np.nanmin, np.nanmax)
    mean, std, low, high = (f(train, 0) for f in (without if np.isnan(train).any() else plain))
    # Exactly constant, not merely narrow: a column in tiny units is no constant.
    constant = high == low
    mean = np.where(constant, low, mean)
    std = np.where(constant, 1.0, std)
    scale = torch.tensor(mean, dtype=torch.float32), torch.tensor(std, dtype=torch.float32)
    return {name: (x - mean) / std for name, x in xs.items()}, scale


def fingerprint(splits: dict[str, Split], classes: tuple[str, ...] | None) -> str:
    """32 hexadecimal digits: BLAKE2b of every value, shape and class name."""
    digest = hashlib.blake2b(repr(classes).encode(), digest_size=16)
    for name, split in splits.items():
        for each in split:
            for tensor in each.tensors() if isinstance(each, Bags) else () if each is None else (each,):
                digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
                digest.update(tensor.contiguous().numpy().data)
    return digest.hexdigest()
