"""IntroVAE and Soft-IntroVAE on avatars: 20,000 steps without NaN, and samples against the VAE's."""

from typing import Any

import torch
from common import RESULTS, cpu_seconds, record, recorded, trained

from reparam.data import Data
from reparam.data import load as load_data
from reparam.metrics.features import extractor
from reparam.metrics.frechet import frechet, frechet_floor
from reparam.metrics.kernel_distance import kernel_distance
from reparam.report.pictures import grid, pairs, save
from reparam.system import System

STEPS = 20_000
SIZE = 32  # pixels to a side: of 64 a CPU takes four times as long
NETWORKS: dict[str, Any] = {"network": "conv", "width": 128, "latent": 32}  # 16 channels
# The margin must lie above the rate of data, about 40 nats here.
SETTINGS: dict[str, dict[str, Any]] = {
    "vae": {},
    "intro-vae": {"margin": 60.0, "fidelity": 6.0},
    "soft-intro-vae": {"fidelity": 3.0},
}
OPTIONS = {"batch_size": 32, "average": 0.999, "precision": "bf16"}

PICTURES = {
    name: [f"avatars-small-{name}.png", f"avatars-small-{name}-reconstructions.png"]
    for name in ("intro-vae", "soft-intro-vae")
}


def figure() -> None:
    """Trains, measures and records; a row that was measured with the same settings is kept as it is."""
    data = load_data("avatars", size=SIZE)
    known = {row["model"]: row for row in recorded("intro-vae")["rows"]}
    test = data.batch(data.test, torch.arange(len(data.test.x)))["x"]
    extract = extractor("efficientnet-lite0")
    train_part = data.batch(data.train, torch.arange(2 * len(test)))["x"]
    true, floor = extract(test), frechet_floor(extract(train_part), len(test))
    rows = []
    for name, own in SETTINGS.items():
        settings = {"steps": STEPS, "size": SIZE, "networks": NETWORKS, "settings": own, **OPTIONS}
        row = known.get(name, {})
        if not settings.items() <= row.items():
            system = taught(name, data)
            samples, again = system.sample(len(test)), system.reconstruct(test)
            features = extract(samples)
            kernel = kernel_distance(features, true, of="efficientnet-lite0 features, test split")
            row = {
                "model": name,
                "n": len(test),
                "kernel_distance": kernel.value,
                "interval": [kernel.low, kernel.high],
                "reconstructions_kernel_distance": kernel_distance(extract(again), true).value,
                "frechet": frechet(features, true).value,
                "frechet_floor": floor.value,
                **settings,
                "cpu_minutes": cpu_seconds(f"avatars-small-{name}") / 60,
            }
            save(grid(samples[:48], 8), RESULTS / f"avatars-small-{name}.png")
            save(pairs(test[:16], again[:16]), RESULTS / f"avatars-small-{name}-reconstructions.png")
        rows.append(row)
        print(row, flush=True)
    target = "no NaN in 20,000 steps; kernel distance below the VAE's"
    record("intro-vae", {"target": target, "data": data.name, "rows": rows})


def taught(name: str, data: Data) -> System:
    """A system, trained or taken up where it was left."""
    settings = {**NETWORKS, **SETTINGS[name]}
    return trained(f"avatars-small-{name}", name, data, steps=STEPS, options=OPTIONS, **settings)


def words(content: dict[str, Any]) -> list[tuple[str, str]]:
    """The rows of the README: what, and what was measured."""
    found = []
    for row in content["rows"]:
        low, high = row["interval"]
        found.append(
            (
                f"{row['model']} on avatars, {row['size']} px, 16 channels, {row['steps']:,} steps",
                f"kernel distance {row['kernel_distance']:.3f} ({low:.3f} – {high:.3f}); "
                f"Fréchet {row['frechet']:.1f} (floor {row['frechet_floor']:.1f})",
            )
        )
    return found
