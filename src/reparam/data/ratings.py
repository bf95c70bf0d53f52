"""Readers of ratings: who chose which item, and how it was rated.

Tables with a column of users and one of items (.csv, .parquet, .npz, a dict), RecBole's atomic files
(.inter with .item beside it), and folders of MovieLens (ml-100k, ml-1m, and the later ones in csv).
"""

import csv
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np

from reparam.errors import ReparamError

COLUMNS = {
    "user": ("user", "userid", "uid", "customerid"),
    "item": ("item", "itemid", "iid", "movieid", "movie", "productid", "trackid", "bookid"),
    "rating": ("rating", "ratings", "score", "stars"),
    "time": ("timestamp", "time", "date", "datetime"),
    "title": ("title", "movietitle", "itemname", "name", "booktitle", "trackname"),
}
MOVIELENS = (0.5, 5.0)


@dataclass
class Ratings:
    """What a reader returns: (m,) users and items, whole numbers or strings, and their ratings, if any.

    titles: of items, by what they are called in `items`. threshold: from which rating on an item counts as
    liked, where the data's scale is known.
    """

    name: str
    where: str
    users: np.ndarray
    items: np.ndarray
    ratings: np.ndarray | None
    titles: Mapping[str, str]
    threshold: float | None = None
    licence: str = "as its owner states"
    source: str = ""


class Layout(NamedTuple):
    """How a text file holds ratings: where its columns are, counted from 0."""

    columns: dict[str, int]
    separator: str = ","
    header: int = 0
    encoding: str = "utf-8-sig"
    scale: tuple[float, float] | None = None


def recognised(names: Iterable[str]) -> dict[str, int]:
    """Where the columns are, by their usual names; empty unless there are users and items."""
    plain = [name.split(":")[0].strip().lower().replace("_", "").replace(" ", "") for name in names]
    found = {
        key: next(plain.index(name) for name in known if name in plain)
        for key, known in COLUMNS.items()
        if set(known) & set(plain)
    }
    return found if {"user", "item"} <= found.keys() else {}


def from_columns(columns: Mapping[str, np.ndarray], name: str, where: str) -> Ratings:
    """Named columns, each (m,); a title either stands in every row, or row i names the item i.

    Raises ReparamError for rows without user or item, and for ratings that are no numbers or below 0.
    """
    names = list(columns)
    found = {key: np.asarray(columns[names[at]]) for key, at in recognised(names).items()}
    users, items, given = found["user"], found["item"], found.get("rating")
    for key in ("item", "rating"):
        if key in found and found[key].shape != users.shape:
            raise ReparamError(
                f"{where}: {len(users):,} users and {len(found[key]):,} {key}s; every row has one of each."
            )
    for key, column in (("user", users), ("item", items)):
        if (bad := _empty(column)).any():
            raise ReparamError(
                f"{where}: row {int(bad.argmax())} (from 0) has no {key}; leave such rows out."
            )
    ratings = None
    if given is not None:
        try:
            ratings = given.astype(np.float64)
        except (TypeError, ValueError):
            raise ReparamError(f"{where}: some ratings are no numbers; correct or drop the column.") from None
        if (bad := ~_rated(ratings, None)).any():
            raise ReparamError(
                f"{where}: row {int(bad.argmax())} (from 0) is {_outside(ratings[bad][0], None)}"
            )
    titles: dict[str, str] = {}
    if (title := found.get("title")) is not None:
        of = items if title.shape == items.shape else np.arange(len(title))
        titles = dict(zip(map(str, of.tolist()), map(str, title.tolist()), strict=True))
    return Ratings(name, where, _ids(users), _ids(items), ratings, titles)


