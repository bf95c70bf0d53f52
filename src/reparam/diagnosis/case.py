"""What a verdict is, and what it is given: a run, its weights, its log, and held-out data."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from reparam import registry
from reparam.data import Data
from reparam.errors import ReparamError
from reparam.evaluate import examples
from reparam.metrics.features import extractor
from reparam.model import asks
from reparam.noise import Control, Streams
from reparam.run import FAILURE, read_log, read_settings, reload_data
from reparam.system import System

State = Literal["ill", "unclear", "well"]

MOST = 1000  # validation examples and samples looked at
BATCH = 256  # validation examples for the losses


@dataclass(frozen=True)
class Evidence:
    """A number and what it means."""

    value: float
    meaning: str


@dataclass(frozen=True)
class Verdict:
    """What one question about a run found: in a sentence, in numbers, and what to change if it is ill."""

    name: str
    state: State
    finding: str
    evidence: tuple[Evidence, ...] = ()
    change: tuple[str, ...] = ()


@dataclass(frozen=True)
class Case:
    """A run in the hands of the verdicts, and the data it is judged on, its own unless others are given.

    Everything is measured on the validation split: what is changed after a diagnosis is then no choice
    made on test data.
    """

    run: Path
    system: System
    given: Data | None = None

    @cached_property
    def data(self) -> Data:
        """What the run is judged on. Raises ReparamError if it does not fit the networks."""
        data = self.given or reload_data(self.system)
        if data.shape != self.system.data.shape:
            raise ReparamError(
                f"{self.system.name} was built for data of shape {self.system.data.shape}; {data.name} has "
                f"{data.shape}."
            )
        return data

    @cached_property
    def log(self) -> list[dict[str, Any]]:
        """The rows of the run's log; none of a system that was only saved."""
        return read_log(self.run)

    @cached_property
    def failure(self) -> dict[str, Any] | None:
        """What the run wrote when a loss became no number, if it did."""
        path = self.run / FAILURE
        try:
            return json.loads(path.read_text()) if path.is_file() else None
        except ValueError as error:
            raise ReparamError(f"{path} is damaged: {error}.") from None

    @cached_property
    def trained_on(self) -> Data:
        """The run's own data. Raises ReparamError if they were arrays and are not what is at hand."""
        try:
            return reload_data(self.system)
        except ReparamError:
            if self.data.fingerprint == read_settings(self.run).fingerprint:
                return self.data
            raise

    @cached_property
    def held_out(self) -> Tensor:
        """x of validation examples: (n, *shape)."""
        return examples(self.data, self.data.validation, MOST)

    @cached_property
    def samples(self) -> Tensor:
        """As many for every verdict: (MOST, *shape)."""
        return self.system.sample(MOST).cpu()

    def terms(self) -> dict[str, Tensor]:
        """Every term of every loss on held-out data and fresh noise, `turn.term`: (n, …)."""
        model, found = self.system.model, dict[str, Tensor]()
        split = self.data.validation
        rows = torch.arange(min(BATCH, len(split.x)))
        streams = Streams(0)
        noise = {name: streams.draw(name, law, len(rows), -1) for name, law in self.data.noise().items()}
        batch = self.data.batch(split, rows, **noise)
        for turn in model.turns():
            wants = asks(turn.loss)
            drawn = self.system.draw(wants.noise, len(rows), Control())
            fields = (batch[name].to(self.system.device) for name in wants.fields)
            for name, term in turn.loss(*fields, **drawn).items():
                if name not in model.state():
                    found[f"{turn.name}.{name}"] = term.detach()
        return found

    def vectors(self, x: Tensor) -> Tensor:
        """Data as vectors that can be compared: pixels, made smaller where there are many: (n, d)."""
        return extractor("pixels")(x) if self.data.kind == "image" else x.flatten(1).double()

    def settings(self, *names: str) -> str:
        """Those of the recipe's settings that it has, as ` (lr=0.001)`; empty if it has none of them."""
        known = registry.settings(self.system.name)
        values = {n: self.system.settings.get(n, known[n].default) for n in names if n in known}
        # None is for the recipe to fill in: its name alone.
        words = ", ".join(name if value is None else f"{name}={value}" for name, value in values.items())
        return f" ({words})" if words else ""
