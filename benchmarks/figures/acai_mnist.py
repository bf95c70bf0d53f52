"""ACAI's codes of MNIST beside an autoencoder's of the same networks: a linear probe, and k-means."""

from typing import Any

import torch
from common import cpu_seconds, record, trained

from reparam.data import load as load_data
from reparam.metrics.clustering import clustering
from reparam.metrics.probes import probe_accuracy
from reparam.nets.heads import Cut, Given
from reparam.nets.pooled import PooledBody, PooledGenerator
from reparam.noise import Streams

STEPS, BASE, CHANNELS = 4000, 8, 2  # 4 × 4 maps of two channels are 32 numbers


def figure() -> None:
    """Trains, measures and records."""
    data, rows = load_data("mnist"), []
    assert data.train.y is not None
    assert data.test.y is not None
    for name in ("autoencoder", "acai"):
        run = f"mnist-{name}"
        with Streams(0).ambient("weights"):
            settings: dict[str, Any] = {
                "encoder": torch.nn.Sequential(PooledBody(data.shape, BASE, CHANNELS), Given()),
                "decoder": torch.nn.Sequential(PooledGenerator(data.shape, BASE, CHANNELS), Cut()),
            }
        if name == "acai":
            settings["width"] = 8 * BASE
        options = {"batch_size": 64}
        system = trained(run, name, data, steps=STEPS, options=options, latent=32, **settings)
        train, test = (system.encode(split.x.float() / 255).clone() for split in (data.train, data.test))
        found = {"probe": probe_accuracy(train, data.train.y, test, data.test.y)}
        found |= clustering(test, data.test.y, whiten=True)
        row: dict[str, Any] = {"model": name, "steps": STEPS, "cpu_minutes": cpu_seconds(run) / 60}
        for key, measure in found.items():
            row[key] = {"value": measure.value, "interval": [measure.low, measure.high], "how": measure.how}
        rows.append(row)
        print(row, flush=True)
    target = "beside the autoencoder's (paper, recalled: probe 98.25 %, k-means 94.38 %)"
    record("acai-mnist", {"target": target, "split": "the whole test set", "latent": 32, "rows": rows})


def words(content: dict[str, Any]) -> list[tuple[str, str]]:
    """The rows of the README: what, and what was measured."""
    found = []
    for row in content["rows"]:
        parts = []
        for key, what in (("probe", "linear probe"), ("cluster_accuracy", "k-means")):
            low, high = (100 * end for end in row[key]["interval"])
            parts.append(f"{what} {100 * row[key]['value']:.1f} % ({low:.1f} – {high:.1f})")
        found.append((f"{row['model']}, MNIST, 32 numbers a code, {row['steps']:,} steps", "; ".join(parts)))
    return found
