"""Short chains from q(z|x): how much they tighten the bound of the runs of `iwae.py`, at the same K."""

from typing import Any

import torch
from common import log_likelihoods, record, trained
from iwae import BATCH, EPOCHS, NETWORKS, PRECISION, SMALL, SYSTEMS

from reparam.data import load as load_data
from reparam.metrics.likelihood import likelihood
from reparam.metrics.refinement import refinement

CHAINS, TEMPERATURES = 8, (2, 10, 50)


def figure() -> None:
    """Takes the runs up, measures and records."""
    data = load_data("mnist", binarise="dynamic")
    # The small subset of `iwae.py`.
    rows = torch.randperm(data.test.n, generator=torch.Generator().manual_seed(0))[:SMALL]
    x = data.batch(data.test, rows)["x"]
    options = {"batch_size": BATCH, "average": 0.9995, "precision": PRECISION}
    steps, found = EPOCHS * data.train.n // BATCH, []
    for name, (model, own) in SYSTEMS.items():
        system: Any = trained(
            f"mnist-{name.lower()}", model, data, steps=steps, options=options, **NETWORKS, **own
        )
        with torch.no_grad():
            q = system.model.encoder(x)
        best = likelihood(log_likelihoods(system, x, 5000), draws=5000).value
        for t in TEMPERATURES:
            both = refinement(lambda z, at=system: at.model.log_joint(x, z), q, temperatures=t, chains=CHAINS)
            refined, gain = both["refined"], both["refinement"]
            row = {
                "model": name,
                "temperatures": t,
                "refined": refined.value,
                "unrefined": refined.value - gain.value,
                "gain": [gain.value, gain.low, gain.high],
                "5,000 draws": best,
            }
            found.append(row)
            print(row, flush=True)
    record(
        "refinement",
        {
            "target": "the bound of 8 chains above that of 8 draws, the more so the longer they are",
            "rows": found,
            "chains": CHAINS,
            "leapfrog": 3,
            "n": SMALL,
            "split": "test, binarised once by a fixed draw; rows drawn at random",
        },
    )


def words(content: dict[str, Any]) -> list[tuple[str, str]]:
    """The rows of the README: what, and what was measured."""
    found = []
    for row in (row for row in content["rows"] if row["temperatures"] == 10):
        gain, low, high = row["gain"]
        moves = f"{content['chains']} chains of {row['temperatures'] - 1} moves from q(z|x)"
        bounds = f"{row['unrefined']:.2f} to {row['refined']:.2f} nats"
        found.append(
            (
                f"{row['model']} on MNIST, {moves}",
                f"bound from {bounds}: {gain:+.2f} ({low:+.2f} – {high:+.2f})",
            )
        )
    return found
