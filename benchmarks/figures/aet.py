"""AET's codes of MNIST against an autoencoder's of the same encoder: a linear probe."""

from typing import Any

from common import cpu_seconds, record, trained

from reparam.data import load as load_data
from reparam.metrics.probes import probe_accuracy

STEPS, SETTINGS = 5000, {"network": "conv", "width": 64, "latent": 64}


def figure() -> None:
    """Trains, measures and records."""
    data, rows = load_data("mnist"), []
    assert data.train.y is not None
    assert data.validation.y is not None
    assert data.test.y is not None
    for name in ("autoencoder", "aet"):
        run = f"mnist-probed-{name}"
        system = trained(run, name, data, steps=STEPS, options={"batch_size": 100}, **SETTINGS)
        train, validation, test = (
            system.encode(split.x.float() / 255).clone() for split in (data.train, data.validation, data.test)
        )
        measured = probe_accuracy(train, data.train.y, test, data.test.y)
        row = {
            "model": name,
            "accuracy": measured.value,
            "interval": [measured.low, measured.high],
            "validation_accuracy": probe_accuracy(train, data.train.y, validation, data.validation.y).value,
            "n": len(test),
            "how": measured.how,
            "steps": STEPS,
            "cpu_minutes": cpu_seconds(run) / 60,
        }
        rows.append(row)
        print(row, flush=True)
    target = "above the autoencoder's of the same encoder (the paper's figures are of CIFAR-10)"
    record("aet", {"target": target, "data": data.name, "settings": SETTINGS, "rows": rows})


def words(content: dict[str, Any]) -> list[tuple[str, str]]:
    """The rows of the README: what, and what was measured."""
    found = []
    for row in content["rows"]:
        low, high = (100 * end for end in row["interval"])
        measured = f"{100 * row['accuracy']:.2f} % ({low:.2f} – {high:.2f})"
        found.append((f"{row['model']}, MNIST, linear probe of 64 numbers, {row['steps']:,} steps", measured))
    return found
