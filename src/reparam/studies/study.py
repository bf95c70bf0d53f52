"""What a study is: a question, what was measured, pictures, and the answer in sentences."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from reparam.engine import Engine, versions
from reparam.noise import Streams
from reparam.optimisers import Optimiser
from reparam.report.files import write_atomic
from reparam.report.pictures import save
from reparam.system import System
from reparam.trainer import Trainer


@dataclass(frozen=True)
class Study:
    """One experiment's result; the same seed gives the same numbers on the same machine.

    `settings` are what it was told, `numbers` is JSON, `pictures` have names without suffix.
    """

    name: str
    question: str
    answer: tuple[str, ...]
    settings: dict[str, Any]
    numbers: dict[str, Any]
    pictures: dict[str, Image.Image]

    def record(self) -> dict[str, Any]:
        """The result as JSON, pictures by the names of their files."""
        return {
            "version": 1,
            "study": self.name,
            "question": self.question,
            "answer": list(self.answer),
            "settings": self.settings,
            "numbers": self.numbers,
            "pictures": [f"{name}.png" for name in self.pictures],
            "versions": versions(),
        }

    def save(self, folder: Path) -> Path:
        """Writes `study.json` and the pictures; returns the JSON's path."""
        for name, picture in self.pictures.items():
            save(picture, folder / f"{name}.png")
        content = json.dumps(self.record(), indent=1, ensure_ascii=False) + "\n"
        return write_atomic(folder / "study.json", content.encode())


def trainer(
    system: System,
    *,
    batch_size: int,
    seed: int = 0,
    optimisers: Mapping[str, Optimiser] | None = None,
) -> Trainer:
    """What plays a system on its data, on the CPU; the recipe's optimisers, unless others are given."""
    assert system.training_data is not None
    return Trainer(
        system.model,
        system.training_data,
        optimisers or system.recipe.optimisers,
        batch_size=batch_size,
        streams=Streams(seed),
        engine=Engine(torch.device("cpu")),
    )


def play(playing: Trainer, until: int) -> None:
    """Plays on to a step; the model is then in evaluation mode."""
    playing.model.train()
    while playing.step < until:
        playing.take_step()
    playing.check_weights()
    playing.model.eval()


def spaced(last: int, points: int) -> list[int]:
    """0 and so many more steps up to the last, each as many times the one before; fewer where they meet."""
    return sorted({0, *np.geomspace(1, last, points).round().astype(int).tolist()})
