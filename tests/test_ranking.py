"""Ranking against figures by hand and a slow second implementation; broken evaluations must be caught."""

import json
import math
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
import scipy.sparse
import torch
from torch.testing import assert_close

from reparam.data.named import shared_file
from reparam.errors import ReparamError
from reparam.metrics.ranking import per_user, ranking, top
from reparam.metrics.ranking_check import check, ours
from reparam.metrics.rating_error import rating_error


def world(users: int = 60, items: int = 40, seed: int = 0) -> tuple[np.ndarray, list, list]:
    """Scores that know something, held-out items (none for some users), and seen ones, which score high."""
    rng = np.random.default_rng(seed)
    scores, held, seen = rng.normal(size=(users, items)), [], []
    for user in range(users):
        own = rng.permutation(items)[: rng.integers(3, 20)]
        known = rng.integers(1, len(own) + 1)
        seen.append(own[:known].tolist())
        held.append(own[known:].tolist())
        scores[user, own] += 1.5
    return scores, held, seen


def slowly(scores: np.ndarray, held: list, seen: list, k: int) -> dict[str, float]:
    """The definitions, one user and one place at a time."""
    found: dict[str, list[float]] = {"ndcg": [], "recall": [], "map": []}
    for row, own, known in zip(scores, held, seen, strict=True):
        if not own:
            continue
        order = [i for i in sorted(range(len(row)), key=lambda i: -row[i]) if i not in known][:k]
        reach = min(k, len(own))
        ideal = sum(1 / math.log2(place + 1) for place in range(1, reach + 1))
        gain, hits, precision = 0.0, 0, 0.0
        for place, item in enumerate(order, 1):
            if item in own:
                hits += 1
                gain += 1 / math.log2(place + 1)
                precision += hits / place
        found["ndcg"].append(gain / ideal)
        found["recall"].append(hits / reach)
        found["map"].append(precision / reach)
    return {key: float(np.mean(values)) for key, values in found.items()}


def test_by_hand() -> None:
    scores = np.array([[0.9, 0.8, 0.7, 0.6, 0.5], [0.1, 0.2, 0.3, 0.4, 0.5]])
    held, seen = [[1, 4], [4, 3, 2]], [[0], []]
    got = ranking(scores, held, seen, ks=[2])
    # User 0: of 1, 2 the first is held out, ideal 1 + 1/log₂ 3. User 1: 4, 3, both held out, of three.
    first = 1 / (1 + 1 / math.log2(3))
    assert_close(got["ndcg@2"].value, (first + 1) / 2)
    assert_close(got["recall@2"].value, (1 / 2 + 1) / 2)
    assert_close(got["map@2"].value, (1 / 2 + 1) / 2)
    assert got["coverage@2"].value == 4 / 5


def test_places_by_hand() -> None:
    hits = np.array([[False, True, False, True], [True, False, False, False]])
    got = per_user(hits, np.array([3, 1]), 4)
    ideal = 1 + 1 / math.log2(3) + 1 / 2
    assert_close(got["ndcg"], np.array([(1 / math.log2(3) + 1 / math.log2(5)) / ideal, 1]))
    assert_close(got["recall"], np.array([2 / 3, 1]))
    assert_close(got["map"], np.array([(1 / 2 + 2 / 4) / 3, 1]))


@pytest.mark.parametrize("k", [1, 5, 20])
def test_against_the_slow_one(k: int) -> None:
    scores, held, seen = world()
    assert any(not own for own in held)
    assert any(len(own) > 5 for own in held)
    got, expected = ranking(scores, held, seen, ks=[k]), slowly(scores, held, seen, k)
    for key, value in expected.items():
        assert_close(got[f"{key}@{k}"].value, value)
        assert got[f"{key}@{k}"].n == sum(map(bool, held))
    orders = [
        [i for i in np.argsort(-row) if i not in known][:k] for row, known in zip(scores, seen, strict=True)
    ]
    assert_close(got[f"coverage@{k}"].value, len({i for order in orders for i in order}) / 40)


