"""BiGAN on permutation-invariant MNIST: 1-NN on the features before the code."""

from typing import Any

import torch
from common import RESULTS, cpu_seconds, record, trained

from reparam.data import Split
from reparam.data import load as load_data
from reparam.metrics.probes import knn_accuracy
from reparam.report.pictures import grid, pairs, save
from reparam.system import System

STEPS = 45_000  # 105 epochs; the paper has 400
SETTINGS = {"width": 512, "features": 1024}  # the paper: 1,024 in all three networks
OPTIONS = {"precision": "bf16"}

PICTURES = {"bigan": ["mnist-bigan.png", "mnist-bigan-reconstructions.png"]}


def features(system: System, split: Split) -> torch.Tensor:
    """The encoder's last hidden layer: (n, width)."""
    body = system.model.get_submodule("encoder.0")
    with torch.inference_mode():
        return torch.cat([body(part) for part in (split.x.float() / 255).split(1000)])


def figure() -> None:
    """Trains, measures and records."""
    data, run = load_data("mnist"), "mnist-bigan"
    system = trained(run, "bigan-mlp", data, steps=STEPS, options=OPTIONS, **SETTINGS)
    train, validation, test = (features(system, split) for split in (data.train, data.validation, data.test))
    assert data.train.y is not None
    assert data.validation.y is not None
    assert data.test.y is not None
    measured = knn_accuracy(train, data.train.y, test, data.test.y, k=1)
    before = knn_accuracy(train, data.train.y, validation, data.validation.y, k=1)
    x = data.batch(data.test, torch.arange(32))["x"]
    save(grid(system.sample(48), 8), RESULTS / f"{run}.png")
    save(pairs(x, system.reconstruct(x)), RESULTS / f"{run}-reconstructions.png")
    record(
        "bigan",
        {
            "target": "≥ 97.0 % (paper 97.39)",
            "accuracy": measured.value,
            "interval": [measured.low, measured.high],
            "validation_accuracy": before.value,
            "n": len(test),
            "how": measured.how,
            "steps": STEPS,
            "settings": SETTINGS,
            "options": OPTIONS,
            "cpu_minutes": cpu_seconds(run) / 60,
        },
    )


def words(content: dict[str, Any]) -> list[tuple[str, str]]:
    """The rows of the README: what, and what was measured."""
    low, high = (100 * end for end in content["interval"])
    measured = f"{100 * content['accuracy']:.2f} % ({low:.2f} – {high:.2f})"
    return [("bigan, permutation-invariant MNIST, 1-NN on the layer before the code", measured)]
