"""A run: a folder that a training writes to, and from which it goes on after any death.

RUN/system.json   what was built          RUN/run.json       how it is trained
RUN/log.jsonl     terms by step           RUN/checkpoints/   the last two
RUN/failure.json  which term or weight became no number, if one did
"""

import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor

from reparam import checkpoint
from reparam.data import Data
from reparam.data import load as load_data
from reparam.engine import Engine, Precision
from reparam.errors import ReparamError
from reparam.memory import Peak
from reparam.noise import Control, Streams
from reparam.schedules import arrives
from reparam.system import System, described, restore, write_json
from reparam.trainer import NotFinite, Trainer

LOG_EVERY = 20
FAILURE = "failure.json"


class RunSettings(BaseModel):
    """How a run is trained; `run.json`. One of steps, epochs and budget (seconds) ends it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    batch_size: int = Field(gt=0)
    steps: int | None = Field(None, gt=0)
    epochs: float | None = Field(None, gt=0)
    budget: float | None = Field(None, gt=0)
    seed: int = 0
    seeds: dict[str, int] = {}
    freeze: tuple[str, ...] = ()
    pin: dict[str, float | list[float]] = {}
    draw_on: Literal["host", "device"] = "device"
    precision: Precision = "float32"
    compile: bool = False
    average: float | None = Field(None, gt=0, lt=1)
    checkpoint_every: int | None = Field(None, gt=0)
    checkpoint_seconds: float = Field(30.0, gt=0)
    fingerprint: str

    @property
    def control(self) -> Control:
        """The seeds and what is held still."""
        return Control(self.seed, self.seeds, self.freeze, self.pin)


Progress = Callable[[int, float, float], None]
"""Told after every step: the step, the seconds used, and the part done (0 to 1)."""


def train(
    system: System,
    out: str | Path,
    *,
    data: Data | None = None,
    steps: int | None = None,
    epochs: float | None = None,
    budget: float | None = None,
    batch_size: int | None = None,
    control: Control | int | None = None,
    device: str = "auto",
    progress: Progress | None = None,
    **options: Any,
) -> System:
    """Trains a system into a new folder, on the data it was built for unless other is given.

    One of steps, epochs and budget (seconds) ends it; without any, the recipe's steps. Returns the system
    as `load` would: with the averaged weights, where they were asked for.

    options are further fields of `RunSettings`: average, precision, compile, draw_on, checkpoint_every,
    checkpoint_seconds. Raises ReparamError if the folder holds a run already, if a setting is wrong,
    or if a loss becomes infinite or no number.
    """
    out = Path(out)
    data = data or system.training_data or reload_data(system)
    if options.get("average") is None:
        options["average"] = system.recipe.average
    if sum(limit is not None for limit in (steps, epochs, budget)) > 1:
        raise ReparamError("give one of steps, epochs and budget, not several.")
    if system.recipe.lacks:
        raise ReparamError(f"{system.name} cannot be trained without {system.recipe.lacks}.")
    if steps is epochs is budget is None:
        steps = system.recipe.steps
    control = (
        control if isinstance(control, Control) else Control(system.seed if control is None else control)
    )
    settings = _settings(
        batch_size=min(system.recipe.batch_size, len(data.train.x)) if batch_size is None else batch_size,
        steps=steps,
        epochs=epochs,
        budget=budget,
        seed=control.seed,
        seeds=dict(control.seeds),
        freeze=control.freeze,
        pin=dict(control.pin),
        fingerprint=data.fingerprint,
        **options,
    )
    of_chains = (name for rule in system.recipe.optimisers.values() for name in rule.sources)
    control.check(("weights", "order", *data.noise(), *system.model.noise(), *of_chains))
    engine = Engine.start(device, settings.precision, settings.compile)
    # The first process looks, for all: by the time another did, the first might have written.
    if engine.agree(out.exists() and (not out.is_dir() or any(out.iterdir()))):
        raise ReparamError(f"{out} is not empty; `reparam resume {out}` goes on, or choose another --out.")
    session = _Session(system, data, out, settings, engine)
    with session.writing() as writes:
        if writes:
            out.mkdir(parents=True, exist_ok=True)
            write_json(out / "system.json", system.description())
            write_json(out / "run.json", settings.model_dump(mode="json"))
    session.save()  # the weights may come from elsewhere than the seed
    return _go(session, progress)


def resume(
    run: str | Path,
    *,
    steps: int | None = None,
    data: Data | None = None,
    device: str = "auto",
    progress: Progress | None = None,
    **networks: torch.nn.Module,
) -> System:
    """Goes on with a run from its newest whole checkpoint, exactly as if it had never stopped.

    steps sets a new end. data is needed only where it was given as arrays.
    Raises ReparamError if the folder holds no run, or if the data is not what it was.
    """
    run = Path(run)
    system = described(run, **networks)
    settings = read_settings(run)
    if steps is not None:
        settings = _settings(**settings.model_dump() | {"steps": steps, "epochs": None, "budget": None})
    data = data or reload_data(system)
    if data.fingerprint != settings.fingerprint:
        raise ReparamError(f"the data of {run} has changed since the run began; resume needs the same.")
    engine = Engine.start(device, settings.precision, settings.compile)
    session = _Session(system, data, run, settings, engine)
    session.restore()
    with session.writing() as writes:
        if writes:
            (run / FAILURE).unlink(missing_ok=True)
            if steps is not None:
                write_json(run / "run.json", settings.model_dump(mode="json"))
    return _go(session, progress)


def reload_data(system: System) -> Data:
    """The data that a system was built for. Raises ReparamError if it was given as arrays."""
    if system.data_spec is None:
        raise ReparamError(
            "this run's data was given as arrays; give it again (data=… in Python, --data FILE)."
        )
    return load_data(**system.data_spec)


def read_settings(run: Path) -> RunSettings:
    """How a run is trained. Raises ReparamError if `run.json` is missing or damaged."""
    try:
        return RunSettings.model_validate_json((run / "run.json").read_text())
    except OSError:
        raise ReparamError(f"{run} holds no training: there is no run.json in it.") from None
    except ValidationError as error:
        raise ReparamError(f"{run / 'run.json'} is damaged: {_reasons(error)}") from None


def read_log(run: str | Path) -> list[dict[str, Any]]:
    """The rows of a run's log: step, seconds, and the mean of each term since the row before."""
    path, rows = Path(run) / "log.jsonl", []
    for line in path.read_text().splitlines() if path.is_file() else []:
        try:
            rows.append(json.loads(line))
        except ValueError:  # the run died while it wrote this row
            break
    return rows


