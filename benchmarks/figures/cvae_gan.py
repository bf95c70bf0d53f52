"""CVAE-GAN on MNIST: samples of a class, judged by an independent classifier; their spread within it."""

from typing import Any

import torch
from common import RESULTS, cpu_seconds, record, trained
from torch import Tensor

from reparam.data import Data
from reparam.data import load as load_data
from reparam.metrics import classifier
from reparam.metrics.bootstrap import interval, ratio
from reparam.report.pictures import grid, save
from reparam.system import System

STEPS, SETTINGS = 15_000, {"width": 64, "rate": 1.0, "means": 1.0}
OPTIONS = {"precision": "bf16"}
EACH, TAUGHT = 200, 20_000  # the most samples of a class; the most training examples of the judge

PICTURES = {"cvae-gan": ["mnist-cvae-gan.png"]}


def figure() -> None:
    """Trains, measures and records."""
    data, run = load_data("mnist"), "mnist-cvae-gan"
    system = trained(run, "cvae-gan", data, steps=STEPS, options=OPTIONS, **SETTINGS)
    found = measured(system, data, judge_of(data), "test")
    save(grid(columns(system), 10), RESULTS / f"{run}.png")
    target = "≥ 97 % of the class asked for; variance within classes ≥ 0.9 × the data's"
    trained_as = {"steps": STEPS, "settings": SETTINGS, **OPTIONS, "cpu_minutes": cpu_seconds(run) / 60}
    record("cvae-gan", {"target": target, "data": data.name, **found, **trained_as})


def judge_of(data: Data) -> classifier.Judge:
    """A classifier of the training split's classes, independent of the system."""
    assert data.train.y is not None
    n = min(TAUGHT, data.train.n)
    return classifier.train(data.batch(data.train, torch.arange(n))["x"], data.train.y[:n], epochs=10)


def measured(system: System, data: Data, judge: classifier.Judge, split: str) -> dict[str, Any]:
    """The judge's accuracy on samples of each class, and their variance over that of true pictures."""
    part = getattr(data, split)
    rows = torch.cat([(part.y == k).nonzero().flatten()[:EACH] for k in part.y.unique()])
    asked, true = part.y[rows], data.batch(part, rows)["x"]
    samples = torch.cat([of_class(system, int(k), int((asked == k).sum())) for k in asked.unique()])
    reached = classifier.accuracy(judge, samples, asked)
    of_true = classifier.accuracy(judge, true, asked)
    views = {"judge": judge.net[:-1], "pixels": torch.nn.Flatten(1)}  # pyright: ignore[reportIndexIssue]
    diversity = {}
    with torch.inference_mode():
        for name, view in views.items():
            ours, theirs = (spreads(view(x).double(), asked) for x in (samples, true))
            value = (ours.mean() / theirs.mean()).item()
            diversity[name] = {"value": value, "interval": interval(ratio, ours, theirs)}
    return {
        "accuracy": reached.value,
        "interval": [reached.low, reached.high],
        "accuracy_on_data": of_true.value,
        "how": reached.how,
        "variance_of_data": diversity,
        "n": len(asked),
        "split": f"{split}, the first {EACH} of each class at most",
    }


def of_class(system: System, k: int, n: int) -> Tensor:
    """n samples of class k, each class by draws of its own."""
    return system.sample(n, seed=k, pin={"y": float(k)})


def spreads(features: Tensor, y: Tensor) -> Tensor:
    """Squared distance of each example's features (n, d) to the mean of its class: (n,)."""
    found = torch.empty(len(y), dtype=features.dtype)
    for k in y.unique():
        own = features[y == k]
        # n / (n − 1): the mean is the examples' own.
        found[y == k] = (own - own.mean(0)).square().sum(1) * len(own) / (len(own) - 1)
    return found


def columns(system: System) -> Tensor:
    """Six samples of each digit, a column each."""
    return torch.stack([of_class(system, k, 6) for k in range(10)], 1).flatten(0, 1)


def words(content: dict[str, Any]) -> list[tuple[str, str]]:
    """The rows of the README: what, and what was measured."""
    low, high = (100 * end for end in content["interval"])
    variance = content["variance_of_data"]["judge"]
    spread = "{:.2f} ({:.2f} – {:.2f})".format(variance["value"], *variance["interval"])
    measured = (
        f"{100 * content['accuracy']:.1f} % ({low:.1f} – {high:.1f}), real pictures "
        f"{100 * content['accuracy_on_data']:.1f} %; variance of its features {spread} of the data's"
    )
    return [("cvae-gan, MNIST, samples of the class asked for", measured)]
