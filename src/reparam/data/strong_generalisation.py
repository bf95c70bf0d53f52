"""From ratings to bags: what counts as liked, or all with its value; who is kept, and a split by people.

Strong generalisation (Marlin 2004; Liang et al. 2018, arXiv:1802.05814, §4.2): those who validate and
test are people whom training has not seen. A fifth of their items, drawn by a seed, is held out; the rest
is shown.
"""

from typing import Any, NamedTuple, cast

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
    kept = _kept(raw, spec["threshold"], spec["rated"])
    _, user = np.unique(raw.users[kept], return_inverse=True)
    names, item = np.unique(raw.items[kept], return_inverse=True)
    # A pair that stands twice counts once, as it stands first.
    pairs, first = np.unique(user * len(names) + item, return_index=True)
    core = _core(pairs // len(names), pairs % len(names), spec["per_user"], spec["per_item"])
    user, item = pairs[core] // len(names), pairs[core] % len(names)
    people = np.unique(user)
    if len(people) < LEAST_USERS:
        what = "rated" if spec["rated"] else "liked"
        raise ReparamError(
            f"{raw.where}: {len(people)} users have {spec['per_user']} {what} items or more, and a split "
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
    value, highest = None, 1.0
    if spec["rated"]:
        value = np.asarray(raw.ratings)[kept][first][core][known]
        highest = value[row >= 2 * tenth].max()
        value = (value / highest).astype(np.float32)
    u = draw.random(len(row))
    splits = {}
    for name in ("train", "validation", "test"):
        start, end = cuts[name]
        own = (row >= start) & (row < end)
        entries = _Entries(row[own] - start, item[own], None if value is None else value[own])
        if name == "train":
            splits[name] = Split(cast(Tensor, entries.bags(end - start, len(catalogue))), None)
        else:
            splits[name] = _parted(entries, u[own], end - start, len(catalogue))
    return Data(
        name=raw.name,
        spec=spec,
        kind="bag",
        shape=(len(catalogue),),
        levels="ratings" if spec["rated"] else "counts",
        classes=None,
        fingerprint=fingerprint(splits, None),
        licence=raw.licence,
        source=raw.source or raw.where,
        scale=(torch.zeros(1), torch.full((1,), float(highest))) if spec["rated"] else None,
        vocabulary=_distinct([raw.titles.get(str(each), str(each)) for each in names[catalogue].tolist()]),
        **splits,
    )


def _kept(raw: Ratings, threshold: float | None, rated: bool) -> np.ndarray:
    """Which rows count: rated at the threshold or above; all, where values are kept or nothing is rated."""
    if raw.ratings is None:
        for option, off in (("threshold", threshold is None), ("rated", not rated)):
            if not off:
                raise ReparamError(
                    f"{raw.where} has no ratings: every row counts as liked. Leave {option} out."
                )
        return np.ones(len(raw.users), bool)
    if rated:
        if threshold is not None:
            raise ReparamError(
                f"rated keeps every rating of {raw.where}, and threshold those of what is liked; give one of "
                "the two."
            )
        if not raw.ratings.any():
            raise ReparamError(f"{raw.where}: every rating is 0; there is nothing to learn of them.")
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


def _core(user: np.ndarray, item: np.ndarray, per_user: int, per_item: int) -> np.ndarray:
    """The pairs without those who have fewer items or users, again and again where both are asked for."""
    kept = np.arange(len(user))
    while len(kept):
        u, i = user[kept], item[kept]
        enough = (np.bincount(u)[u] >= per_user) & (np.bincount(i)[i] >= per_item)
        if enough.all():
            break
        kept = kept[enough]
    return kept


class _Entries(NamedTuple):
    """Entries of bags in any order, (m,) each; a value of each, or None where it is 1."""

    row: np.ndarray
    item: np.ndarray
    value: np.ndarray | None

    def at(self, which: np.ndarray) -> "_Entries":
        """Some of them, by mask or number."""
        return _Entries(*(None if column is None else column[which] for column in self))  # pyright: ignore[reportArgumentType]

    def bags(self, n: int, catalogue: int) -> Bags:
        """n bags, sorted by item."""
        entries = self.at(np.lexsort((self.item, self.row)))
        offsets = np.concatenate([[0], np.bincount(self.row, minlength=n).cumsum()])
        values = None if entries.value is None else torch.from_numpy(entries.value)
        items = torch.from_numpy(entries.item.astype(np.int32))
        return Bags(torch.from_numpy(offsets.astype(np.int64)), items, values, catalogue)


def _parted(entries: _Entries, u: np.ndarray, n: int, catalogue: int) -> Split:
    """What is shown of each user, and what is held out: a fifth, rounded down, the lowest of their u."""
    entries = entries.at(np.lexsort((u, entries.row)))
    counts = np.bincount(entries.row, minlength=n)
    rank = np.arange(len(u)) - (counts.cumsum() - counts)[entries.row]
    held = rank < (HELD_OUT * counts).astype(np.int64)[entries.row]
    shown, asked = (entries.at(part).bags(n, catalogue) for part in (~held, held))
    return Split(cast(Tensor, shown), None, held_out=asked)


def _distinct(titles: list[str]) -> tuple[str, ...]:
    """Titles, of which those that several items have are told apart by a number."""
    seen: dict[str, int] = {}
    for i, title in enumerate(titles):
        seen[title] = seen.get(title, 0) + 1
        if seen[title] > 1:
            titles[i] = f"{title} ({seen[title]})"
    return tuple(titles)
