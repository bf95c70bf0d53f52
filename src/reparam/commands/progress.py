"""What is seen while a run goes on: a bar on a terminal, a line now and then in a log."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

EVERY = 0.2  # seconds between two looks on a terminal
LINE_EVERY = 30.0  # and between two lines elsewhere
TERMS = 4  # shown at most


@contextmanager
def bar(run: Path) -> Iterator[Callable[[int, float, float], None]]:
    """What `train` tells: step, seconds used, part done. On stderr, by the first process only."""
    if int(os.environ.get("RANK", 0)):
        yield lambda step, seconds, part: None
        return
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines(run)
        return
    columns = (
        TextColumn("step {task.fields[step]}"),
        BarColumn(20),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[terms]}", markup=False),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=1.0, step=0, terms="")
        seen = 0.0

        def tell(step: int, seconds: float, part: float) -> None:
            nonlocal seen
            if time.monotonic() - seen >= EVERY:
                seen = time.monotonic()
                progress.update(task, completed=part, step=step, terms=last_terms(run))

        yield tell


@contextmanager
def named_bar() -> Iterator[Callable[[str, int, float, float], None]]:
    """What `compare` tells: the model in training, step, seconds used, part of its training done."""
    console = Console(stderr=True)
    if not console.is_terminal:
        said: set[str] = set()

        def say(name: str, step: int, seconds: float, part: float) -> None:
            if name not in said:
                said.add(name)
                print(f"training {name}", file=sys.stderr)

        yield say
        return
    columns = (
        TextColumn("{task.fields[doing]}", markup=False),
        BarColumn(20),
        TaskProgressColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=1.0, doing="")

        def tell(name: str, step: int, seconds: float, part: float) -> None:
            doing = f"training {name}, step {step}" if part < 1 else f"measuring {name}"
            progress.update(task, completed=part, doing=doing)

        yield tell


def last_terms(run: Path) -> str:
    """The terms of the log's last row, in few words; empty before the first."""
    try:
        with (run / "log.jsonl").open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 4096))
            row = json.loads(file.read().splitlines()[-1])
    except (OSError, ValueError, IndexError):
        return ""  # not there yet, or being written
    terms = row["terms"]
    short = {name: name.split(".", 1)[-1] for name in terms}
    if len(set(short.values())) < len(short):
        short = {name: name for name in terms}
    return "  ".join(f"{short[name]} {value:.4g}" for name, value in list(terms.items())[:TERMS])


def _lines(run: Path) -> Callable[[int, float, float], None]:
    said = time.monotonic()

    def tell(step: int, seconds: float, part: float) -> None:
        nonlocal said
        if time.monotonic() - said >= LINE_EVERY:
            said = time.monotonic()
            print(f"step {step}, {part:.0%}, {seconds:.0f} s: {last_terms(run)}", file=sys.stderr)

    return tell
