"""WAE-MMD and WAE-GAN against the VAE on MNIST: the same networks, batches and steps."""

from typing import Any

import torch
from common import RESULTS, cpu_seconds, record, trained
from torch import Tensor

from reparam.data import Data, Split
from reparam.data import load as load_data
from reparam.metrics.features import extractor
from reparam.metrics.frechet import frechet
from reparam.metrics.kernel_distance import kernel_distance
from reparam.report.pictures import grid, save
from reparam.system import System

STEPS, NETWORKS = 3000, {"network": "conv", "width": 128, "latent": 8}
SYSTEMS: dict[str, dict[str, Any]] = {"vae": {}, "wae-mmd": {}, "wae-gan": {}}
OPTIONS = {"batch_size": 100, "average": 0.999, "precision": "bf16"}
EXTRACTOR, N = "efficientnet-lite0-128", 1000

PICTURES = {name: [f"mnist-{name}.png"] for name in ("wae-mmd", "wae-gan")}


def figure() -> None:
    """Trains, measures and records."""
    data, rows = load_data("mnist"), []
    true = features(true_of(data, "test"))
    for name, own in SYSTEMS.items():
        system = trained(f"mnist-{name}", name, data, steps=STEPS, options=OPTIONS, **NETWORKS, **own)
        samples, row = measured(system, true, "test")
        minutes = cpu_seconds(f"mnist-{name}") / 60
        rows.append({"model": name, **row, "steps": STEPS, "settings": own, "cpu_minutes": minutes})
        print(rows[-1], flush=True)
        if name != "vae":
            save(grid(samples[:48], 8), RESULTS / f"mnist-{name}.png")
    target = "kernel distance below the VAE's, intervals apart"
    record("wae", {"target": target, "data": data.name, "networks": NETWORKS, **OPTIONS, "rows": rows})


def true_of(data: Data, split: str) -> Tensor:
    """N pictures of a split, drawn by a fixed seed: MNIST's test split is not shuffled."""
    part: Split = getattr(data, split)
    drawn = torch.randperm(part.n, generator=torch.Generator().manual_seed(0))[:N]
    return data.batch(part, drawn)["x"]


def features(x: Tensor) -> Tensor:
    """What pictures are compared in."""
    return extractor(EXTRACTOR)(x)


def measured(system: System, true: Tensor, split: str) -> tuple[Tensor, dict[str, Any]]:
    """As many samples as there are features of true pictures, and their distances."""
    samples = system.sample(len(true))
    made = features(samples)
    kernel = kernel_distance(made, true, of=f"{EXTRACTOR} features, {split} split")
    distances = {"kernel_distance": kernel.value, "interval": [kernel.low, kernel.high]}
    return samples, {**distances, "frechet": frechet(made, true).value, "n": len(true), "split": split}


def words(content: dict[str, Any]) -> list[tuple[str, str]]:
    """The rows of the README: what, and what was measured."""
    found = []
    for row in content["rows"]:
        low, high = row["interval"]
        distance = f"kernel distance {row['kernel_distance']:.3f} ({low:.3f} – {high:.3f})"
        found.append((f"{row['model']} on MNIST, {row['steps']:,} steps", distance))
    return found