def from_text(path: Path, layout: Layout, titles: Mapping[str, str] | None = None) -> Ratings:
    """A file of one rating a line. Raises ReparamError that names the first line at fault."""
    wanted = {key: at for key, at in layout.columns.items() if key in ("user", "item", "rating")}
    # One character parts cells there; of two, every other cell is empty.
    double = len(layout.separator)
    for id_type in ("i8", "U64"):
        kinds = [(key, "f8" if key == "rating" else id_type) for key in wanted]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of a file without rows, which is an error below
                table = np.loadtxt(
                    path,
                    np.dtype(kinds),
                    delimiter=layout.separator[0],
                    skiprows=layout.header,
                    usecols=[at * double for at in wanted.values()],
                    encoding=layout.encoding,
                    comments=None,
                    quotechar='"',
                    ndmin=1,
                )
        except (ValueError, IndexError, UnicodeDecodeError):
            continue
        ratings = table["rating"] if "rating" in wanted else None
        words = (table["user"], table["item"]) if id_type == "U64" else ()
        if (ratings is None or _rated(ratings, layout.scale).all()) and not any(
            _empty(w).any() for w in words
        ):
            break
    else:
        _fail(path, layout)
    if not len(table):
        raise ReparamError(f"{path} holds no ratings; it needs at least one line of them.")
    found = Ratings(path.stem, str(path), table["user"], table["item"], ratings, titles or {})
    if (at := layout.columns.get("title")) is not None and titles is None:
        rows = islice(_cells(path, layout), layout.header, None)
        found.titles = {cells[layout.columns["item"]].strip(): cells[at].strip() for _, cells in rows}
    if layout.scale == MOVIELENS:
        found.threshold = 4.0
    return found


def from_csv(path: Path, header: Sequence[str]) -> Ratings:
    """Comma-separated, with a line of column names."""
    return from_text(path, Layout(recognised(header), header=1))


def from_inter(path: Path) -> Ratings:
    """RecBole's atomic file: tab-separated, columns `user_id:token`, `item_id:token`, `rating:float` …"""
    with path.open(encoding="utf-8-sig") as file:
        names = file.readline().rstrip("\n").split("\t")
    columns = recognised(names)
    if not columns:
        raise ReparamError(
            f"{path}: its columns are {', '.join(names)}; it needs user_id:token and item_id:token."
        )
    beside = path.with_suffix(".item")
    titles = _item_titles(beside, "\t", "utf-8-sig") if beside.is_file() else None
    return from_text(path, Layout(columns, "\t", header=1), titles)


def folder(path: Path) -> Ratings | None:
    """The ratings of a MovieLens folder, or of one with a RecBole file; None if it is neither."""
    as_listed = {"user": 0, "item": 1, "rating": 2, "time": 3}
    if (path / "u.data").is_file():
        titles = _titles(path / "u.item", "|", "latin-1") if (path / "u.item").is_file() else None
        found = from_text(path / "u.data", Layout(as_listed, "\t", scale=MOVIELENS), titles)
    elif (path / "ratings.dat").is_file():
        titles = _titles(path / "movies.dat", "::", "latin-1") if (path / "movies.dat").is_file() else None
        layout = Layout(as_listed, "::", encoding="latin-1", scale=MOVIELENS)
        found = from_text(path / "ratings.dat", layout, titles)
    elif (path / "ratings.csv").is_file():
        titles = (
            _item_titles(path / "movies.csv", ",", "utf-8-sig") if (path / "movies.csv").is_file() else None
        )
        with (path / "ratings.csv").open(encoding="utf-8-sig") as file:
            columns = recognised(next(csv.reader(file), []))
        if not columns:
            raise ReparamError(f"{path / 'ratings.csv'} has no columns userId and movieId in its first line.")
        found = from_text(path / "ratings.csv", Layout(columns, header=1, scale=MOVIELENS), titles)
    elif files := sorted(path.glob("*.inter")):
        if len(files) > 1:
            raise ReparamError(f"{path} holds {len(files)} .inter files; give one of them: {files[0]}.")
        return from_inter(files[0])
    else:
        return None
    found.name = path.name
    return found