def test_blocks_and_every_form_of_items_give_the_same() -> None:
    scores, held, seen = world()
    expected = ranking(scores, held, seen, ks=[5, 10])

    def matrix(of: list) -> scipy.sparse.csr_matrix:
        rows = np.repeat(np.arange(len(of)), list(map(len, of)))
        return scipy.sparse.csr_matrix((np.ones(len(rows)), (rows, np.concatenate(of))), scores.shape)

    h, s = matrix(held), matrix(seen)
    assert ranking(iter(np.split(scores, [7, 8, 50])), h, s, ks=[5, 10]) == expected
    assert (
        ranking(torch.from_numpy(scores), (h.indptr, h.indices), (s.indptr, s.indices), ks=[5, 10])
        == expected
    )


def test_seen_items_are_never_listed_and_an_empty_place_is_no_hit() -> None:
    scores = np.array([[3.0, 2.0, 1.0, 0.0]])
    lists = top(scores, [[2]], [[0, 1, 3]], k=4)
    assert lists.listed.tolist() == [[2, -1, -1, -1]]
    assert lists.hit.tolist() == [[True, False, False, False]]
    assert ranking(scores, [[2]], [[0, 1, 3]], ks=[4])["coverage@4"].value == 1 / 4
    # A model's own −∞ is respected as well, held out or not.
    assert ranking(np.array([[-np.inf, 1.0]]), [[0]], [[]], ks=[2])["recall@2"].value == 0


def test_equal_scores_favour_no_item() -> None:
    held = [[0]] * 50  # the item an order by number would put first
    got = [ranking(np.zeros((50, 20)), held, [[]] * 50, ks=[5], seed=s)["recall@5"].value for s in range(400)]
    assert set(got) == {0.0, 1.0}
    assert abs(np.mean(got) - 5 / 20) < 4 * math.sqrt(0.25 * 0.75 / 400)


def test_a_scorer_that_knows_nothing_finds_what_chance_finds() -> None:
    rng = np.random.default_rng(1)
    held = [rng.permutation(100)[:10].tolist() for _ in range(400)]
    got = ranking(rng.random((400, 100)), held, [[]] * 400, ks=[20])
    low, high = got["recall@20"].low, got["recall@20"].high
    assert low is not None
    assert high is not None
    assert low < 20 / 100 < high


def test_the_interval_resamples_users() -> None:
    scores, held, seen = world(400)
    m = ranking(scores, held, seen, ks=[10])["ndcg@10"]
    lists = top(scores, held, seen, k=10)
    own = lists.held_out > 0
    values = per_user(lists.hit[own], lists.held_out[own], 10)["ndcg"]
    half = 1.96 * values.std() / math.sqrt(len(values))
    assert_close([m.low, m.high], [m.value - half, m.value + half], atol=0.15 * half, rtol=0)


def test_broken_recommenders_rank_below_the_good_one() -> None:
    scores, held, seen = world(400)
    good = ranking(scores, held, seen, ks=[10])
    chance = ranking(np.random.default_rng(2).random(scores.shape), held, seen, ks=[10])
    same = ranking(np.tile(scores[0], (400, 1)), held, seen, ks=[10])  # one list for everybody
    for key in ("ndcg@10", "recall@10", "map@10"):
        for broken in (chance, same):
            assert (broken[key].high or 1) < (good[key].low or 0), key
    # Recommending one popular list is what coverage is there to see.
    few = top(np.tile(np.arange(40.0), (400, 1)), held, [[]] * 400, k=10)
    assert len(np.unique(few.listed)) == 10
    popular = ranking(np.tile(np.arange(40.0), (400, 1)), held, [[]] * 400, ks=[10])["coverage@10"]
    assert popular.value == popular.high == 10 / 40
    assert popular.high < (good["coverage@10"].low or 0)


