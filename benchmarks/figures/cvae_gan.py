"""CVAE-GAN on MNIST: samples of a class, judged by an independent classifier; their spread within it."""

from typing import Any

import torch
from common import RESULTS, cpu_seconds, record, trained

from reparam.data import load as load_data
from reparam.metrics import classifier
from reparam.metrics.bootstrap import interval, ratio
from reparam.report.pictures import grid, save
from reparam.system import System

STEPS, SETTINGS = 6000, {"width": 64}
EACH, TAUGHT = 200, 20_000  # samples of each class; training examples of the judge

PICTURES = {"cvae-gan": ["mnist-cvae-gan.png"]}


def of_class(system: System, k: int, n: int) -> torch.Tensor:
    """n samples of class k, each class by draws of its own."""
    return system.sample(n, seed=k, pin={"y": float(k)})


def spreads(features: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Squared distance of each example's features (n, d) to the mean of its class: (n,)."""
    found = torch.empty(len(y), dtype=features.dtype)
    for k in y.unique():
        own = features[y == k]
        # n / (n − 1): the mean is the examples' own.
        found[y == k] = (own - own.mean(0)).square().sum(1) * len(own) / (len(own) - 1)
    return found


def figure() -> None:
    """Trains, measures and records."""
    data, run = load_data("mnist"), "mnist-cvae-gan"
    system = trained(run, "cvae-gan", data, steps=STEPS, **SETTINGS)
    assert data.train.y is not None
    assert data.test.y is not None
    judge = classifier.train(data.batch(data.train, torch.arange(TAUGHT))["x"], data.train.y[:TAUGHT])
    asked = torch.arange(10).repeat_interleave(EACH)
    samples = torch.cat([of_class(system, k, EACH) for k in range(10)])
    measured = classifier.accuracy(judge, samples, asked)
    rows = torch.cat([(data.test.y == k).nonzero().flatten()[:EACH] for k in range(10)])
    true = data.batch(data.test, rows)["x"]
    views = {"judge": judge.net[:-1], "pixels": torch.nn.Flatten(1)}  # pyright: ignore[reportIndexIssue]
    diversity = {}
    with torch.inference_mode():
        for name, view in views.items():
            ours, theirs = (spreads(view(x).double(), asked) for x in (samples, true))
            diversity[name] = {
                "value": (ours.mean() / theirs.mean()).item(),
                "interval": interval(ratio, ours, theirs),
            }
    columns = torch.cat([samples.view(10, EACH, *data.shape)[:, i] for i in range(6)])
    save(grid(columns, 10), RESULTS / f"{run}.png")
    record(
        "cvae-gan",
        {
            "target": "≥ 97 % of the class asked for; variance within classes ≥ 0.9 × the data's",
            "accuracy": measured.value,
            "interval": [measured.low, measured.high],
            "judge_accuracy": judge.accuracy,
            "how": measured.how,
            "variance_of_data": diversity,
            "n": len(asked),
            "split": f"the first {EACH} of each class of the test set",
            "steps": STEPS,
            "settings": SETTINGS,
            "cpu_minutes": cpu_seconds(run) / 60,
        },
    )


def words(content: dict[str, Any]) -> list[tuple[str, str]]:
    """The rows of the README: what, and what was measured."""
    low, high = (100 * end for end in content["interval"])
    variance = content["variance_of_data"]["judge"]
    spread = "{:.2f} ({:.2f} – {:.2f})".format(variance["value"], *variance["interval"])
    measured = (
        f"{100 * content['accuracy']:.1f} % ({low:.1f} – {high:.1f}), real pictures "
        f"{100 * content['judge_accuracy']:.1f} %; variance of its features {spread} of the data's"
    )
    return [("cvae-gan, MNIST, samples of the class asked for", measured)]
