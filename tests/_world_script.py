"""One process of several, started by torchrun: python _world_script.py FOLDER JOB [RECIPE …]

`train` trains every recipe (or those named) into FOLDER, by SGD in float64 and by its own optimisers in
float32, half a run that another number of processes ends, and one run that this number goes on with; then
it tries what must be refused. `few` trains the recipes named, and nothing else.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import reparam
from _recipes import NAMES, built, resumed
from reparam import ReparamError, checkpoint, run
from reparam.optimisers import SGD
from reparam.system import System

BATCH = 16
STEPS = {"float64": 50, "float32": 20}
# Instance norm over the few pixels of a test carries rounding far; plain steps must be small there.
RATES = {"munit": 3e-4, "u-gat-it": 3e-4}
HALVES = ("sigma-vae", "vae-gan")
RANK = int(os.environ.get("RANK", 0))


def train(name: str, out: Path, precision: str, steps: int | None = None) -> None:
    """By SGD in float64: Adam hides the scale of a gradient."""
    system = built(name)
    if precision == "float64":
        system.recipe.optimisers.clear()
        system.recipe.optimisers["default"] = SGD(RATES.get(name, 3e-3), momentum=0.5)
    options: dict[str, Any] = {"batch_size": BATCH, "average": 0.9, "checkpoint_every": 25, "device": "cpu"}
    steps = steps or STEPS[precision]
    reparam.train(system, out, steps=steps, precision=precision, progress=tell, **options)


def tell(*_: float) -> None:
    """Only the first process may call this."""
    if RANK:
        raise AssertionError("a process that is not the first reports progress")


def train_all(folder: Path, names: list[str]) -> None:
    """Every recipe in both precisions."""
    for name in names:
        for precision in ("float64", "float32"):
            train(name, folder / precision / name, precision)


def refusals(folder: Path) -> dict[str, str]:
    """What each process is told where it must fail, before anything is written."""
    system = built("vae")
    spoilt = built("vae")
    next(spoilt.model.parameters()).data.fill_(float("nan"))

    def full(*_: Any) -> None:
        raise ReparamError("the disk is full") if RANK == 0 else AssertionError("not mine to write")

    def begun(system: System, out: str, batch_size: int = BATCH, device: str = "cpu") -> None:
        reparam.train(system, folder / out, steps=2, batch_size=batch_size, device=device)

    attempts = {
        "indivisible": lambda: begun(system, "odd", batch_size=15),
        "taken": lambda: begun(system, "float64/vae"),
        "device": lambda: begun(system, "odd", device="gpu"),
        "nan": lambda: begun(spoilt, "nan"),
        "full": lambda: begun(built("vae"), "full"),
    }
    said = {}
    for name, attempt in attempts.items():
        if name == "full":
            checkpoint.save = full
        try:
            attempt()
        except ReparamError as error:
            said[name] = str(error)
    return said


def main(folder: Path, job: str, names: list[str]) -> None:
    """The job."""
    train_all(folder, names or NAMES)
    if job == "few":
        return
    for name in HALVES:
        train(name, folder / "half" / name, "float32", steps=STEPS["float32"] // 2)
        if (other := folder / "other" / name).exists():  # begun by another number of processes
            resumed(built(name), other, steps=STEPS["float32"])
    reparam.train(built("vae"), folder / "budget", budget=0.2, batch_size=16, device="cpu")
    said = refusals(folder)
    said["threads"] = str(run.torch.get_num_threads())
    (folder / f"said-{RANK}.json").write_text(json.dumps(said))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
