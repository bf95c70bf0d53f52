"""Bags against their dense matrices; readers of ratings, what they refuse; the split by people."""

import warnings
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch.testing import assert_close

import reparam
from reparam.data import Bags, Data, load
from reparam.data.named import shared_file
from reparam.errors import ReparamError
from reparam.noise import Everywhere, Streams
from reparam.system import facts

BAGS = Bags.of([[3, 0, 5], [], [1], [4, 2]], 6)


def test_bags_are_their_dense_matrix():
    valued = BAGS.to(torch.float64)
    valued = Bags(valued.offsets, valued.items, torch.arange(1.0, 7.0).double(), 6)
    weight = torch.randn(6, 3, generator=torch.Generator().manual_seed(0)).double()
    for bags in (BAGS.double(), valued):
        dense = bags.dense()
        assert dense.shape == bags.shape == (4, 6)
        assert_close(bags @ weight, dense @ weight)
        assert_close(bags.sums(), dense.sum(1))
        assert_close(bags.unit().dense(), torch.nn.functional.normalize(dense))
        rows = torch.tensor([2, 0, 0, 3])
        assert_close(bags[rows].dense(), dense[rows])
        for part in (slice(1, 3), slice(2, None), slice(None, None, 2), slice(4, 4), slice(3, 1)):
            assert_close(bags[part].dense(), dense[part])


@pytest.mark.parametrize(("bags", "saying"), [([[6]], "0 … 5"), ([[1, 1]], "twice")])
def test_what_is_no_bag(bags: list[list[int]], saying: str):
    with pytest.raises(ReparamError, match=saying):
        Bags.of(bags, 6)


def test_numbers_everywhere_are_uniform_and_four_by_four_independent():
    n, items = 20_000, torch.tensor([0, 1, 17, 20_719])
    draw = Streams(0).draw("drop", Everywhere(), n, 0)
    rows = torch.arange(n).repeat_interleave(4)
    u = Everywhere.at(draw, rows, items.repeat(n)).view(n, 4)
    assert u.min() >= 0
    assert u.max() < 1
    # Under independence all sixteen corners hold a sixteenth each.
    corner = ((u < 0.5).long() * torch.tensor([1, 2, 4, 8])).sum(1).bincount(minlength=16)
    chi = ((corner - n / 16) ** 2 / (n / 16)).sum()
    assert chi < 37.7  # the 99.9 % quantile at 15 degrees of freedom
    edges = torch.linspace(0, 1, 11, dtype=torch.float64)
    counts = torch.histogram(u.flatten(), edges).hist
    assert ((counts - 4 * n / 10) ** 2 / (4 * n / 10)).sum() < 27.9


def test_a_number_depends_on_the_draw_and_the_item_alone():
    draw = Streams(0).draw("drop", Everywhere(), 3, 0)
    several = Everywhere.at(draw, torch.tensor([0, 2, 2]), torch.tensor([7, 7, 9]))
    assert several[1] == Everywhere.at(draw[2:], torch.tensor([0]), torch.tensor([7]))[0]
    frozen = BAGS.dropout(0.5, torch.tensor([[0, 0, 0, 0]]).expand(4, 4)).values
    assert frozen is not None
    assert not frozen.any()


def test_dropout_keeps_the_mean():
    bags = BAGS[torch.zeros(20_000, dtype=torch.int64)]
    kept = bags.dropout(0.25, Streams(1).draw("drop", Everywhere(), 20_000, 0)).dense()
    assert_close(kept.unique(), torch.tensor([0.0, 4 / 3]))
    assert_close(kept.mean(0), BAGS.dense()[0], atol=0.02, rtol=0)


# Files


