"""WAE-MMD and WAE-GAN against the VAE on MNIST and avatars: the same networks, batches and steps."""

from typing import Any

import torch
from common import RESULTS, cpu_seconds, record, recorded, trained
from torch import Tensor

from reparam.data import Data, Split
from reparam.data import load as load_data
from reparam.metrics.features import extractor
from reparam.metrics.frechet import frechet
from reparam.metrics.kernel_distance import kernel_distance
from reparam.report.pictures import grid, save
from reparam.system import System

# The penalty is the authors' for digits, and for faces.
CASES: dict[str, dict[str, Any]] = {
    "mnist": {
        "steps": 3000,
        "networks": {"network": "conv", "width": 128, "latent": 8},
        "batch_size": 100,
        "extractor": "efficientnet-lite0-128",
        "systems": {"vae": {}, "wae-mmd": {}, "wae-gan": {}},
    },
    "avatars": {
        "steps": 6000,
        "networks": {"network": "conv", "width": 128, "latent": 32},
        "batch_size": 32,
        "extractor": "efficientnet-lite0",
        "systems": {"vae": {}, "wae-mmd": {"penalty": 2000.0}, "wae-gan": {"penalty": 2000.0}},
    },
}
OPTIONS = {"average": 0.999, "precision": "bf16"}
N = 1000  # pictures on either side, or as many as a split has

PICTURES = {name: [f"{data}-{name}.png" for data in CASES] for name in ("wae-mmd", "wae-gan")}


def figure() -> None:
    """Trains, measures and records; a row that was measured with the same settings is kept as it is."""
    known, rows = {(row["data"], row["model"]): row for row in recorded("wae")["rows"]}, []
    for case, told in CASES.items():
        data = load_data(case)
        true = features(true_of(data, "test"), told["extractor"])
        for name, own in told["systems"].items():
            settings = {"steps": told["steps"], "batch_size": told["batch_size"], "settings": own}
            settings["networks"] = told["networks"]
            row = known.get((case, name), {})
            if not settings.items() <= row.items():
                system = taught(case, name, data)
                samples, measures = measured(system, true, "test", told["extractor"])
                minutes = cpu_seconds(f"wae-{case}-{name}") / 60
                row = {"data": case, "model": name, **measures, **settings, "cpu_minutes": minutes}
                if name != "vae":
                    save(grid(samples[:48], 8), RESULTS / f"{case}-{name}.png")
            rows.append(row)
            print(row, flush=True)
    target = "kernel distance below the VAE's, intervals apart"
    record("wae", {"target": target, **OPTIONS, "rows": rows})


def taught(case: str, name: str, data: Data) -> System:
    """A system of a case, trained or taken up where it was left."""
    told = CASES[case]
    options, own = {"batch_size": told["batch_size"], **OPTIONS}, told["systems"][name]
    return trained(
        f"wae-{case}-{name}", name, data, steps=told["steps"], options=options, **told["networks"], **own
    )


def true_of(data: Data, split: str) -> Tensor:
    """N pictures of a split, drawn by a fixed seed: MNIST's test split is not shuffled."""
    part: Split = getattr(data, split)
    drawn = torch.randperm(part.n, generator=torch.Generator().manual_seed(0))[:N]
    return data.batch(part, drawn)["x"]


def features(x: Tensor, of: str) -> Tensor:
    """What pictures are compared in."""
    return extractor(of)(x)


def measured(system: System, true: Tensor, split: str, of: str) -> tuple[Tensor, dict[str, Any]]:
    """As many samples as there are features of true pictures, and their distances."""
    samples = system.sample(len(true))
    made = features(samples, of)
    kernel = kernel_distance(made, true, of=f"{of} features, {split} split")
    distances = {"kernel_distance": kernel.value, "interval": [kernel.low, kernel.high]}
    return samples, {**distances, "frechet": frechet(made, true).value, "n": len(true), "split": split}


def words(content: dict[str, Any]) -> list[tuple[str, str]]:
    """The rows of the README: what, and what was measured."""
    found = []
    for row in content["rows"]:
        low, high = row["interval"]
        distance = f"kernel distance {row['kernel_distance']:.3f} ({low:.3f} – {high:.3f})"
        what = {"mnist": "MNIST"}.get(row["data"], row["data"])
        found.append((f"{row['model']} on {what}, {row['steps']:,} steps", distance))
    return found
