"""What was found: the models of ``measures.json`` (one run's `Evaluation`) and ``report.json`` (a `Report`).

The page, the terminal's table and the sentence that answers are all functions of one `Report`, so whatever
they say can be checked in the file beside them. What is common to all measures of an evaluation stands once,
in its `Conditions`; what belongs to one measure stands on its `MeasureRecord`. A number that is not finite is
stored as null: a loss that diverged must not make the report unreadable.
"""

import math
from collections import Counter
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from reparam.errors import ReparamError

VERSION = 2

Question = Literal[
    "recommended", "blurred", "faithful", "codes", "diverse", "steady", "costly", "likelihood", "quality"
]
Better = Literal["lower", "higher", "one", "zero"]
Sampling = Literal["prior draws", "posterior mean", "posterior sample", "translations"]
HeldOut = Literal["validation", "test"]
Binarisation = Literal["none", "static", "dynamic", "threshold"]


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _inside(path: str) -> str:
    parts = PurePosixPath(path)
    if not path or "\\" in path or parts.is_absolute() or ".." in parts.parts:
        raise ValueError(
            f"{path!r} must be a relative path inside the report's directory, with '/' between its parts"
        )
    return path


_SEEDS = "of the training: of the initial weights, of the run, and of sources that had one of their own"

Number = Annotated[float | None, BeforeValidator(_finite)]
RelativePath = Annotated[str, AfterValidator(_inside)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Layer(_Strict):
    """One layer of a network and the shape it gives for one example."""

    layer: str
    output: str


class Player(_Strict):
    """One network."""

    name: str
    description: str = ""
    shapes: list[Layer] = []
    parameters: int = Field(ge=0)


class Move(_Strict):
    """Some players and the terms they lower, each with its weight written out (a number or a schedule)."""

    players: list[str]
    lowers: dict[str, str]
    sampled: str | None = Field(
        default=None, description="in words, how the players are sampled; null: they lower the terms"
    )
    when: str | None = Field(
        default=None, description="in words, at which steps it is made; null: at every one"
    )


class TurnCard(_Strict):
    """One turn of the game."""

    name: str
    repeats: int = Field(default=1, ge=1)
    moves: list[Move]


class LossCard(_Strict):
    """One loss function and its named terms, each with its formula."""

    name: str
    summary: str = ""
    terms: dict[str, str]


class NoiseCard(_Strict):
    """A source of randomness: its law, the losses it enters, when it is redrawn, its use at evaluation."""

    name: str
    law: str
    enters: list[str]
    redrawn: str
    evaluation: str


class Card(_Strict):
    """The three points of a model: its networks and training flow, its losses, its randomness."""

    name: str
    title: str
    paper: str
    flow: str
    players: list[Player]
    turns: list[TurnCard]
    losses: list[LossCard]
    noise: list[NoiseCard]
    takes: list[str] = Field(default=[], description="kinds of data the model takes")


class MeasureRecord(_Strict):
    """One measured value with its 95 % interval.

    ``value=None`` says that the model has no such value, and ``how`` says why. Without ``low`` and ``high`` a
    value is shown but never ranked; an exact value (a count) has ``low == value == high``.
    """

    label: str
    question: Question
    value: Number
    low: Number = None
    high: Number = None
    n: int = Field(ge=0, description="examples, draws or runs behind the value")
    unit: str = ""
    better: Better
    extractor: str | None = Field(
        default=None, description="the features it is taken on; null: the data themselves"
    )
    sampling: Sampling | None = Field(
        default=None,
        description="what the model was asked for; the mean of a deterministic encoder is its code",
    )
    importance_samples: int | None = Field(
        default=None, ge=1, description="K of an importance-weighted bound"
    )
    seconds: Number = Field(
        default=None, description="wall-clock of the measurement, less that of samples and features it shares"
    )
    how: str

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval, where there is a whole one."""
        if self.value is None or self.low is None or self.high is None:
            return None
        return self.low, self.high

    @model_validator(mode="after")
    def _ordered(self) -> "MeasureRecord":
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(
                f"{self.label}: the interval's low end {self.low} is above its high end {self.high}"
            )
        return self


class Machine(_Strict):
    """Where it ran, and on what software."""

    device: str
    threads: int
    platform: str
    python: str
    versions: dict[str, str] = Field(description="by package: ours, torch, numpy, the extractor's")


class Conditions(_Strict):
    """What holds for every measure of one evaluation; two values compare only where these are the same."""

    data: str
    fingerprint: str = Field(description="hash of all the data: equal only for the same data")
    split: HeldOut
    n: int = Field(ge=1, description="examples of the split, and as many samples")
    binarisation: Binarisation
    seed: int = Field(description="of samples, importance samples, judge, projections and resamples")
    machine: Machine


class Checkpoint(_Strict):
    """Which weights were measured. The last is the only rule there is: none was chosen by its figures."""

    rule: Literal["last"] = "last"
    step: int
    averaged: float | None = Field(description="decay of the averaged weights; null: the step's own")


class Curves(_Strict):
    """What was logged while training: one row a logged step, seconds since the start of training."""

    step: list[int] = []
    seconds: list[float] = []
    terms: dict[str, list[Number]] = {}

    @model_validator(mode="after")
    def _same_length(self) -> "Curves":
        lengths = {"seconds": len(self.seconds)} | {name: len(values) for name, values in self.terms.items()}
        for name, length in lengths.items():
            if length != len(self.step):
                raise ValueError(f"curve {name!r} has {length} points but {len(self.step)} steps were logged")
        return self


class Cost(_Strict):
    """What training took. The interval of ``ms_per_step`` is over steps; without it, speed is not ranked."""

    seconds: float
    steps: int
    parameters: int
    ms_per_step: float
    ms_per_step_low: Number = None
    ms_per_step_high: Number = None
    peak_memory_mib: Number = Field(
        default=None,
        description="highest while training: on a GPU of the tensors, on a CPU of the whole process",
    )
    examples: int


class Evaluation(_Strict):
    """One run measured: ``measures.json``."""

    version: int = Field(default=VERSION, ge=VERSION, le=VERSION)
    run: str
    model: str
    conditions: Conditions
    checkpoint: Checkpoint
    seeds: dict[str, int] = Field(description=_SEEDS)
    measures: dict[str, MeasureRecord]
    seconds: float = Field(description="wall-clock of the whole evaluation")
    cost: Cost


class Entry(_Strict):
    """One trained model. ``name`` is its unique label; ``pictures`` maps a kind to a path beside the page.

    Kinds with a place of their own: ``samples``, ``reconstructions``, ``interpolation``, ``latent``; any
    other kind gets a section named after it.
    """

    name: str
    model: str
    paper: str
    settings: dict[str, Any] = {}
    card: Card
    checkpoint: Checkpoint
    seeds: dict[str, int] = Field(description=_SEEDS)
    measures: dict[str, MeasureRecord] = {}
    pictures: dict[str, RelativePath] = {}
    texts: dict[str, list[list[str]]] = Field(
        default={}, description="by kind, as `pictures`: rows of lines, for models of text"
    )
    curves: Curves = Curves()
    cost: Cost
    notes: list[str] = []


class DataInfo(_Strict):
    """The data all models were trained on. ``pictures`` may hold the data's own, set beside the models'."""

    name: str
    kind: str
    shape: list[int]
    train: int
    validation: int
    test: int
    licence: str
    source: str
    pictures: dict[str, RelativePath] = {}
    texts: dict[str, list[list[str]]] = {}


class Report(_Strict):
    """A whole comparison."""

    version: int = Field(default=VERSION, ge=VERSION, le=VERSION)
    title: str
    created: str
    data: DataInfo
    budget: str | None
    conditions: Conditions
    entries: list[Entry]

    @model_validator(mode="after")
    def _unique_names(self) -> "Report":
        twice = [name for name, count in Counter(entry.name for entry in self.entries).items() if count > 1]
        if twice:
            raise ValueError(f"entries must have unique names; given twice: {', '.join(twice)}")
        return self


def load(path: Path | str) -> Report:
    """Read a ``report.json``."""
    try:
        return Report.model_validate_json(Path(path).read_bytes())
    except OSError as error:
        raise ReparamError(f"cannot read the report {path}: {error.strerror or error}") from error
    except ValidationError as error:
        raise ReparamError(f"{path} is not a report this version understands: {error}") from error