def _table(users: int = 30, items: int = 12) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Everybody rates eight of twelve items from 1 to 5, six of them with 4 or 5."""
    draw = np.random.default_rng(0)
    chosen = np.stack([draw.permutation(items)[:8] for _ in range(users)])
    stars = np.tile([5, 4, 5, 4, 5, 4, 1, 3], (users, 1))
    return np.repeat(np.arange(users), 8) + 100, chosen.ravel() + 1, stars.ravel()


USERS, ITEMS, STARS = _table()


def _lines(separator: str, *more: str) -> str:
    rows = zip(USERS, ITEMS, STARS, strict=True)
    return "\n".join([separator.join(map(str, (*row, *more))) for row in rows]) + "\n"


def _folders(root: Path) -> dict[str, Path]:
    """The same ratings in every form."""
    ml100k, ml1m, ml20m = root / "ml-100k", root / "ml-1m", root / "ml-20m"
    for folder in (ml100k, ml1m, ml20m):
        folder.mkdir()
    films = range(1, 13)
    (ml100k / "u.data").write_text(_lines("\t", "881250949"))
    (ml100k / "u.item").write_text("".join(f"{i}|Amélie {i} (1995)|01-Jan-1995\n" for i in films), "latin-1")
    (ml1m / "ratings.dat").write_text(_lines("::", "978300760"))
    (ml1m / "movies.dat").write_text("".join(f"{i}::Amélie {i} (1995)::Drama\n" for i in films), "latin-1")
    (ml20m / "ratings.csv").write_text("userId,movieId,rating,timestamp\n" + _lines(",", "1112486027"))
    (ml20m / "movies.csv").write_text(
        "movieId,title,genres\n" + "".join(f'{i},"Amélie {i} (1995)",Drama|War\n' for i in films)
    )
    atomic = root / "ml.inter"
    atomic.write_text("user_id:token\titem_id:token\trating:float\n" + _lines("\t"))
    (root / "ml.item").write_text(
        "item_id:token\tmovie_title:token_seq\n" + "".join(f"{i}\tAmélie {i} (1995)\n" for i in films)
    )
    table = root / "table.csv"
    titled = (f"{u},{i},{s},Amélie {i} (1995)" for u, i, s in zip(USERS, ITEMS, STARS, strict=True))
    table.write_text("User ID,Item_ID,Rating,Title\n" + "\n".join(titled))
    npz = root / "ratings.npz"
    names = np.array(["", *(f"Amélie {i} (1995)" for i in films)])
    np.savez(npz, user=USERS, item=ITEMS, rating=STARS, title=names)
    found = {"100k": ml100k, "1m": ml1m, "20m": ml20m, "atomic": atomic, "csv": table, "npz": npz}
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        return found
    words = [f"Amélie {i} (1995)" for i in ITEMS]
    columns = pyarrow.table({"user": USERS, "item": ITEMS, "rating": STARS, "title": words})
    pyarrow.parquet.write_table(columns, root / "table.parquet")
    return found | {"parquet": root / "table.parquet"}


def test_every_form_gives_the_same_bags(tmp_path: Path):
    memory = load({"user": USERS, "item": ITEMS, "rating": STARS})
    for path in _folders(tmp_path).values():
        data = load(path)
        assert (data.kind, data.levels, data.train.n, data.test.n) == ("bag", "counts", 24, 3)
        assert data.fingerprint == memory.fingerprint, path
        assert data.vocabulary is not None
        assert data.vocabulary[0] == "Amélie 1 (1995)"
        assert facts(data).vocabulary == data.vocabulary
        assert load(data.spec).fingerprint == data.fingerprint


def test_strings_are_names_too(tmp_path: Path):
    path = tmp_path / "words.csv"
    rows = zip(USERS, ITEMS, STARS, strict=True)
    path.write_text("user,item,rating\n" + "\n".join(f"ann{u},film {i},{s}" for u, i, s in rows))
    data = load(path)
    assert data.train.n == 24
    assert data.vocabulary is not None
    assert "film 1" in data.vocabulary


def _all_items(data: Data) -> list[set[int]]:
    found = []
    for split in (data.train, data.validation, data.test):
        dense = cast(Bags, split.x).dense() + (0 if split.held_out is None else split.held_out.dense())
        assert dense.max() == 1  # nothing is both shown and held out
        found += [set(row.nonzero()[:, 0].tolist()) for row in dense]
    return found


def test_the_split_is_by_people_and_holds_out_a_fifth():
    data = load({"user": USERS, "item": ITEMS, "rating": STARS}, seed=3)
    liked = [set(ITEMS[(user == USERS) & (STARS >= 4)] - 1) for user in np.unique(USERS)]
    assert sorted(map(sorted, _all_items(data))) == sorted(map(sorted, liked))
    assert data.test.held_out is not None
    assert data.test.held_out.lengths.tolist() == [1, 1, 1]
    assert cast(Bags, data.test.x).lengths.tolist() == [5, 5, 5]
    assert data.train.held_out is None
    assert load({"user": USERS, "item": ITEMS, "rating": STARS}, seed=4).fingerprint != data.fingerprint
    batch = data.batch(data.train, torch.tensor([3, 1]))["x"]
    assert_close(cast(Bags, batch).dense(), cast(Bags, data.train.x).dense()[[3, 1]])


def test_ratings_are_kept_in_parts_of_the_highest():
    everything = {"user": USERS, "item": ITEMS, "rating": STARS}
    data = load(everything, rated=True, seed=3)
    assert (data.levels, data.train.n) == ("ratings", 24)
    given = {(u, i): s for u, i, s in zip(USERS, ITEMS - 1, STARS, strict=True)}
    found = {}
    for split in (data.train, data.validation, data.test):
        bags = [cast(Bags, split.x), *([] if split.held_out is None else [split.held_out])]
        rows = sum((data.destandardise(each.dense()) for each in bags), torch.zeros(()))
        for row in rows:
            items = row.nonzero()[:, 0].tolist()
            found[tuple(items)] = row[items]
    for user in np.unique(USERS):
        items = sorted(i for u, i in given if u == user)
        assert_close(found[tuple(items)], torch.tensor([float(given[user, i]) for i in items]))
    train = data.batch(data.train, torch.tensor([3, 1]))
    assert train["user"].tolist() == [3, 1]
    assert data.batch(data.test, torch.tensor([0, 2]))["user"].tolist() == [-1, -1]
    # A pair that stands twice counts as it stands first.
    twice = {key: np.concatenate([column, column[:1]]) for key, column in everything.items()}
    twice["rating"][-1] = 2
    assert load(twice, rated=True, seed=3).fingerprint == data.fingerprint
    for options, saying in (({"threshold": 3.0}, "give one of the two"), ({"size": 3}, "not for them")):
        with pytest.raises(ReparamError, match=saying):
            load(everything, rated=True, **cast(Any, options))
    with pytest.raises(ReparamError, match="Leave rated out"):
        load({"user": USERS, "item": ITEMS}, rated=True)
    with pytest.raises(ReparamError, match="autorec is for ratings"):
        reparam.build("mult-vae", data)
    with pytest.raises(ReparamError, match="give ratings and --rated"):
        reparam.build("autorec", load(everything))


def test_threshold_and_core():
    everything = {"user": USERS, "item": ITEMS, "rating": STARS}
    assert cast(Bags, load(everything, threshold=1).train.x).lengths.tolist() == [8] * 24
    assert cast(Bags, load({"user": USERS, "item": ITEMS}).train.x).lengths.tolist() == [8] * 24
    with pytest.raises(ReparamError, match="no rating reaches 9; they span 1 … 5"):
        load(everything, threshold=9)
    with pytest.raises(ReparamError, match="0 users have 7 liked items or more"):
        load(everything, per_user=7)
    # A rare item and who would be kept by it alone fall together.
    more = {
        "user": np.concatenate([USERS, [1] * 5]),
        "item": np.concatenate([ITEMS, [1, 2, 3, 4, 99]]),
        "rating": np.concatenate([STARS, [5] * 5]),
    }
    assert (load(more).train.n, load(more, per_item=2).vocabulary) == (25, load(everything).vocabulary)
    held = load(more, per_item=2)
    assert held.train.n + held.validation.n + held.test.n == 30


@pytest.mark.parametrize(
    ("line", "saying"),
    [
        ("7,,4", "line 4: user '7' has no item"),
        (",3,4", "line 4: item '3' has no user"),
        ("7,3,-1", "line 4 is rated -1, outside any scale"),
        ("7,3,good", "line 4: the rating 'good' is no number"),
        ("7,3", "line 4: 2 cells"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, saying: str):
    path = tmp_path / "bad.csv"
    path.write_text(f"user,item,rating\n1,2,3\n\n{line}\n1,3,4\n")
    with pytest.raises(ReparamError, match=f"bad.csv, {saying}"):
        load(path)


def test_other_bad_input(tmp_path: Path):
    (tmp_path / "u.data").write_text("1\t2\t3\t0\n1\t3\t6\t0\n")
    with pytest.raises(ReparamError, match=r"u.data, line 2 is rated 6, outside the scale 0.5 … 5"):
        load(tmp_path)
    (tmp_path / "x.inter").write_text("who:token\twhat:token\n1\t2\n")
    with pytest.raises(ReparamError, match="it needs user_id:token"):
        load(tmp_path / "x.inter")
    (tmp_path / "none.csv").write_text("user,item,rating\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ReparamError, match=r"none.csv holds no ratings"):
            load(tmp_path / "none.csv")
    for given, saying in (
        ({"user": USERS, "item": ITEMS[:-1]}, "every row has one of each"),
        ({"user": USERS, "item": np.where(ITEMS > 11, np.nan, ITEMS)}, "has no item"),
        ({"user": USERS, "item": ITEMS, "rating": -STARS}, "outside any scale"),
    ):
        with pytest.raises(ReparamError, match=saying):
            load(given)
    good = {"user": USERS, "item": ITEMS}
    options: dict[str, Any]
    for options, saying in (
        ({"threshold": 3.0}, "has no ratings"),
        ({"size": 32}, "is not for them"),
        ({"to": "digits"}, "not translated"),
    ):
        with pytest.raises(ReparamError, match=saying):
            load(good, **options)
    with pytest.raises(ReparamError, match="threshold is for ratings"):
        load(torch.zeros(20, 3), threshold=3.0)


def test_named_ratings():
    data = load("tastes")
    assert (data.shape, data.train.n, data.vocabulary and data.vocabulary[9]) == ((300,), 2_400, "western 1")
    assert data.fingerprint == "829e814c7035cb6001d2587482ae35e7"
    try:
        shared_file("movielens100k.npz")
    except ReparamError:
        pytest.skip("movielens100k and filmtrust are not here")
    films, trust = load("movielens100k"), load("filmtrust")
    assert films.vocabulary is not None
    assert films.vocabulary[0] == "Toy Story (1995)"
    assert (films.train.n, trust.train.n) == (752, 897)
