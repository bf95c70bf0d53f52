"""Ranked lists against held-out items: NDCG, Recall, MAP, coverage (Liang et al. 2018, section 4.2)."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from reparam.errors import ReparamError
from reparam.metrics.arrays import Array
from reparam.metrics.bootstrap import interval, mean, recentred, resampled, share
from reparam.metrics.measure import Measure

Items = Any
"""Items of each user: a sequence of lists of indices, a pair of arrays (indptr, indices), or a CSR matrix."""

COVERAGE_TIMES = 200
WORDS = {
    "ndcg": "NDCG@{k} (ideal: that of min(k, held-out) places)",
    "recall": "Recall@{k} (over min(k, held-out))",
    "map": "Average precision@{k} (over min(k, held-out))",
}


class Lists(NamedTuple):
    """The first k of each user's list."""

    listed: np.ndarray
    """Items (users, k), best first; −1 for a place that nothing can fill."""
    hit: np.ndarray
    """Which of them are held out, (users, k)."""
    held_out: np.ndarray
    """How many held-out items each user has, (users,)."""
    items: int


class _Rows(NamedTuple):
    """Items of each user, as the rows of a CSR matrix."""

    indptr: np.ndarray
    indices: np.ndarray

    def block(self, start: int, end: int) -> tuple[Tensor, Tensor]:
        """Rows, counted from `start`, and columns of users start … end − 1."""
        rows = np.repeat(np.arange(end - start), np.diff(self.indptr[start : end + 1]))
        columns = self.indices[self.indptr[start] : self.indptr[end]]
        return torch.from_numpy(rows), torch.from_numpy(columns)


def _rows(of: Items, items: int, what: str) -> _Rows:
    if hasattr(of, "indptr"):
        of = (of.indptr, of.indices)
    if isinstance(of, tuple) and len(of) == 2:
        indptr, indices = (np.asarray(x) for x in of)
        if indptr.ndim != 1 or len(indptr) < 2 or indptr[0] != 0 or (np.diff(indptr) < 0).any():
            raise ReparamError(f"{what}: indptr must start at 0 and never fall, as that of a CSR matrix.")
        if indptr[-1] != len(indices):
            raise ReparamError(f"{what}: indptr ends at {indptr[-1]}, but there are {len(indices)} indices.")
    else:
        lists = [np.asarray(x).reshape(-1) for x in of]
        indptr = np.cumsum([0, *map(len, lists)])
        indices = np.concatenate([x for x in lists if len(x)] or [np.zeros(0, np.int64)])
    if not np.issubdtype(indices.dtype, np.integer):
        raise ReparamError(f"{what}: items are of type {indices.dtype}, expected whole numbers.")
    if len(indices) and not 0 <= indices.min() <= indices.max() < items:
        raise ReparamError(
            f"{what}: items {indices.min()} … {indices.max()}, but the scores are of items 0 … {items - 1}."
        )
    pairs = np.sort(np.repeat(np.arange(len(indptr) - 1), np.diff(indptr)) * items + indices)
    twice = pairs[1:][np.diff(pairs) == 0]
    if len(twice):
        raise ReparamError(f"{what}: user {twice[0] // items} has item {twice[0] % items} twice.")
    return _Rows(indptr.astype(np.int64), indices.astype(np.int64))


def _blocks(scores: Array | Iterable[Array]) -> Iterator[Tensor]:
    """Blocks of scores (users of the block, items), checked."""
    width = None
    for block in [scores] if isinstance(scores, np.ndarray | Tensor) else scores:
        x = torch.as_tensor(block).detach().cpu()
        if x.ndim != 2 or x.shape[1] != (width or x.shape[1]):
            raise ReparamError(f"scores: shape {tuple(x.shape)}, expected (users, {width or 'items'}).")
        if x.isnan().any():
            raise ReparamError("scores: some are NaN; no order can be made of them.")
        width = x.shape[1]
        yield x if x.is_floating_point() else x.double()


