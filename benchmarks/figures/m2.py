"""Semi-supervised VAEs on MNIST with 100 labels: M1, M2 and M1 + M2; `aae_semi_supervised.py` is beside."""

import math
from typing import Any

import torch
from common import cpu_seconds, record, trained

from reparam.data import Data
from reparam.data import load as load_data
from reparam.metrics.probes import probe_accuracy
from reparam.system import System

PAPERS = {"m1": 11.82, "m2": 11.97, "m1-m2": 3.33}  # errors in %, as printed there
STEPS = {"m1": 10_000, "m2": 2_500, "m1-m2": 8_000}
SHARED = {"network": "mlp", "width": 256}


def systems(data: Data) -> dict[str, System]:
    """The three, trained."""
    m1 = trained("m2-m1", "vae", data, steps=STEPS["m1"], options={"batch_size": 100}, latent=50, **SHARED)
    return {
        "m1": m1,
        "m2": trained("m2-m2", "m2", data, steps=STEPS["m2"], latent=50, **SHARED),
        "m1-m2": trained("m2-m1-m2", "m1-m2", data, steps=STEPS["m1-m2"], stage1=m1, latent=50, width=256),
    }


def error(name: str, system: System, data: Data, split: str) -> float:
    """Share of a split that is given another class than its own; M1 by a linear classifier of 100 codes."""
    held_out = getattr(data, split)
    batch = data.batch(held_out, torch.arange(len(held_out.x)))
    with torch.inference_mode():
        if name != "m1":
            model: Any = system.model
            found = torch.cat([model.classify(part) for part in batch["x"].split(1000)])
            return float((found != batch["y"]).float().mean())
    known = data.train.known
    assert known is not None
    # The known rows as the held-out ones are seen: binarised by a fixed draw.
    noise = {"binarise": torch.full((len(known), *data.shape), 0.5)}
    x = data.batch(data.train, known, **noise)["x"]
    assert data.train.y is not None
    theirs, own = system.encode(x).clone(), system.encode(batch["x"]).clone()
    return 1 - probe_accuracy(theirs, data.train.y[known], own, batch["y"]).value


def figure() -> None:
    """Trains, measures and records."""
    data = load_data("mnist", binarise="dynamic", labels=100)
    found = {name: error(name, system, data, "test") for name, system in systems(data).items()}
    n = len(data.test.x)
    record(
        "m2",
        {
            "target": "beside the AAE's; the paper, after much longer runs: "
            + ", ".join(f"{name} {value:.2f} %" for name, value in PAPERS.items()),
            "errors": found,
            "standard_errors": {name: math.sqrt(e * (1 - e) / n) for name, e in found.items()},
            "n": n,
            "split": "the whole test set, binarised once by a fixed draw",
            "labels": 100,
            "seeds": 1,
            "steps": STEPS,
            "cpu_minutes": sum(cpu_seconds(f"m2-{run}") for run in STEPS) / 60,
        },
    )


def words(content: dict[str, Any]) -> list[tuple[str, str]]:
    """The rows of the README: what, and what was measured."""
    errors = ", ".join(
        f"{name} {100 * e:.1f} % (± {196 * content['standard_errors'][name]:.1f})"
        for name, e in content["errors"].items()
    )
    return [("Semi-supervised VAEs, MNIST with 100 labels, test error, 1 seed", errors)]