def test_popular_films_are_found_before_others() -> None:
    try:
        path = shared_file("movielens100k.npz")
    except ReparamError:
        pytest.skip("movielens100k.npz is not in REPARAM_DATA or shared/data")
    with np.load(path, allow_pickle=False) as found:
        user, item = (np.unique(found[key], return_inverse=True)[1] for key in ("user", "item"))
    rng = np.random.default_rng(0)
    kept = rng.random(len(user)) < 0.8

    def of(rows: np.ndarray) -> scipy.sparse.csr_matrix:
        return scipy.sparse.csr_matrix((np.ones(rows.sum()), (user[rows], item[rows])), (943, 1682))

    seen, held = of(kept), of(~kept)
    popular = np.tile(np.bincount(item[kept], minlength=1682), (943, 1))
    good = ranking(popular, held, seen, ks=[20])
    chance = ranking(rng.random((943, 1682)), held, seen, ks=[20])
    for key in ("ndcg@20", "recall@20", "map@20"):
        assert (good[key].low or 0) > 3 * (chance[key].high or 1)
    # Popular films are those already seen: what the mask is for.
    unmasked = ranking(popular, held, [[]] * 943, ks=[20])
    assert (unmasked["ndcg@20"].high or 1) < (good["ndcg@20"].low or 0)


# The check, and evaluations that are wrong as others were


def evaluation(
    *,
    mask: float | None = -np.inf,
    masked: str = "seen",
    recall: Callable[[int, int], float] = min,
    ideal: Callable[[int, int], float] = min,
    average: Callable[[int, int], float] = min,
    first: int = 2,
    order: int = -1,
) -> Any:
    """An evaluation by the definitions, with one thing to get wrong."""

    def evaluate(scores: np.ndarray, held: list, seen: list, k: int) -> dict[str, float]:
        rows = []
        for row, own, known in zip(scores, held, seen, strict=True):
            if mask is not None:
                row[known if masked == "seen" else own] = mask
            listed = np.argsort(order * row, kind="stable")[:k]
            hit = np.isin(listed, own)
            gains = 1 / np.log2(np.arange(first, first + 20))
            precision = hit.cumsum() / np.arange(1, k + 1)
            rows.append(
                (
                    hit @ gains[:k] / gains[: int(ideal(k, len(own)))].sum(),
                    hit.sum() / recall(k, len(own)),
                    hit @ precision / average(k, len(own)),
                )
            )
        return dict(zip(("ndcg", "recall", "map"), np.mean(rows, 0).tolist(), strict=True))

    return evaluate


def test_a_right_evaluation_passes_the_check() -> None:
    check(ours)
    check(slowly)
    check(evaluation())


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (evaluation(mask=None), "mask of seen items"),
        (evaluation(mask=0.0), "mask of seen items"),  # negative scores: 0 is above them all
        (evaluation(masked="held out"), "normaliser"),
        (evaluation(recall=lambda k, n: n), r"recall@4 of perfect lists .* normaliser"),
        (evaluation(recall=lambda k, n: k), r"recall@4 of perfect lists .* normaliser"),
        (evaluation(ideal=lambda k, n: n), r"ndcg@4 of perfect lists .* normaliser"),
        (evaluation(ideal=lambda k, n: k), r"ndcg@4 of perfect lists .* normaliser"),
        (evaluation(average=lambda k, n: n), r"map@4 of perfect lists .* normaliser"),
        (evaluation(average=lambda k, n: k), r"map@4 of perfect lists .* normaliser"),
        (evaluation(first=3), r"ndcg@4 of one of two found.* discount"),
        (evaluation(order=1), "normaliser"),
        (lambda *_: {"ndcg": math.nan}, "ndcg@4 of perfect lists is nan"),
        (lambda *_: {"NDCG": 1.0}, "expected some of ndcg, recall, map"),
    ],
)
def test_a_wrong_mask_or_normaliser_is_caught(broken: Any, message: str) -> None:
    with pytest.raises(ReparamError, match=message):
        check(broken)


