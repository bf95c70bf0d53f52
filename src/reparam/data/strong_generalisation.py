"""From ratings to bags: what counts as liked, who is kept, and a split by people.

Strong generalisation (Marlin 2004; Liang et al. 2018, arXiv:1802.05814, §4.2): those who validate and
test are people whom training has not seen. A fifth of their items, drawn by a seed, is held out; the rest
is shown.
"""

from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from reparam.data.bags import Bags
from reparam.data.dataset import Data, Split
from reparam.data.prepare import TEXT_OPTIONS, fingerprint, uniforms
from reparam.data.ratings import Ratings
from reparam.errors import ReparamError

THRESHOLD = 4.0  # of five stars: Liang et al. count ratings above 3.5
HELD_OUT = 0.2  # of each user's items
LEAST_USERS = 10


def prepare(raw: Ratings, spec: dict[str, Any]) -> Data:
    """`spec` holds the arguments of `load`."""
    pictures = {"size": None, "mirror": False, "binarise": "none", "labels": None, "skip_bad": False}
    for option, none in (pictures | TEXT_OPTIONS).items():
        if spec[option] != none:
            raise ReparamError(f"{raw.where} holds ratings; {option}={spec[option]!r} is not for them.")
    liked = _liked(raw, spec["threshold"])
    _, user = np.unique(raw.users[liked], return_inverse=True)
    names, item = np.unique(raw.items[liked], return_inverse=True)
    pairs = np.unique(user * len(names) + item)  # a pair that stands twice counts once
    user, item = _core(pairs // len(names), pairs % len(names), spec["per_user"], spec["per_item"])
    people = np.unique(user)
    if len(people) < LEAST_USERS:
        raise ReparamError(
            f"{raw.where}: {len(people)} users have {spec['per_user']} liked items or more, and a split "
            f"needs {LEAST_USERS}; lower per_user, per_item or threshold."
        )
    draw = uniforms(spec["seed"])
    place = np.empty(len(people), np.int64)
    place[draw.random(len(people)).argsort(kind="stable")] = np.arange(len(people))
    row, tenth = place[np.searchsorted(people, user)], len(people) // 10
    cuts = {"validation": (0, tenth), "test": (tenth, 2 * tenth), "train": (2 * tenth, len(people))}
    catalogue = np.unique(item[row >= 2 * tenth])  # what some training user has
    known = np.isin(item, catalogue)
    row, item = row[known], np.searchsorted(catalogue, item[known])
    u = draw.random(len(row))
    splits = {}
    for name in ("train", "validation", "test"):
        start, end = cuts[name]
        own = (row >= start) & (row < end)
        parts = (row[own] - start, item[own], u[own], end - start, len(catalogue))
        if name == "train":
            splits[name] = Split(cast(Tensor, _bags(*parts[:2], *parts[3:])), None)
        else:
            splits[name] = _parted(*parts)
    return Data(
        name=raw.name,
        spec=spec,
        kind="bag",
        shape=(len(catalogue),),
        levels="counts",
        classes=None,
        fingerprint=fingerprint(splits, None),
        licence=raw.licence,
        source=raw.source or raw.where,
        vocabulary=_distinct([raw.titles.get(str(each), str(each)) for each in names[catalogue].tolist()]),
        **splits,
    )


def _liked(raw: Ratings, threshold: float | None) -> np.ndarray:
    """Which rows are liked: rated at the threshold or above, or all where nothing is rated."""
    if raw.ratings is None:
        if threshold is not None:
            raise ReparamError(f"{raw.where} has no ratings: every row counts as liked. Leave threshold out.")
        return np.ones(len(raw.users), bool)
    least = next(t for t in (threshold, raw.threshold, THRESHOLD) if t is not None)
    liked = raw.ratings >= least
    if not liked.any():
        low, high = raw.ratings.min(), raw.ratings.max()
        raise ReparamError(
            f"{raw.where}: no rating reaches {least:g}; they span {low:g} … {high:g}: give threshold=…, "
            "the rating from which on an item counts as liked."
        )
    return liked


def _core(user: np.ndarray, item: np.ndarray, per_user: int, per_item: int) -> tuple[np.ndarray, np.ndarray]:
    """Without those who have fewer items or users, again and again where both are asked for."""
    while True:
        kept = (np.bincount(user)[user] >= per_user) & (np.bincount(item)[item] >= per_item)
        if kept.all():
            return user, item
        user, item = user[kept], item[kept]
        if not len(user):
            return user, item


def _bags(row: np.ndarray, item: np.ndarray, n: int, catalogue: int) -> Bags:
    """Bags of entries in any order: sorted by row, and by item in a row."""
    order = np.lexsort((item, row))
    offsets = np.concatenate([[0], np.bincount(row, minlength=n).cumsum()])
    return Bags(
        torch.from_numpy(offsets.astype(np.int64)),
        torch.from_numpy(item[order].astype(np.int32)),
        None,
        catalogue,
    )


def _parted(row: np.ndarray, item: np.ndarray, u: np.ndarray, n: int, catalogue: int) -> Split:
    """What is shown of each user, and what is held out: a fifth, rounded down, the lowest of their u."""
    order = np.lexsort((u, row))
    row, item = row[order], item[order]
    counts = np.bincount(row, minlength=n)
    rank = np.arange(len(row)) - (counts.cumsum() - counts)[row]
    held = rank < (HELD_OUT * counts).astype(np.int64)[row]
    shown, asked = (_bags(row[part], item[part], n, catalogue) for part in (~held, held))
    return Split(cast(Tensor, shown), None, held_out=asked)


def _distinct(titles: list[str]) -> tuple[str, ...]:
    """Titles, of which those that several items have are told apart by a number."""
    seen: dict[str, int] = {}
    for i, title in enumerate(titles):
        seen[title] = seen.get(title, 0) + 1
        if seen[title] > 1:
            titles[i] = f"{title} ({seen[title]})"
    return tuple(titles)
