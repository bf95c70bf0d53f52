"""Runs measured, and models compared."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from reparam.commands.options import (
    AS_IT_IS,
    AS_THE_PAPER,
    Binarise,
    Budget,
    Count,
    DataName,
    ExtractorName,
    Flag,
    HeldOut,
    OtherData,
    Ratings,
    Run,
    Seed,
    Settings,
    Text,
    as_json,
    by_model,
    data_options,
    facts,
    place,
    positive,
    seconds,
    table,
)
from reparam.commands.progress import named_bar
from reparam.errors import ReparamError

if TYPE_CHECKING:
    from reparam.report.schema import Evaluation, MeasureRecord

Names = Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="MODEL|RUN …")]


def evaluate(
    run: Run,
    split: HeldOut = "test",
    n: Annotated[int, tyro.conf.arg(metavar="N")] = 1000,
    extractor: ExtractorName = None,
    seed: Seed = 0,
    ais: Flag = False,
    device: str = "auto",
    json: Flag = False,
) -> None:
    """Measure a trained model against held-out data, and keep the record in the run.

    Args:
        run: the folder of the run.
        split: test, or validation: the one to choose by, so that the test data stay unseen.
        n: examples of the split, and as many samples.
        extractor: the features that samples are compared on, named or a function of yours; without, those
            of efficientnet-lite0-128 if it is installed, else of random-conv.
        seed: of samples, importance samples, the judging classifier, projections and resamples.
        ais: also anneal (minutes): log-likelihood by annealed importance sampling, and what inference loses.
        device: auto, cpu, cuda, cuda:1.
        json: print the record.
    """
    positive(n=n)
    from reparam.evaluate import evaluate as measured
    from reparam.evaluate import record_name

    found = measured(run, split=split, n=n, extractor=extractor, seed=seed, ais=ais, device=place(device))
    if json:
        print(as_json(found))
        return
    print(_heading(found) + "\n")
    facts({record.label: _words(record) for record in found.measures.values()})
    cost = found.cost
    memory = f", at most {cost.peak_memory_mib:,.0f} MiB" if cost.peak_memory_mib is not None else ""
    print(f"\n{cost.steps:,} steps in {cost.seconds:.0f} s, {cost.parameters:,} parameters{memory}")
    print(f"measured in {found.seconds:.0f} s; wrote {run / record_name(split)}")


def diagnose(
    run: Run,
    data: Annotated[DataName | None, tyro.conf.arg(metavar="NAME|PATH")] = None,
    json: Flag = False,
    device: str = "auto",
) -> None:
    """Say what ails a run, with the evidence, and what to change; on validation data, or after its death.

    Whether the posterior has collapsed, the codebook is dead, a discriminator has won, a mode is missing, or
    the model memorises; and which term became infinite or no number.

    Args:
        run: the folder of the run.
        data: other data than the run's to judge it on, such as data with labels.
        json: print JSON.
        device: auto, cpu, cuda, cuda:1.
    """
    from reparam import diagnosis
    from reparam.commands.use import read_data
    from reparam.system import described

    other = None if data is None else read_data(described(run), data)
    found = diagnosis.diagnose(run, data=other, device=place(device))
    if json:
        print(as_json(found))
        return
    table(("state", "verdict", "finding"), ((v.state, v.name, v.finding) for v in found))
    for verdict in (verdict for verdict in found if verdict.state != "well"):
        print(f"\n{verdict.name[0].upper()}{verdict.name[1:]}")
        table(("", ""), ((f"{e.value:.4g}", e.meaning) for e in verdict.evidence), header=False)
        if verdict.change:
            print("What to change:")
            table(("", ""), (("–", words) for words in verdict.change), header=False)


def compare(
    models: Names,
    data: Annotated[DataName | None, tyro.conf.arg(metavar="NAME|PATH")] = None,
    out: Annotated[Path, tyro.conf.arg(metavar="FOLDER")] = Path("report"),
    budget: Budget = None,
    steps: Count = None,
    seed: Seed = 0,
    settings: Annotated[
        Settings, tyro.conf.arg(name="set", metavar="MODEL.NAME=VALUE [MODEL.NAME=VALUE …]")
    ] = (),
    binarise: Binarise = "none",
    size: Count = None,
    mirror: Flag = False,
    skip_bad: Flag = False,
    split: HeldOut = "test",
    n: Annotated[int, tyro.conf.arg(metavar="N")] = 1000,
    extractor: ExtractorName = None,
    labels: Count = None,
    to: OtherData = None,
    disjoint: Flag = False,
    text: Text = AS_IT_IS,
    ratings: Ratings = AS_THE_PAPER,
    device: str = "auto",
) -> None:
    """Train models on the same data with the same budget, measure them, and write a page that compares them.

    Args:
        models: names from `reparam models`, or folders of finished runs.
        data: a dataset's name, a folder of pictures or a file; of finished runs, their own if not given.
        out: the folder of the report.
        budget: the training time of each model.
        steps: or the steps of each.
        seed: of all models, and of what measures them.
        settings: of one model each: vae.latent=16.
        binarise: make pictures black and white.
        size: crop and resize pictures to N × N pixels.
        mirror: mirror half of the training pictures.
        skip_bad: go on without pictures that cannot be read, or empty lines.
        split: what to measure on: test, or validation while you still choose.
        n: examples of the split, and as many samples of each model.
        extractor: the features that samples are compared on, as in `reparam evaluate`.
        labels: how many training labels are known, as many of each class; all, if not given.
        to: a second dataset: the domain that pictures are translated to.
        disjoint: row i of both shows the same thing; train on the even rows of one, the odd of the other.
        text: how text is read.
        ratings: how ratings are read.
        device: auto, cpu, cuda, cuda:1.
    """
    positive(n=n)
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
            split=split,
            n=n,
            extractor=extractor,
            device=device,
            data_options=data_options(binarise, size, mirror, skip_bad, labels, to, disjoint, text, ratings),
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


def _heading(found: "Evaluation") -> str:
    """What was measured, on what, in one sentence."""
    on, weights = found.conditions, found.checkpoint
    averaged = f", weights averaged with decay {weights.averaged:g}" if weights.averaged else ""
    samples = "" if {"ndcg@100", "rmse"} & found.measures.keys() else " and as many samples"
    return (
        f"{found.model} at step {weights.step:,} (the {weights.rule} checkpoint{averaged}), "
        f"on {on.n:,} of the {on.split} split of {on.data}{samples}; 95 % intervals"
    )


def _words(record: "MeasureRecord") -> str:
    """A value with its unit and interval; why there is none, where there is none."""
    if record.value is None:
        return f"—  {record.how}"
    ends = record.interval
    between = "" if ends is None or ends[0] == ends[1] else f"  ({ends[0]:.4g} – {ends[1]:.4g})"
    return f"{record.value:.4g} {record.unit}".rstrip() + between
