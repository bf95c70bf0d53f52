"""VAE, IWAE-5 and IWAE-50 on dynamically binarised MNIST: the same networks, batches and epochs."""

from itertools import pairwise
from typing import Any

import torch
from common import cpu_seconds, log_likelihoods, record, trained

from reparam.data import load as load_data
from reparam.metrics.bootstrap import interval, mean
from reparam.metrics.likelihood import likelihood

EPOCHS, BATCH, SMALL, N = 15, 20, 100, 10_000
PRECISION = "bf16"  # of training; `tried` holds what validation said of it
NETWORKS = {"network": "mlp", "width": 200, "latent": 50}  # of Burda et al., but for their tanh
SYSTEMS: dict[str, tuple[str, dict[str, Any]]] = {
    "VAE": ("vae", {}),
    "IWAE-5": ("iwae", {"draws": 5}),
    "IWAE-50": ("iwae", {"draws": 50}),
}
LITERATURE = {"VAE": -86.76, "IWAE-5": -85.54, "IWAE-50": -84.78}


def figure() -> None:
    """Trains, measures and records."""
    data = load_data("mnist", binarise="dynamic")
    # The test set is not shuffled: parts of it are drawn from all.
    rows = torch.randperm(data.test.n, generator=torch.Generator().manual_seed(0))[:N]
    x = data.batch(data.test, rows)["x"]
    steps = EPOCHS * data.train.n // BATCH
    found, every = [], []
    for name, (model, own) in SYSTEMS.items():
        run = f"mnist-{name.lower()}"
        options = {"batch_size": BATCH, "average": 0.9995, "precision": PRECISION}
        system = trained(run, model, data, steps=steps, options=options, **NETWORKS, **own)
        every.append(log_likelihoods(system, x, 500))
        whole = likelihood(every[-1], draws=500)
        few = likelihood(log_likelihoods(system, x[:SMALL], 5000), draws=5000)
        found.append(
            {
                "model": name,
                "log_likelihood": whole.value,
                "interval": [whole.low, whole.high],
                "small_subset": few.value,
                "small_subset_interval": [few.low, few.high],
                "literature": LITERATURE[name],
                "cpu_minutes": cpu_seconds(run) / 60,
            }
        )
        print(found[-1], flush=True)
    gains = [b - a for a, b in pairwise(every)]
    record(
        "iwae",
        {
            "target": "VAE < IWAE-5 < IWAE-50 at equal epochs, intervals of the differences above 0",
            "gains": [[g.mean().item(), *interval(mean, g.numpy())] for g in gains],
            "rows": found,
            "epochs": EPOCHS,
            "precision": PRECISION,
            "steps": steps,
            "batch_size": BATCH,
            "networks": {**NETWORKS, "activation": "ReLU"},
            "importance_samples": 500,
            "n": len(x),
            "small_subset_of": {"n": SMALL, "importance_samples": 5000},
            "split": "test, binarised once by a fixed draw; rows drawn at random",
            "checkpoint": "last, weights averaged with decay 0.9995",
            "literature": "Burda et al. 2016, one stochastic layer, 3,280 epochs, K = 5,000; as recalled",
        },
    )


def words(content: dict[str, Any]) -> list[tuple[str, str]]:
    """The rows of the README: what, and what was measured."""
    found = []
    gains = [None, *content["gains"]]
    for row, gain in zip(content["rows"], gains, strict=True):
        low, high = row["interval"]
        text = f"{row['log_likelihood']:.2f} nats ({low:.2f} – {high:.2f}), K = 500"
        if gain:
            text += f"; {gain[0]:.2f} ({gain[1]:.2f} – {gain[2]:.2f}) above the one before, in pairs"
        what = f"{row['model']} on dynamically binarised MNIST after {content['epochs']} epochs"
        found.append((what, text))
    return found