def _item_titles(path: Path, separator: str, encoding: str) -> dict[str, str]:
    """Titles by item of a file whose first line names its columns; empty where it names no title."""
    with path.open(newline="", encoding=encoding) as file:
        lines = csv.reader(file, delimiter=separator)
        columns = recognised(["user", *next(lines, [])])
        if "title" not in columns:
            return {}
        item, title = columns["item"] - 1, columns["title"] - 1
        return {row[item]: row[title] for row in lines if len(row) > max(item, title)}


def _titles(path: Path, separator: str, encoding: str) -> dict[str, str]:
    """Titles by item of a file of `item, title, …` without a header."""
    with path.open(encoding=encoding) as file:
        cells = (line.rstrip("\n").split(separator) for line in file)
        return {row[0]: row[1] for row in cells if len(row) > 1}


def _cells(path: Path, layout: Layout) -> Iterator[tuple[int, list[str]]]:
    """The number, from 1, and the cells of each line."""
    with path.open(newline="", encoding=layout.encoding) as file:
        if len(layout.separator) == 1:
            reader = csv.reader(file, delimiter=layout.separator)
            yield from ((reader.line_num, row) for row in reader)
        else:
            yield from ((i, line.rstrip("\r\n").split(layout.separator)) for i, line in enumerate(file, 1))


def _fail(path: Path, layout: Layout) -> NoReturn:
    """Looks for the first line at fault: slow, so only when there is one."""
    last = max(layout.columns[key] for key in layout.columns.keys() & {"user", "item", "rating"})
    try:
        for line, cells in islice(_cells(path, layout), layout.header, None):
            if not cells or cells == [""]:
                continue
            here = f"{path}, line {line}"
            if len(cells) <= last:
                raise ReparamError(f"{here}: {len(cells)} cells where at least {last + 1} are needed.")
            for key in ("user", "item"):
                if not cells[layout.columns[key]].strip():
                    other = "item" if key == "user" else "user"
                    of = cells[layout.columns[other]].strip()
                    raise ReparamError(f"{here}: {other} {of!r} has no {key}; leave the line out.")
            if "rating" in layout.columns:
                word = cells[layout.columns["rating"]]
                try:
                    value = float(word)
                except ValueError:
                    raise ReparamError(f"{here}: the rating {word!r} is no number.") from None
                if not _rated(np.array([value]), layout.scale)[0]:
                    raise ReparamError(f"{here} is {_outside(value, layout.scale)}")
    except (UnicodeDecodeError, csv.Error) as error:
        raise ReparamError(f"{path} cannot be read as {layout.encoding} ({error}); save it again.") from None
    raise ReparamError(f"{path} cannot be read as ratings; save it again as csv with a line of column names.")


def _rated(ratings: np.ndarray, scale: tuple[float, float] | None) -> np.ndarray:
    low, high = scale or (0.0, np.inf)
    return np.isfinite(ratings) & (ratings >= low) & (ratings <= high)


def _outside(value: float, scale: tuple[float, float] | None) -> str:
    between = f"the scale {scale[0]:g} … {scale[1]:g}" if scale else "any scale (finite, from 0 on)"
    return f"rated {value:g}, outside {between}; correct it, or leave the line out if it means 'not rated'."


def _empty(column: np.ndarray) -> np.ndarray:
    """Which cells hold nothing."""
    if column.dtype.kind == "f":
        return np.isnan(column)
    if column.dtype.kind == "O":
        return np.array([cell is None or cell != cell or str(cell).strip() == "" for cell in column], bool)
    return np.char.strip(column) == "" if column.dtype.kind == "U" else np.zeros(len(column), bool)


def _ids(column: np.ndarray) -> np.ndarray:
    """Whole numbers as int64, anything else as strings."""
    if column.dtype.kind in "biu" or (column.dtype.kind == "f" and (column == np.round(column)).all()):
        return column.astype(np.int64)
    return column.astype(str)
