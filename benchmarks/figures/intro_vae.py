"""IntroVAE and Soft-IntroVAE on avatars: 20,000 steps without NaN, and samples against the VAE's."""

from typing import Any

import torch
from common import RESULTS, cpu_seconds, record, recorded, trained

from reparam.data import load as load_data
from reparam.metrics.features import extractor
from reparam.metrics.frechet import frechet, frechet_floor
from reparam.metrics.kernel_distance import kernel_distance
from reparam.report.pictures import grid, pairs, save

STEPS = 20_000
NETWORKS: dict[str, Any] = {"network": "conv", "width": 64, "latent": 32}  # 8 channels: small, for a CPU
# The margin must lie above the rate of data, about 30 nats here.
SETTINGS: dict[str, dict[str, Any]] = {"vae": {}, "intro-vae": {"margin": 60.0}, "soft-intro-vae": {}}
PRECISION = {"soft-intro-vae": "bf16"}


def figure() -> None:
    """Trains, measures and records; a row that was measured with the same settings is kept as it is."""
    data, known = load_data("avatars"), {row["model"]: row for row in recorded("intro-vae")["rows"]}
    extract = extractor("efficientnet-lite0")
    test = data.batch(data.test, torch.arange(len(data.test.x)))["x"]
    train_part = data.batch(data.train, torch.arange(2 * len(test)))["x"]
    true, floor = extract(test), frechet_floor(extract(train_part), len(test))
    rows = []
    for name, own in SETTINGS.items():
        precision = PRECISION.get(name, "float32")
        row = known.get(name, {})
        if (row.get("settings"), row.get("precision"), row.get("steps")) == (own, precision, STEPS):
            rows.append(row)
            continue
        run = f"avatars-small-{name}"
        options = {"batch_size": 32, "average": 0.999, "precision": precision}
        system = trained(run, name, data, steps=STEPS, options=options, **NETWORKS, **own)
        samples = system.sample(len(test))
        features = extract(samples)
        kernel = kernel_distance(features, true, of="efficientnet-lite0 features, test split")
        made = kernel_distance(extract(system.reconstruct(test)), true)
        row = {
            "model": name,
            "n": len(test),
            "kernel_distance": kernel.value,
            "interval": [kernel.low, kernel.high],
            "reconstructions_kernel_distance": made.value,
            "frechet": frechet(features, true).value,
            "frechet_floor": floor.value,
            "steps": STEPS,
            "settings": own,
            "precision": precision,
            "cpu_minutes": cpu_seconds(run) / 60,
        }
        rows.append(row)
        print(row, flush=True)
        save(grid(samples[:48], 8), RESULTS / f"{run}.png")
        save(pairs(test[:16], system.reconstruct(test[:16])), RESULTS / f"{run}-reconstructions.png")
        target = "no NaN in 20,000 steps; kernel distance below the VAE's"
        record("intro-vae", {"target": target, "data": data.name, "networks": NETWORKS, "rows": rows})


def words(content: dict[str, Any]) -> list[tuple[str, str]]:
    """The rows of the README: what, and what was measured."""
    found = []
    for row in content["rows"]:
        low, high = row["interval"]
        found.append(
            (
                f"{row['model']} on avatars, 8 channels, {row['steps']:,} steps",
                f"kernel distance {row['kernel_distance']:.3f} ({low:.3f} – {high:.3f}); "
                f"Fréchet {row['frechet']:.1f} (floor {row['frechet_floor']:.1f})",
            )
        )
    return found
