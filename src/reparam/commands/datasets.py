"""Datasets: listed, shown, fetched."""

from typing import TYPE_CHECKING, Annotated

import tyro

from reparam.commands.options import (
    AS_IT_IS,
    AS_THE_PAPER,
    Binarise,
    Count,
    Flag,
    OtherData,
    Ratings,
    Text,
    as_json,
    data_options,
    facts,
    table,
)
from reparam.errors import ReparamError

if TYPE_CHECKING:
    from reparam.data import Data

Name = Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="NAME|PATH")]


def list_all(json: Flag = False) -> None:
    """List the datasets that have a name.

    Args:
        json: print JSON.
    """
    from reparam.data import available

    fields = ("name", "kind", "shape", "n", "classes", "licence", "source", "embedded", "about")
    if json:
        print(as_json([{name: getattr(entry, name) for name in fields} for entry in available()]))
        return
    table(
        ("name", "kind", "shape", "examples", "ships", "licence"),
        (
            (
                entry.name,
                entry.kind,
                "×".join(map(str, entry.shape)),
                f"{sum(entry.n):,}",
                "yes" if entry.embedded else "no",
                entry.licence,
            )
            for entry in available()
        ),
    )
    print("\nAlso: a folder of pictures; a .npz, .npy, .csv, .parquet, .txt or .jsonl file; hub:OWNER/NAME;")
    print("of ratings, a table with columns user and item, a RecBole .inter file, or a folder of MovieLens.")


def show(
    name: Name,
    binarise: Binarise = "none",
    size: Count = None,
    skip_bad: Flag = False,
    to: OtherData = None,
    text: Text = AS_IT_IS,
    ratings: Ratings = AS_THE_PAPER,
) -> None:
    """Read a dataset and say what is in it.

    Args:
        name: a name from `reparam data list`, a folder of pictures, a file, or hub:OWNER/NAME.
        binarise: make pictures black and white.
        size: crop and resize pictures to N × N pixels.
        skip_bad: go on without pictures that cannot be read, or empty lines.
        to: a second dataset, as in `reparam train`.
        text: how text is read.
        ratings: how ratings are read.
    """
    from reparam.data import load

    told = data_options(binarise, size, False, skip_bad, None, to, False, text, ratings)
    _show(load(name, missing=True, **told))


def fetch(
    name: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="hub:OWNER/NAME")], size: Count = None
) -> None:
    """Fetch a dataset of the Hugging Face hub once; after that it is read without a network.

    Args:
        name: hub:OWNER/NAME.
        size: crop and resize pictures to N × N pixels; train with the same.
    """
    from reparam.data import hub, load

    if not name.startswith("hub:"):
        raise ReparamError(f"{name!r}: only datasets of the hub are fetched; write hub:OWNER/NAME.")
    loaded = load(name, size=size)
    _show(loaded)
    print(f"kept in {hub.cache_file(name.removeprefix('hub:'), size)}")


def _show(data: "Data") -> None:
    splits = ((split, getattr(data, split)) for split in ("train", "validation", "test"))
    noise = {source: law.law for source, law in data.noise().items()}
    about = {
        "name": data.name,
        "kind": data.kind,
        "shape": "×".join(map(str, data.shape)),
        "levels": data.levels,
        **{name: f"{split.n:,}" for name, split in splits},
        "missing": f"{data.missing:.1%} of the numbers" if data.missing else "",
        "classes": "none" if data.classes is None else f"{len(data.classes)}: {', '.join(data.classes)}",
        "attributes": ", ".join(data.attributes),
        "domains": " and ".join(data.domains or ()) + (", aligned" if data.aligned else ""),
        "vocabulary": _vocabularies(data),
        "first line": "; ".join(_first_lines(data)),
        "noise": "; ".join(f"{source} ~ {law}" for source, law in noise.items()),
        "licence": data.licence,
        "source": data.source,
        "fingerprint": data.fingerprint,
    }
    facts({name: value for name, value in about.items() if value != ""})


def _vocabularies(data: "Data") -> str:
    sides = ((data.vocabulary, data.writing), (data.other_vocabulary, data.other_writing))
    return "; ".join(f"{len(v):,} {w.units}" for v, w in sides if v and w)


def _first_lines(data: "Data") -> list[str]:
    if data.kind != "tokens":
        return []
    other = data.train.other
    return data.text(data.train.x[:1]) + ([] if other is None else data.text(other[:1], other=True))
