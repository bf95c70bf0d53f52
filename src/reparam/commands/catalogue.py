"""What there is: the systems, and the card of one."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reparam.commands.options import (
    AS_IT_IS,
    AS_THE_PAPER,
    Binarise,
    Count,
    DataName,
    Flag,
    Model,
    OtherData,
    Ratings,
    Settings,
    Text,
    as_json,
    data_options,
    pairs,
)
from reparam.errors import ReparamError

if TYPE_CHECKING:
    from reparam.registry import DataFacts


def models(json: Flag = False) -> None:
    """List every system: its paper, players, turns, sources of noise, and the data it takes.

    Args:
        json: print JSON, with every setting and its default.
    """
    from rich.console import Console
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    found = [_entry(name) for name in _names()]
    if json:
        print(as_json(found))
        return
    console = Console()
    for entry in found:
        console.print(Text(entry["name"], "bold"))
        lines = Table.grid(padding=(0, 2))
        for what in ("paper", "players", "turns", "noise", "takes"):
            words = entry[what] if isinstance(entry[what], str) else "; ".join(entry[what])
            lines.add_row(Text(what), Text(words))
        console.print(Padding(lines, (0, 0, 0, 2)))
    console.print(Text("\n`reparam card MODEL` shows one in full, with its settings."))


def card(
    model: Model,
    data: DataName = "digits",
    binarise: Binarise = "none",
    size: Count = None,
    to: OtherData = None,
    text: Text = AS_IT_IS,
    ratings: Ratings = AS_THE_PAPER,
    settings: Settings = (),
    json: Flag = False,
) -> None:
    """Show a model: its structure and training flow, its losses, its randomness.

    Args:
        model: a name from `reparam models`, or the folder of a run.
        data: what it is shown for: a dataset's name, a folder of pictures or a file.
        binarise: make pictures black and white.
        size: crop and resize pictures to N × N pixels.
        to: a second dataset: the domain that pictures are translated to.
        text: how text is read.
        ratings: how ratings are read.
        settings: of the recipe, such as latent=16.
        json: print JSON, as it stands in a comparison's report.
    """
    from rich.console import Console
    from rich.text import Text

    from reparam import registry
    from reparam.card import card as card_of
    from reparam.card import render_terminal
    from reparam.run import reload_data
    from reparam.system import build, described

    if model not in registry.recipes() and (Path(model) / "system.json").is_file():
        system = described(Path(model))
        loaded = reload_data(system)
    else:
        given = registry.validated(model, pairs(settings, "set"))
        from reparam.data import load

        loaded = load(data, **data_options(binarise, size, False, False, None, to, False, text, ratings))
        system = build(model, loaded, **given)
    made = card_of(
        system.model,
        system.data.shape,
        movers=system.recipe.optimisers,
        data_noise=loaded.noise(),
        examples=len(loaded.train.x),
        kind=system.data.kind,
    )
    if json:
        print(made.model_dump_json(indent=1))
        return
    console = Console()
    console.print(render_terminal(made))
    defaults = {name: system.settings.get(name, value) for name, value in _settings(system.name).items()}
    words = "  ".join(f"{name}={value}" for name, value in defaults.items())
    console.print(Text(f"\nSettings (--set NAME=VALUE): {words}"))


def _names() -> list[str]:
    from reparam import registry

    return list(registry.recipes())


def _entry(name: str) -> dict[str, Any]:
    import inspect

    from reparam import registry
    from reparam.model import player_names

    models = dict(built(name))
    if not models:
        raise ReparamError(f"the recipe {name} could be made for no kind of data.")
    model = next(iter(models.values()))
    return {
        "name": name,
        "model": model.name,
        "summary": (inspect.getdoc(registry.recipe(name)) or "").split("\n", 1)[0],
        "paper": model.paper,
        "players": list(player_names(model)),
        "turns": [turn.name + (f" × {turn.repeat}" if turn.repeat > 1 else "") for turn in model.turns()],
        "noise": [f"{source} ~ {law.law}" for source, law in model.noise().items()],
        "takes": list(models),
        "settings": _settings(name),
    }


def built(name: str) -> Iterator[tuple[str, Any]]:
    """The recipe's model for each kind of data it takes; networks without numbers, for speed."""
    import torch

    from reparam import registry
    from reparam.noise import Streams

    for about in _examples():
        try:
            with Streams(0).ambient("weights"), torch.device("meta"):
                model = registry.recipe(name)(about).model
        except ReparamError:
            continue  # a recipe may take less than its model
        if about.kind in model.takes:
            yield about.kind, model


def _examples() -> "list[DataFacts]":
    from reparam.registry import DataFacts

    two, classes = ("one", "another"), ("a", "b")
    return [
        facts
        for labelled in (None, 10)  # recipes that need labels need all of them, or few
        for facts in (
            DataFacts("images", "image", (1, 28, 28), "grey", classes, 1000, two, labelled),
            DataFacts("vectors", "vector", (2,), "real", classes, 1000, two, labelled),
            _text(labelled),
            _pairs(labelled),
            DataFacts("bags", "bag", (8,), "counts", None, 1000),
            DataFacts("ratings", "bag", (8,), "ratings", None, 1000),
        )
    ]


def _text(labelled: int | None) -> "DataFacts":
    from reparam.data.text import SPECIALS, Writing
    from reparam.registry import DataFacts

    sides = (*SPECIALS, "one", "other"), Writing()
    return DataFacts("lines", "tokens", (8,), "tokens", ("a", "b"), 1000, None, labelled, *sides)


def _pairs(labelled: int | None) -> "DataFacts":
    from dataclasses import replace

    text = _text(labelled)
    other = {"other_vocabulary": text.vocabulary, "other_writing": text.writing}
    return replace(text, domains=("one", "another"), aligned=True, **other)


def _settings(name: str) -> dict[str, Any]:
    """Names and defaults; networks of one's own are for Python."""
    from typing import get_args

    from torch import nn

    from reparam import registry

    return {
        key: parameter.default
        for key, parameter in registry.settings(name).items()
        if nn.Module not in get_args(parameter.annotation)
    }
