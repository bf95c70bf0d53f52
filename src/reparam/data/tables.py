"""Tables: .csv and .parquet; the numeric columns make the vector, a column label, y or class the label.

A column text makes it text instead.
"""

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from reparam.data import ratings
from reparam.data.arrays import finite
from reparam.data.raw import Part, Raw
from reparam.data.text import as_lines
from reparam.errors import ReparamError

LABELS = ("label", "y", "class")
TEXT = "text"


def from_csv(path: Path) -> Raw | ratings.Ratings:
    """Comma-separated UTF-8. The first line names the columns, unless it is all numbers."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            if ratings.recognised(header := next(csv.reader(file), [])):
                return ratings.from_csv(path, header)
            file.seek(0)
            reader = csv.reader(file)
            rows = [(reader.line_num, row) for row in reader if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ReparamError(f"{path} cannot be read as UTF-8 csv ({error}); save it again.") from error
    if not rows:
        raise ReparamError(f"{path} is empty; it needs a line of column names and rows of numbers.")
    header = rows[0][1]
    if all(_is_number(cell) for cell in header):
        header = [f"column{i}" for i in range(len(header))]
    else:
        rows = rows[1:]
    for line, row in rows:
        if len(row) != len(header):
            raise ReparamError(
                f"{path}, line {line}: {len(row)} cells where there are {len(header)} columns."
            )
    cells = np.array([row for _, row in rows], dtype=str).reshape(len(rows), len(header))
    train = from_columns(_named(header, cells, path), str(path))
    return Raw(path.stem, str(path), {"train": train}, lines=[line for line, _ in rows])


def from_parquet(path: Path) -> Raw | ratings.Ratings:
    """Through pyarrow, an extra of the package."""
    columns = read_parquet(path)
    if ratings.recognised(columns):
        return ratings.from_columns(columns, path.stem, str(path))
    return Raw(path.stem, str(path), {"train": from_columns(columns, str(path))})


def read_parquet(path: Path) -> dict[str, np.ndarray]:
    """Every column by its name, (n,)."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ReparamError(f'{path} needs pyarrow to be read: pip install "reparam[tables]"') from error
    try:
        table = pyarrow.parquet.read_table(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise ReparamError(f"{path} cannot be read as parquet ({error}); save it again.") from error
    return {name: table[name].to_numpy() for name in table.column_names}


def from_columns(columns: Mapping[str, np.ndarray], where: str) -> Part:
    """Named columns, each (n,) of numbers or of strings, some of which may spell numbers."""
    labels = [name for name in columns if name.lower() in LABELS]
    if len(labels) > 1:
        raise ReparamError(f"{where} has the label columns {' and '.join(labels)}; keep one of them.")
    y = _numbers_or_strings(columns[labels[0]], f"{where}, column {labels[0]}") if labels else None
    if texts := [name for name in columns if name.lower() == TEXT]:
        return Part(as_lines(columns[texts[0]]), y)
    vectors = {name: _numbers(column) for name, column in columns.items() if name not in labels}
    if words := [name for name, column in vectors.items() if column is None]:
        raise ReparamError(
            f"{where}: column{'s' if len(words) > 1 else ''} {', '.join(words)} "
            f"{'are' if len(words) > 1 else 'is'} not numeric; drop, or encode as numbers "
            f"(the label column is named {', '.join(LABELS[:-1])} or {LABELS[-1]})."
        )
    if not vectors:
        raise ReparamError(f"{where} has no column of numbers; it needs at least one.")
    x = np.stack([column for column in vectors.values() if column is not None], 1)
    finite(x, where, list(vectors))
    return Part(x, y, columns=tuple(vectors))


def _named(header: list[str], cells: np.ndarray, path: Path) -> dict[str, np.ndarray]:
    names = [name.strip() for name in header]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ReparamError(f"{path} has two columns named {twice[0]!r}; rename one.")
    return {name: cells[:, i] for i, name in enumerate(names)}


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _numbers(column: np.ndarray) -> np.ndarray | None:
    """(n,) float64, an empty or missing cell as NaN; None where a cell is no number."""
    if column.dtype.kind == "U":
        column = np.where(np.char.strip(column) == "", "nan", column)
    elif column.dtype.kind not in "biuf":
        return None
    try:
        return column.astype(np.float64)
    except ValueError:
        return None


def _numbers_or_strings(column: np.ndarray, where: str) -> np.ndarray:
    """Labels as numbers where all are, else as strings; an error where one is missing."""
    if column.dtype.kind == "O":
        missing = np.array([value is None or value == "" for value in column], bool)
        column = column if missing.any() else column.astype(str)
    else:
        missing = np.char.strip(column) == "" if column.dtype.kind == "U" else np.zeros(len(column), bool)
    if column.dtype.kind == "U":
        column = np.char.strip(column)
    if missing.any():
        raise ReparamError(f"{where}: row {int(missing.argmax())} (from 0) has no label; give every row one.")
    numbers = _numbers(column)
    return column if numbers is None else numbers
