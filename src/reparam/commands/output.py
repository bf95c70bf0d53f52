"""What commands write: pictures, arrays and tables, whole or not at all."""

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reparam.errors import ReparamError

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from reparam.system import System

SUFFIXES = (".png", ".npz", ".csv")


def target(system: "System", run: Path, out: Path | None, stem: str) -> Path:
    """The file to write: what was asked for, or else in the run's folder, a picture where one can be drawn.

    Raises ReparamError, before anything is computed, for a kind of file that cannot hold the data.
    """
    drawable = system.data.kind == "image" or system.data.shape == (2,)
    if out is not None and out.suffix == ".txt":
        raise ReparamError(f"{out}: only text goes into a .txt, and this is {_words(system)}.")
    if out is None:
        return run / f"{stem}{'.png' if drawable else '.csv'}"
    checked(out, SUFFIXES)
    if out.suffix == ".png" and not drawable:
        raise ReparamError(f"{out}: no picture can be drawn of {_words(system)}; write .csv or .npz instead.")
    if out.suffix == ".csv" and system.data.kind == "image":
        raise ReparamError(f"{out}: images do not go into a table; write .png or .npz instead.")
    return out


def say(lines: Sequence[str], out: Path | None) -> None:
    """Prints lines, or writes them to a .txt and says so."""
    from reparam.report.files import write_atomic

    if out is None:
        print("\n".join(lines))
        return
    write_atomic(checked(out, (".txt",)), ("\n".join(lines) + "\n").encode())
    print(f"wrote {out}")


def checked(out: Path, suffixes: Sequence[str]) -> Path:
    """The path, if its suffix is one of these. Raises ReparamError otherwise."""
    if out.suffix not in suffixes:
        raise ReparamError(f"{out}: the name must end in {' or '.join(suffixes)}.")
    return out


def write(out: Path, arrays: "Mapping[str, Tensor]", picture: "Callable[[], Image]") -> None:
    """Writes the picture, or the arrays as .npz or as the columns of a .csv; says so."""
    from reparam.report import pictures

    match out.suffix:
        case ".png":
            pictures.save(picture(), out)
        case ".npz":
            write_npz(out, arrays)
        case _:
            columns: dict[str, Any] = {}
            for name, array in arrays.items():
                rows = array.flatten(0, -2)
                columns |= {f"{name}{i}": rows[:, i].tolist() for i in range(rows.shape[1])}
            write_csv(out, columns, zip(*columns.values(), strict=True))
    print(f"wrote {out}")


def write_npz(out: Path, arrays: "Mapping[str, Tensor]") -> None:
    """Writes tensors under their names."""
    import numpy as np

    from reparam.report.files import write_atomic

    buffer = io.BytesIO()
    content: dict[str, Any] = {name: array.cpu().numpy() for name, array in arrays.items()}
    np.savez_compressed(buffer, **content)
    write_atomic(out, buffer.getvalue())


def write_csv(out: Path, header: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """Writes a line of names, and rows."""
    from reparam.report.files import write_atomic

    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_atomic(out, buffer.getvalue().encode())


def _words(system: "System") -> str:
    shape = system.data.shape
    return f"vectors of {shape[0]} numbers" if len(shape) == 1 else f"data of shape {shape}"