@pytest.mark.parametrize(
    ("scores", "held", "seen", "ks", "message"),
    [
        (np.zeros((1, 5)), [[1]], [[1, 2]], [2], "item 1 of user 0 is both seen and held out"),
        (np.zeros((2, 5)), [[1], [3]], [[0], [2, 2]], [2], "seen items: user 1 has item 2 twice"),
        (
            np.zeros((1, 5)),
            [[5]],
            [[]],
            [2],
            "held-out items: items 5 … 5, but the scores are of items 0 … 4",
        ),
        (np.zeros((1, 5)), [[0.5]], [[]], [2], "held-out items: items are of type float64"),
        (np.zeros((1, 5)), [[1]], [[]], [6], "k is 6, expected 1 … 5"),
        (np.zeros((1, 5)), [[1]], [[]], [], "no k"),
        (np.zeros((2, 5)), [[1]], [[]], [2], "scores of 2 users or more, but held-out items of 1"),
        (np.zeros((1, 5)), [[1], [2]], [[], []], [2], "scores of 1 users"),
        (np.zeros((1, 5)), [[1]], [[], []], [2], "held-out items of 1 users, but seen items of 2"),
        (np.full((1, 5), np.nan), [[1]], [[]], [2], "NaN"),
        (np.zeros(5), [[1]], [[]], [2], r"expected \(users, items\)"),
        ([np.zeros((1, 5)), np.zeros((1, 4))], [[1], [1]], [[], []], [2], r"expected \(users, 5\)"),
        ([], [[1]], [[]], [2], "no users"),
        (np.zeros((1, 5)), [[]], [[1]], [2], "no user has a held-out item"),
        (np.zeros((1, 5)), (np.array([0, 2]), np.array([1])), [[]], [2], "indptr ends at 2"),
        (np.zeros((1, 5)), (np.array([1, 1]), np.array([1])), [[]], [2], "indptr must start at 0"),
    ],
)
def test_wrong_input_is_named(scores: Any, held: Any, seen: Any, ks: list[int], message: str) -> None:
    with pytest.raises(ReparamError, match=message):
        ranking(scores, held, seen, ks=ks)


def test_is_seeded_json_and_leaves_its_input() -> None:
    scores, held, seen = world()
    before = scores.copy()
    found = ranking(scores, held, seen, ks=[5])
    assert np.array_equal(scores, before)
    assert found == ranking(scores, held, seen, ks=[5])
    for m in found.values():
        assert json.loads(json.dumps(asdict(m), allow_nan=False)) == asdict(m)
        assert m.how.endswith(".")


# Ratings


def test_errors_of_ratings() -> None:
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(50), 20)
    given = rng.integers(1, 6, 1000)
    near, far = given + 0.5 * rng.standard_normal(1000), np.full(1000, given.mean())
    good, bad = rating_error(near, given, users), rating_error(far, given, users)
    assert_close(good["rmse"].value, float(np.sqrt(np.mean((near - given) ** 2))))
    assert_close(good["mae"].value, float(np.abs(near - given).mean()))
    for key in ("rmse", "mae"):
        assert good[key].low < good[key].value < good[key].high < bad[key].low
        assert good[key].n == 50
    # Users who differ widen the interval that users are resampled for.
    wide = rating_error(given + np.repeat(rng.standard_normal(50), 20), given, users)["rmse"]
    mixed = rating_error(given + rng.standard_normal(1000), given, users)["rmse"]
    assert wide.high - wide.low > 2 * (mixed.high - mixed.low)
    for predicted, who in (([1.0, 2.0], [0]), ([1.0], [0]), ([np.nan, 1.0], [0, 0])):
        with pytest.raises(ReparamError):
            rating_error(np.array(predicted), np.array([1.0, 2.0]), np.array(who))
