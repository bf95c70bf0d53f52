"""Runs measured, and models compared."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import tyro

from reparam.commands.options import (
    Binarise,
    Budget,
    Count,
    DataName,
    Flag,
    Run,
    Settings,
    as_json,
    by_model,
    data_options,
    facts,
    seconds,
)
from reparam.commands.progress import named_bar
from reparam.errors import ReparamError

Names = Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="MODEL|RUN …")]


def evaluate(run: Run, json: Flag = False) -> None:
    """Measure a trained model against the test data.

    Args:
        run: the folder of the run.
        json: print JSON.
    """
    from reparam.evaluate import evaluate as measured

    found = measured(run)
    if json:
        print(as_json(found))
        return
    facts({record["label"]: _words(record) for record in found["measures"].values()})
    cost = found["cost"]
    print(f"\n{cost['steps']} steps in {cost['seconds']:.0f} s, {cost['parameters']:,} parameters")
    print(f"wrote {run / 'measures.json'}")


def compare(
    models: Names,
    data: Annotated[DataName | None, tyro.conf.arg(metavar="NAME|PATH")] = None,
    out: Annotated[Path, tyro.conf.arg(metavar="FOLDER")] = Path("report"),
    budget: Budget = None,
    steps: Count = None,
    seed: Annotated[int, tyro.conf.arg(metavar="S")] = 0,
    settings: Annotated[
        Settings, tyro.conf.arg(name="set", metavar="MODEL.NAME=VALUE [MODEL.NAME=VALUE …]")
    ] = (),
    binarise: Binarise = "none",
    size: Count = None,
    mirror: Flag = False,
    skip_bad: Flag = False,
    device: str = "auto",
) -> None:
    """Train models on the same data with the same budget, measure them, and write a page that compares them.

    Args:
        models: names from `reparam models`, or folders of finished runs.
        data: a dataset's name, a folder of pictures or a file; of finished runs, their own if not given.
        out: the folder of the report.
        budget: the training time of each model.
        steps: or the steps of each.
        seed: of all models.
        settings: of one model each: vae.latent=16.
        binarise: make pictures black and white.
        size: crop and resize pictures to N × N pixels.
        mirror: mirror half of the training pictures.
        skip_bad: go on without pictures that cannot be read.
        device: auto, cpu, cuda, cuda:1.
    """
    limit = seconds(budget)
    if limit is not None and steps is not None:
        raise ReparamError("give one of --budget and --steps, not both.")
    if not models:
        raise ReparamError("name the models to compare, or the folders of their runs.")
    given = _settings(models, settings)
    if data is None and not all(_is_run(name) for name in models):
        raise ReparamError("say on which data to train: --data NAME|PATH.")
    from reparam.compare import compare as compared

    with named_bar() as progress:
        found = compared(
            list(models),
            data=data,
            out=out,
            budget=limit,
            steps=steps,
            seed=seed,
            settings=given,
            device=device,
            data_options=data_options(binarise, size, mirror, skip_bad),
            progress=progress,
        )
    _show(found)
    print(f"wrote {out / 'index.html'}")


def _settings(models: tuple[str, ...], words: Any) -> dict[str, dict[str, Any]]:
    """The settings of each model, checked before anything is trained."""
    from reparam import registry
    from reparam.errors import unknown

    given = by_model(words)
    for name in models:
        if _is_run(name) and name in registry.recipes():
            raise ReparamError(
                f"{name} is a model, and here a folder of a run too; write ./{name} for the run."
            )
        if not _is_run(name):
            if "/" in name:
                raise ReparamError(f"{name} holds no run: there is no system.json in it.")
            registry.validated(name, given.get(name, {}))
    for name in given:
        if _is_run(name) or name not in models:
            raise unknown("model of --set", name, [m for m in models if not _is_run(m)])
    return given


def _is_run(name: str) -> bool:
    return (Path(name) / "system.json").is_file()


def _show(found: object) -> None:
    from rich.console import Console

    from reparam.report.schema import Report
    from reparam.report.summary import terminal_table

    if isinstance(found, Report):
        Console().print(terminal_table(found))


def _words(record: Mapping[str, Any]) -> str:
    """A value with its unit and interval; why there is none, where there is none."""
    value, low, high = record["value"], record["low"], record["high"]
    if value is None:
        return f"—  {record['how']}"
    between = "" if low is None or low == high else f"  ({low:.4g} – {high:.4g})"
    return f"{value:.4g} {record['unit']}".rstrip() + between