def top(scores: Array | Iterable[Array], held_out: Items, seen: Items, *, k: int, seed: int = 0) -> Lists:
    """The first k unseen items of each user, arguments and errors as those of `ranking`.

    Equal scores stand in an order drawn from `seed`, the same for all users: an order by number would favour
    the items that the data list first, often the popular ones.
    """
    blocks = _blocks(scores)
    first = next(blocks, None)
    if first is None:
        raise ReparamError("scores: there are no users.")
    items = first.shape[1]
    held, known = _rows(held_out, items, "held-out items"), _rows(seen, items, "seen items")
    users = len(held.indptr) - 1
    if len(known.indptr) - 1 != users:
        raise ReparamError(f"held-out items of {users} users, but seen items of {len(known.indptr) - 1}.")
    if not 1 <= k <= items:
        raise ReparamError(f"ranking: k is {k}, expected 1 … {items}, the number of items.")
    order = torch.from_numpy(np.random.default_rng(seed).permutation(items))
    listed, hit, start, end = [], [], 0, 0
    for block in chain([first], blocks):
        end = start + len(block)
        if end > users:
            break
        asked = torch.zeros(block.shape, dtype=torch.bool)
        asked[held.block(start, end)] = True
        rows, columns = known.block(start, end)
        for i in asked[rows, columns].nonzero()[:1]:
            raise ReparamError(
                f"ranking: item {int(columns[i])} of user {int(rows[i]) + start} is both seen and held out; "
                "it could never be recommended. Split each user's items into two parts."
            )
        masked = block.clone()
        masked[rows, columns] = -torch.inf
        best, at = masked[:, order].topk(k, 1)
        places = order[at]
        listed.append(places.masked_fill(best == -torch.inf, -1))
        hit.append(asked.gather(1, places) & (best > -torch.inf))
        start = end
    if end != users:
        raise ReparamError(f"scores of {end} users or more, but held-out items of {users}.")
    return Lists(torch.cat(listed).numpy(), torch.cat(hit).numpy(), np.diff(held.indptr), items)


def per_user(found: np.ndarray, counts: np.ndarray, k: int) -> dict[str, np.ndarray]:
    """NDCG, Recall and average precision at k, (users,) each, of hits (users, ≥ k) and n_u ≥ 1 = `counts`.

    All three divide by what a perfect list of k reaches, so each is 1 for one: the ideal DCG ends at place
    min(k, n_u), and Recall and average precision divide by min(k, n_u).
    """
    h, reach = found[:, :k].astype(float), np.minimum(k, counts)
    gains = 1 / np.log2(np.arange(2, k + 2))
    places = np.arange(1, k + 1)
    return {
        "ndcg": h @ gains / gains.cumsum()[reach - 1],
        "recall": h.sum(1) / reach,
        "map": (h * h.cumsum(1) / places).sum(1) / reach,
    }


def ranking(
    scores: Array | Iterable[Array],
    held_out: Items,
    seen: Items,
    *,
    ks: Sequence[int] = (20, 50, 100),
    seed: int = 0,
) -> dict[str, Measure]:
    """`ndcg@k`, `recall@k`, `map@k`, means over users, and `coverage@k`, share of items listed, for each k.

    `scores` (users, items), larger is better, or blocks of users in order, of which one is held at a time.
    `held_out` and `seen` are the items of each user (see `Items`); seen ones are set to −∞, and what has −∞
    is never recommended. Relevance is 0 or 1. Users with nothing held out are left out of the means. Coverage
    counts the items in at least one list, of all users, and rises with their number. The intervals resample
    users. Raises ReparamError where an item is both seen and held out, stands twice or does not exist, scores
    are NaN, numbers of users differ, or k exceeds the items.
    """
    if not ks:
        raise ReparamError("ranking: no k was given.")
    lists = top(scores, held_out, seen, k=max(ks), seed=seed)
    asked = lists.held_out > 0
    if not asked.any():
        raise ReparamError("ranking: no user has a held-out item.")
    where = (
        f"{asked.sum()} users with held-out items of {len(asked)}, {lists.items} items, seen ones masked; "
        f"{resampled(seed)}."
    )
    result: dict[str, Measure] = {}
    for k in ks:
        for key, values in per_user(lists.hit[asked], lists.held_out[asked], k).items():
            low, high = _bounds(values, seed)
            how = f"{WORDS[key].format(k=k)}, mean of {where}"
            result[f"{key}@{k}"] = Measure(
                float(values.mean()), low, high, len(values), "share", "higher", how
            )
        result[f"coverage@{k}"] = _coverage(lists, k, seed)
    return result


def _bounds(values: np.ndarray, seed: int) -> tuple[float, float]:
    # Users who are all 0 or all 1 give resamples no spread, and do not prove it.
    return share(values, seed=seed) if np.isin(values, (0, 1)).all() else interval(mean, values, seed=seed)


def _coverage(lists: Lists, k: int, seed: int) -> Measure:
    rng = np.random.default_rng(seed)
    first, users = lists.listed[:, :k], len(lists.listed)

    def listed(rows: np.ndarray | slice) -> float:
        found = np.zeros(lists.items + 1, bool)
        found[first[rows]] = True
        return found[:-1].mean().item()  # the last cell is that of −1

    value = listed(slice(None))
    drawn = np.array([listed(rng.integers(users, size=users)) for _ in range(COVERAGE_TIMES)])
    how = (
        f"Share of {lists.items} items among the first {k} of at least one of {users} users, seen ones "
        f"masked; {resampled(seed, COVERAGE_TIMES)}, recentred, for a resample repeats users."
    )
    return Measure(value, *recentred(drawn, value, 0, 1), users, "share", "higher", how)