class _Session:
    """One process's part of a run, from its start or a checkpoint to its end or death."""

    def __init__(self, system: System, data: Data, out: Path, settings: RunSettings, engine: Engine) -> None:
        self.system, self.out, self.settings, self.engine = system, out, settings, engine
        self.peak, self.peak_before = Peak(engine.device), 0.0
        engine.place(system.model).train()
        where = settings.draw_on if engine.device.type != "cpu" else "host"
        self.trainer = Trainer(
            system.model,
            data.to(engine.device),
            system.recipe.optimisers,
            batch_size=settings.batch_size,
            streams=Streams(settings.control, engine.device, where),
            engine=engine,
            average=settings.average,
        )
        chains = (chain for play in self.trainer.plays for chain in play.chains)
        of_chains = (pair for chain in chains for pair in chain.sources.items())
        for name, source in (*self.trainer.sources.items(), *of_chains):
            self.trainer.streams.draw(name, source, 1, 0)  # a pin that does not fit fails here, not later
        self.last = self._last_step(len(data.train.x))
        self._check_weights_arrive()
        self.seconds = 0.0
        self.saved: int | None = None
        # The log's open window: the terms of every step since its last row, first as each process has
        # them, then as means over the processes.
        self.pending: list[dict[str, Tensor]] = []
        self.window: list[dict[str, float]] = []

    def _last_step(self, examples: int) -> int | None:
        if self.settings.epochs is not None:
            batches = self.settings.epochs * examples / self.settings.batch_size
            return math.ceil(batches / self.trainer.repeats)
        return self.settings.steps

    def _check_weights_arrive(self) -> None:
        """Raises ReparamError where a term's weight would still be moving when the run ends.

        What was lowered last would be another objective than the one that was named. A learning rate may be
        cut short, and of a run with a budget nobody knows the steps.
        """
        if self.last is None:
            return
        for turn in (play.turn for play in self.trainer.plays):
            for name, weight in (pair for move in turn.moves for pair in (move.weights or {}).items()):
                if not arrives(weight, self.last):
                    raise ReparamError(
                        f"the weight of {name} in {turn.name} is still moving after {self.last} steps, the "
                        f"run's last: {weight}. Give the run more steps, or the schedule fewer."
                    )

    def done(self) -> bool:
        if self.last is not None:
            return self.trainer.step >= self.last
        return self.engine.agree(self.seconds >= (self.settings.budget or 0))

    def part(self) -> float:
        """How much is done, 0 to 1."""
        if self.last is not None:
            return min(self.trainer.step / self.last, 1.0)
        return min(self.seconds / (self.settings.budget or 1), 1.0)

    @contextmanager
    def writing(self) -> Iterator[bool]:
        """Whether this process writes. Raises ReparamError, on every process, if the disk refuses."""
        with self.engine.first() as writes:
            try:
                yield writes
            except OSError as error:
                raise ReparamError(
                    f"could not write to {self.out}: {error}. What was saved is kept; make room, then "
                    "`reparam resume`."
                ) from error

    def settle(self) -> None:
        """Takes the terms off the device. Raises ReparamError if one is not finite."""
        if not self.pending:
            return
        names = list(self.pending[0])
        table = torch.stack([torch.stack([row[name] for name in names]) for row in self.pending])
        table = table.double()  # in which a sum over processes is exact in any order
        self.engine.average([table])
        rows = [dict(zip(names, row, strict=True)) for row in table.tolist()]
        self.pending = []
        self.window += rows
        self.trainer.check_finite(rows, self.trainer.step - len(rows) + 1)

    def log(self) -> None:
        """Writes the open window's means as one row, and opens the next."""
        self.settle()
        if not self.window:
            return
        rows, self.window = self.window, []
        means = {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}
        row = {"step": self.trainer.step, "seconds": round(self.seconds, 3), "terms": means}
        with self.writing() as writes:
            if writes:
                with (self.out / "log.jsonl").open("a") as file:
                    file.write(json.dumps(row) + "\n")

    def save(self) -> None:
        """Writes a checkpoint, of finite weights only, unless this step has one."""
        if self.saved == self.trainer.step:
            return
        self.settle()
        self.trainer.check_weights()
        files = {"weights": self.system.model.state_dict(), "training": self.trainer.tensors()}
        facts = {
            "trained": self.trainer.step > 0,
            "seconds": self.seconds,
            "window": self.window,
            "peak_mib": None if (peak := self.peak.mib()) is None else max(peak, self.peak_before),
            "settings": self._settled(),
        }
        with self.writing() as writes:
            if writes:
                checkpoint.save(self.out / "checkpoints", self.trainer.step, files, facts)
        self.saved = self.trainer.step

    def failed(self, error: NotFinite) -> ReparamError:
        """Leaves a record of what is not finite, and of the steps before it, for `reparam diagnose`."""
        before = self.window[: len(self.window) - (self.trainer.step - error.step) - 1]
        record = {"version": 1, "step": error.step, **error.found, "before": before}
        # Every process fails of the same. If the disk refuses as well, the first error is the one to be told.
        if self.engine.rank == 0:
            with suppress(OSError):
                write_json(self.out / FAILURE, record)
        return ReparamError(f"{error} `reparam diagnose {self.out}` shows what came before.")

    def restore(self) -> None:
        """Takes up the newest whole checkpoint, and drops the log's rows after it."""
        if checkpoint.steps(self.out / "checkpoints"):
            self._take_up(checkpoint.load(self.out / "checkpoints", self.engine.device))
        step = torch.tensor(self.trainer.step, dtype=torch.float64, device=self.engine.device)
        self.engine.average([step])
        if step != self.trainer.step:
            raise ReparamError(f"not every process sees the same checkpoints in {self.out}; share the disk.")
        # A row before its time ended the run; the window that it shows goes on.
        kept = [row for row in read_log(self.out) if row["step"] <= step and row["step"] % LOG_EVERY == 0]
        with self.writing() as writes:
            if writes:
                draft = self.out / "log.draft"
                draft.write_text("".join(json.dumps(row) + "\n" for row in kept))
                draft.replace(self.out / "log.jsonl")

    def _take_up(self, read: checkpoint.Checkpoint) -> None:
        if "training" not in read.files:
            raise ReparamError(f"{self.out} holds a saved system and no training; it cannot be resumed.")
        now, then = self._settled(), read.facts["settings"]
        if changed := sorted(name for name in now | then if now.get(name) != then.get(name)):
            raise ReparamError(
                f"{', '.join(changed)} changed in {self.out} since its checkpoint; put back what was there."
            )
        restore(self.system.model, read.files["weights"])
        self.trainer.restore(read.step, read.files["training"])
        self.seconds, self.window, self.saved = read.facts["seconds"], read.facts["window"], read.step
        self.peak_before = read.facts.get("peak_mib") or 0.0

    def _settled(self) -> dict[str, Any]:
        """The settings that a resume must find as they were: all but where it ends and what it keeps."""
        free = {"version", "steps", "epochs", "budget", "checkpoint_every", "checkpoint_seconds"}
        own = self.system.description()
        found = self.settings.model_dump(mode="json", exclude=free) | {
            f"{own['name']}.{name}": value for name, value in own["settings"].items()
        }
        return json.loads(json.dumps(found))  # as the checkpoint will give them back


def _go(session: _Session, progress: Progress | None) -> System:
    try:
        return _play(session, progress)
    except NotFinite as error:
        raise session.failed(error) from None


def _play(session: _Session, progress: Progress | None) -> System:
    settings, trainer = session.settings, session.trainer
    saved = time.monotonic()
    began = saved - session.seconds
    while not session.done():
        session.pending.append(trainer.take_step())
        session.seconds = time.monotonic() - began
        if trainer.step % LOG_EVERY == 0:
            session.log()
        if settings.checkpoint_every:
            due = trainer.step % settings.checkpoint_every == 0
        else:
            due = session.engine.agree(time.monotonic() - saved >= settings.checkpoint_seconds)
        if due:
            session.save()
            saved = time.monotonic()
        if progress and session.engine.rank == 0:
            progress(trainer.step, session.seconds, session.part())
    session.save()
    session.log()
    trainer.use_averaged()
    session.system.model.eval().float()  # as `load` gives it, whatever precision it was trained in
    return session.system


def _settings(**fields: Any) -> RunSettings:
    try:
        return RunSettings(**fields)
    except ValidationError as error:
        raise ReparamError(_reasons(error)) from None


def _reasons(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()) + "."
