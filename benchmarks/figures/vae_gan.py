"""VAE-GAN against VAE on avatars: the same encoder, decoder and number of steps, test split."""

import math
from typing import Any

import torch
from common import RESULTS, cpu_seconds, record, trained
from torch import nn

from reparam.data import load as load_data
from reparam.metrics.features import extractor
from reparam.metrics.frechet import frechet, frechet_floor
from reparam.metrics.kernel_distance import kernel_distance
from reparam.metrics.sharpness import sharpness
from reparam.nets import choose
from reparam.nets.batch_norm import BatchNorm
from reparam.nets.conv import ConvBody, ConvGenerator
from reparam.nets.heads import Image, Judge, LearnedGaussianNoise
from reparam.noise import Shape, Streams
from reparam.report.pictures import grid, pairs, save

PICTURES = {
    name: [f"avatars-{name}.png", f"avatars-{name}-reconstructions.png"] for name in ("vae", "vae-gan")
}


LATENT, BASE = 32, 16
STEPS = 9_000
OPTIONS = {"batch_size": 32, "average": 0.999, "precision": "bf16"}


def networks(name: str, shape: Shape) -> dict[str, nn.Module]:
    """The same encoder and decoder for both; likeness in maps of 8 × 8, as in the authors' code.

    A last convolution at full size takes away the pattern that transposed ones leave on plain grounds.
    """
    with Streams(0).ambient("weights"):
        encoder = choose.encoder(shape, LATENT, "conv", 8 * BASE)
        maps = (BASE, *shape[1:])
        decoder = nn.Sequential(
            ConvGenerator(LATENT, maps, BASE, BatchNorm),
            BatchNorm(BASE),
            nn.ReLU(),
            nn.Conv2d(BASE, shape[0], 3, padding=1),
        )
        body = ConvBody(shape, BASE, norm=BatchNorm, slope=0.2, raw=True, coarsest=8)
        judge = Judge(body, body.features)
    if name == "vae":
        return {"encoder": encoder, "decoder": nn.Sequential(decoder, LearnedGaussianNoise())}
    return {"encoder": encoder, "decoder": nn.Sequential(decoder, Image()), "discriminator": judge}


def figure() -> None:
    """Trains, measures and records."""
    data = load_data("avatars")
    extract = extractor("efficientnet-lite0")
    test = data.batch(data.test, torch.arange(len(data.test.x)))["x"]
    train_part = data.batch(data.train, torch.arange(2 * len(test)))["x"]
    n, true = len(test), extract(test)
    floor = frechet_floor(extract(train_part), n)
    rows = []
    for name in PICTURES:
        run = f"avatars-{name}"
        settings = {"latent": LATENT, "decay_steps": STEPS, **networks(name, data.shape)}
        system = trained(run, name, data, steps=STEPS, options=OPTIONS, **settings)
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
            "steps": STEPS,
            "cpu_minutes": cpu_seconds(run) / 60,
        }
        rows.append(row)
        print(row, flush=True)
        save(grid(samples[:48], 8), RESULTS / f"{run}.png")
        save(pairs(test[:16], system.reconstruct(test[:16])), RESULTS / f"{run}-reconstructions.png")
    target = "VAE-GAN's |log sharpness ratio| and kernel distance below the VAE's, intervals apart"
    record(
        "vae-gan", {"target": target, "data": "avatars:adventurer", "latent": LATENT, **OPTIONS, "rows": rows}
    )


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
