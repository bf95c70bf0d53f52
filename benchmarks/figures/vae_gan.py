"""VAE-GAN against VAE on avatars: the same encoder and decoder, about the same CPU time, test split."""

import math
from typing import Any

import torch
from common import RESULTS, cpu_seconds, record, trained

from reparam.data import load as load_data
from reparam.metrics.features import extractor
from reparam.metrics.frechet import frechet, frechet_floor
from reparam.metrics.kernel_distance import kernel_distance
from reparam.metrics.sharpness import sharpness
from reparam.nets import choose
from reparam.nets.batch_norm import BatchNorm
from reparam.nets.heads import Image, LearnedGaussianNoise
from reparam.noise import Streams
from reparam.report.pictures import grid, pairs, save

PICTURES = {
    name: [f"avatars-{name}.png", f"avatars-{name}-reconstructions.png"] for name in ("vae", "vae-gan")
}


def figure() -> None:
    """Trains, measures and records."""
    data = load_data("avatars")
    extract = extractor("efficientnet-lite0")
    test = data.batch(data.test, torch.arange(len(data.test.x)))["x"]
    train_part = data.batch(data.train, torch.arange(2 * len(test)))["x"]
    n, true = len(test), extract(test)
    floor = frechet_floor(extract(train_part), n)
    rows = []
    # A step of the VAE/GAN costs about two and a half of the VAE's.
    for name, steps, head in (("vae", 6000, LearnedGaussianNoise), ("vae-gan", 2500, Image)):
        run = f"avatars-{name}"
        with Streams(0).ambient("weights"):
            encoder = choose.encoder(data.shape, 32, "conv", 128)
            generator = choose.generator(32, data.shape, "conv", 128, norm=BatchNorm)
        settings: dict[str, Any] = {
            "latent": 32,
            "encoder": encoder,
            "decoder": torch.nn.Sequential(generator, head()),
        }
        system = trained(run, name, data, steps=steps, options={"batch_size": 32}, **settings)
        samples = system.sample(n)
        features = extract(samples)
        sharp = sharpness(samples, test)
        kernel = kernel_distance(features, true, of="efficientnet-lite0 features, test split")
        row = {
            "model": name,
            "n": n,
            "sharpness": sharp.value,
            "sharpness_interval": [sharp.low, sharp.high],
            "log_ratio": abs(math.log(sharp.value)),
            "kernel_distance": kernel.value,
            "kernel_distance_interval": [kernel.low, kernel.high],
            "frechet": frechet(features, true).value,
            "frechet_floor": floor.value,
            "frechet_floor_of": floor.how,
            "steps": steps,
            "cpu_minutes": cpu_seconds(run) / 60,
        }
        rows.append(row)
        print(row, flush=True)
        save(grid(samples[:48], 8), RESULTS / f"{run}.png")
        save(pairs(test[:16], system.reconstruct(test[:16])), RESULTS / f"{run}-reconstructions.png")
    target = "VAE-GAN's |log sharpness ratio| and kernel distance below the VAE's, intervals apart"
    record("vae-gan", {"target": target, "data": "avatars:adventurer", "rows": rows})


def words(content: dict[str, Any]) -> list[tuple[str, str]]:
    """The rows of the README: what, and what was measured."""
    found = []
    for row in content["rows"]:
        low, high = row["kernel_distance_interval"]
        found.append(
            (
                f"{row['model']} on avatars",
                f"sharpness {row['sharpness']:.2f} of the data's; "
                f"kernel distance {row['kernel_distance']:.3f} ({low:.3f} – {high:.3f}); "
                f"Fréchet {row['frechet']:.1f} (floor {row['frechet_floor']:.1f})",
            )
        )
    return found
