"""S-VAE against N-VAE on dynamically binarised MNIST: codes on a sphere of d dimensions, or in a plane."""

from typing import Any

import torch
from common import cpu_seconds, log_likelihoods, record, trained

from reparam.data import load as load_data
from reparam.metrics.bootstrap import interval, mean
from reparam.metrics.likelihood import likelihood

EPOCHS, BATCH, N, DRAWS = 10, 64, 2000, 500
DIMENSIONS = (2, 5, 10, 20, 40)
NETWORKS = {"network": "mlp", "width": 256}
RATES = {"spherical-vae": 3e-3, "vae": 1e-3}  # each the better of the two on validation, at d = 10
PRECISION = "float32"  # of training: bf16 learned worse on validation
LITERATURE = {
    2: (-132.50, -135.73),
    5: (-108.43, -110.21),
    10: (-93.16, -93.84),
    20: (-89.02, -88.90),
    40: (-90.87, -88.93),
}


def figure() -> None:
    """Trains, measures and records."""
    data = load_data("mnist", binarise="dynamic")
    # The test set is not shuffled: rows of all of it.
    rows = torch.randperm(data.test.n, generator=torch.Generator().manual_seed(0))[:N]
    x = data.batch(data.test, rows)["x"]
    steps = EPOCHS * data.train.n // BATCH
    found = []
    for d in DIMENSIONS:
        # A sphere of d dimensions lies in d + 1.
        row: dict[str, Any] = {"dimensions": d}
        bounds = []
        for name, latent in (("spherical-vae", d + 1), ("vae", d)):
            run = f"mnist-{name}-{d}"
            options = {"batch_size": BATCH, "average": 0.999, "precision": PRECISION}
            own = {"latent": latent, "lr": RATES[name], **NETWORKS}
            system = trained(run, name, data, steps=steps, options=options, **own)
            bounds.append(log_likelihoods(system, x, DRAWS))
            measured = likelihood(bounds[-1], draws=DRAWS)
            row[name] = [measured.value, measured.low, measured.high]
            row[f"{name}_cpu_minutes"] = cpu_seconds(run) / 60
        gain = bounds[0] - bounds[1]
        row["gain"] = [gain.mean().item(), *interval(mean, gain.numpy())]
        row["literature"] = LITERATURE[d]
        found.append(row)
        print(row, flush=True)
    record(
        "spherical",
        {
            "target": "the sphere above the normal code for small d, below it from about 20",
            "rows": found,
            "gain": "the sphere's log-likelihood less the normal code's, example by example",
            "precision": PRECISION,
            "epochs": EPOCHS,
            "steps": steps,
            "batch_size": BATCH,
            "networks": NETWORKS,
            "learning_rates": RATES,
            "importance_samples": DRAWS,
            "n": N,
            "split": "test, binarised once by a fixed draw; rows drawn at random",
            "checkpoint": "last, weights averaged with decay 0.999",
            "literature": "Davidson et al. 2018, S-VAE and N-VAE; as recalled",
        },
    )


def words(content: dict[str, Any]) -> list[tuple[str, str]]:
    """The rows of the README: what, and what was measured."""
    found = []
    for row in content["rows"]:
        gain, low, high = row["gain"]
        both = f"{row['spherical-vae'][0]:.2f} against {row['vae'][0]:.2f} nats"
        what = f"S-VAE against N-VAE on MNIST, d = {row['dimensions']}, {content['epochs']} epochs, K = 500"
        found.append((what, f"{both}: {gain:+.2f} ({low:+.2f} – {high:+.2f})"))
    return found
