"""Runs: begun, and gone on with."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
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
    Flag,
    Frozen,
    Model,
    OtherData,
    Pinned,
    Precision,
    Ratings,
    Real,
    Run,
    Seeds,
    Settings,
    Text,
    control,
    data_options,
    pairs,
    seconds,
)
from reparam.commands.progress import bar
from reparam.errors import ReparamError

if TYPE_CHECKING:
    from reparam.system import System


def train(
    model: Model,
    data: DataName,
    out: Annotated[Path, tyro.conf.arg(metavar="RUN")],
    steps: Count = None,
    epochs: Real = None,
    budget: Budget = None,
    batch_size: Count = None,
    settings: Settings = (),
    seed: Seeds = (),
    freeze: Frozen = (),
    pin: Pinned = (),
    binarise: Binarise = "none",
    size: Count = None,
    mirror: Flag = False,
    skip_bad: Flag = False,
    labels: Count = None,
    to: OtherData = None,
    disjoint: Flag = False,
    text: Text = AS_IT_IS,
    ratings: Ratings = AS_THE_PAPER,
    device: str = "auto",
    precision: Precision = "float32",
    average: Real = None,
    compile: Flag = False,
    checkpoint_every: Count = None,
    checkpoint_seconds: float = 30.0,
) -> None:
    """Train a model on data into a new folder. Under torchrun, on several processes.

    Args:
        model: a name from `reparam models`.
        data: a name from `reparam data list`, a folder of pictures, a .npz, .npy, .csv, .parquet, .txt or
            .jsonl file, or hub:OWNER/NAME.
        out: the folder of the run.
        steps: how long. Without steps, epochs or budget, the recipe says it.
        epochs: or as many times through the data.
        budget: or as much time.
        batch_size: the recipe's, if not given; over all processes together.
        settings: of the recipe, such as latent=16 lr=1e-4; `reparam card MODEL` lists them.
        seed: of everything random, or of one source: 3, order=5, weights=7.
        freeze: draw a source once, and use that draw for every example and every step.
        pin: hold a source at a number, or at a list of numbers: eps=0.
        binarise: make pictures black and white: by chance anew in every batch (dynamic), once (static), or at
            one half (threshold).
        size: crop and resize pictures to N × N pixels.
        mirror: mirror half of the training pictures.
        skip_bad: go on without pictures that cannot be read, or empty lines.
        labels: how many training labels are known, as many of each class; all, if not given.
        to: a second dataset: the domain that pictures are translated to.
        disjoint: row i of both shows the same thing; train on the even rows of one, the odd of the other.
        text: how text is read.
        ratings: how ratings are read.
        device: auto, cpu, cuda, cuda:1.
        precision: of the arithmetic; bf16 keeps the weights in float32.
        average: keep averaged weights too, with this decay, such as 0.999; samples are made with them.
        compile: by torch.compile, where it can.
        checkpoint_every: N steps, instead of by the clock.
        checkpoint_seconds: between two checkpoints.
    """
    budget_seconds, randomness = seconds(budget), control(seed, freeze, pin)
    given = pairs(settings, "set")
    # Said before the data is read, which may take minutes; `train` asks again. Another process may have
    # begun to write already, so only the first looks at the folder.
    if sum(limit is not None for limit in (steps, epochs, budget)) > 1:
        raise ReparamError("give one of --steps, --epochs and --budget, not several.")
    if int(os.environ.get("RANK", 0)) == 0 and out.exists():
        if not out.is_dir():
            raise ReparamError(f"{out} is a file; --out names the folder of a new run.")
        if any(out.iterdir()):
            raise ReparamError(
                f"{out} is not empty; `reparam resume {out}` goes on, or choose another --out."
            )
    from reparam import registry
    from reparam import run as runs
    from reparam.data import load
    from reparam.system import build

    registry.validated(model, given)
    told = data_options(binarise, size, mirror, skip_bad, labels, to, disjoint, text, ratings)
    loaded = load(data, missing=registry.takes_missing(model), **told)
    system = build(model, loaded, seed=randomness, **given)
    with _told(out), bar(out) as progress:
        trained = runs.train(
            system,
            out,
            data=loaded,
            steps=steps,
            epochs=epochs,
            budget=budget_seconds,
            batch_size=batch_size,
            control=randomness,
            device=device,
            progress=progress,
            precision=precision,
            average=average,
            compile=compile,
            checkpoint_every=checkpoint_every,
            checkpoint_seconds=checkpoint_seconds,
        )
    _end(out, trained)


def resume(run: Run, steps: Count = None, device: str = "auto") -> None:
    """Go on with a run from its newest checkpoint, exactly as if it had never stopped.

    Args:
        run: the folder of the run.
        steps: a new end, counted from the run's beginning.
        device: auto, cpu, cuda, cuda:1.
    """
    from reparam import run as runs

    with _told(run), bar(run) as progress:
        trained = runs.resume(run, steps=steps, device=device, progress=progress)
    _end(run, trained)


@contextmanager
def _told(run: Path) -> Iterator[None]:
    """Says, when the run is interrupted or out of memory, what to do next."""
    import torch

    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(_stopped(run)) from None
    except torch.OutOfMemoryError as error:
        what = str(error).split(".", 1)[0]
        raise ReparamError(f"{what}; take a smaller --batch-size, or --set width=… a smaller one.") from None


def _stopped(run: Path) -> str:
    if not (run / "run.json").is_file():
        return "stopped; nothing was written."
    step = _last_step(run)
    if step is None:
        return f"stopped before the first checkpoint; `reparam resume {run}` begins again."
    return f"stopped; `reparam resume {run}` goes on from step {step}."


def _last_step(run: Path) -> int | None:
    from reparam import checkpoint

    found: list[Any] = checkpoint.steps(run / "checkpoints")
    return found[-1] if found else None


def _end(run: Path, system: "System") -> None:
    from reparam.engine import stop

    stop()  # `__main__` leaves several processes without the exit handlers that would do it
    first = "recommend" if system.can("rank") else "sample" if system.can("sample") else "evaluate"
    print(
        f"{run}: trained to step {_last_step(run)}. Next: `reparam {first} {run}`, `reparam diagnose {run}`."
    )
