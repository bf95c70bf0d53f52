"""WAE-MMD and WAE-GAN against the VAE on MNIST: the same networks and steps, test split."""

from typing import Any

import torch
from common import RESULTS, cpu_seconds, record, trained

from reparam.data import load as load_data
from reparam.metrics.features import extractor
from reparam.metrics.frechet import frechet
from reparam.metrics.kernel_distance import kernel_distance
from reparam.report.pictures import grid, save

STEPS, N = 6000, 1000
NETWORKS = {"network": "conv", "width": 128, "latent": 8}

PICTURES = {name: [f"mnist-{name}.png"] for name in ("wae-mmd", "wae-gan")}


def figure() -> None:
    """Trains, measures and records."""
    data, extract = load_data("mnist"), extractor("efficientnet-lite0-128")
    drawn = torch.randperm(len(data.test.x), generator=torch.Generator().manual_seed(0))[:N]
    true, rows = extract(data.batch(data.test, drawn)["x"]), []
    for name in ("vae", "wae-mmd", "wae-gan"):
        run = f"mnist-{name}"
        system = trained(run, name, data, steps=STEPS, options={"batch_size": 100}, **NETWORKS)
        samples = system.sample(N)
        features = extract(samples)
        kernel = kernel_distance(features, true, of="efficientnet-lite0-128 features, test split")
        row = {
            "model": name,
            "kernel_distance": kernel.value,
            "interval": [kernel.low, kernel.high],
            "frechet": frechet(features, true).value,
            "n": N,
            "steps": STEPS,
            "cpu_minutes": cpu_seconds(run) / 60,
        }
        rows.append(row)
        print(row, flush=True)
        save(grid(samples[:48], 8), RESULTS / f"{run}.png")
    target = "kernel distance below the VAE's, intervals apart"
    record("wae", {"target": target, "data": data.name, "networks": NETWORKS, "rows": rows})


def words(content: dict[str, Any]) -> list[tuple[str, str]]:
    """The rows of the README: what, and what was measured."""
    found = []
    for row in content["rows"]:
        low, high = row["interval"]
        distance = f"kernel distance {row['kernel_distance']:.3f} ({low:.3f} – {high:.3f})"
        found.append((f"{row['model']} on MNIST, {row['steps']:,} steps", distance))
    return found
