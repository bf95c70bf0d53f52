"""Lines: walks between codes of test pictures, for the AE, the VAE and ACAI of the same networks."""

from typing import Any

import torch
from common import RESULTS, cpu_seconds, record, trained
from torch import Tensor

from reparam.data import Data
from reparam.data import load as load_data
from reparam.metrics.interpolation import on_lines
from reparam.nets.heads import Averaged, Cut, GaussianCode, Given, LearnedGaussianNoise
from reparam.nets.pooled import PooledBody, PooledGenerator
from reparam.noise import Streams
from reparam.report.pictures import interpolation, save
from reparam.system import System

STEPS = 12_000
# Averaged weights take away the grain that a critic's rate leaves on black; a cosine distance sees it.
OPTIONS = {"batch_size": 32, "precision": "bf16", "average": 0.999}
N = 200  # walks
MODELS = ("autoencoder", "vae", "acai")

PICTURES = {name: [f"lines-{name}.png"] for name in MODELS}


def figure() -> None:
    """Trains, measures and records."""
    data = load_data("lines")
    x = data.batch(data.test, torch.arange(2 * N))["x"]
    rows = []
    for name in MODELS:
        system = taught(name, data)
        walks, measures = walked(system, x)
        row = {"model": name, "steps": STEPS, "cpu_minutes": cpu_seconds(f"lines-{name}") / 60, **measures}
        rows.append(row)
        print(row, flush=True)
        save(interpolation(walks[:8]), RESULTS / f"lines-{name}.png")
    target = "mean distance and smoothness: ACAI < VAE < AE at equal steps"
    record("lines", {"target": target, "n": N, "latent": 64, **OPTIONS, "rows": rows})


def taught(name: str, data: Data) -> System:
    """A system of the same encoder and decoder as the others, trained or taken up where it was left."""
    with Streams(0).ambient("weights"):
        body = PooledBody(data.shape, 8, 4)
        decoder = torch.nn.Sequential(PooledGenerator(data.shape, 8, 4), Cut())
        critic = Averaged(PooledBody(data.shape, 8, 4))
    settings: dict[str, Any] = {"latent": 64, "decoder": decoder}
    match name:
        case "vae":
            settings["decoder"] = torch.nn.Sequential(decoder, LearnedGaussianNoise(False))
            settings["encoder"] = torch.nn.Sequential(body, GaussianCode(body.features, 64))
        case "acai":
            settings |= {"encoder": torch.nn.Sequential(body, Given()), "critic": critic}
        case _:
            settings["encoder"] = torch.nn.Sequential(body, Given())
    for network in (body, decoder, critic):
        network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]  # twice as fast
    return trained(f"lines-{name}", name, data, steps=STEPS, options=OPTIONS, **settings)


def walked(system: System, x: Tensor) -> tuple[Tensor, dict[str, Any]]:
    """Walks from each of the first N pictures to one of the next N, and their measures."""
    walks = system.interpolate(x[:N], x[N:], 16)
    found = {key: {"value": m.value, "interval": [m.low, m.high]} for key, m in on_lines(walks).items()}
    return walks, found


def words(content: dict[str, Any]) -> list[tuple[str, str]]:
    """The rows of the README: what, and what was measured."""
    found = []
    for row in content["rows"]:
        words = []
        for key in ("distance", "smoothness"):
            low, high = row[key]["interval"]
            words.append(f"{key} {row[key]['value']:.4f} ({low:.4f} – {high:.4f})")
        found.append((f"Walks between lines, {row['model']}", "; ".join(words)))
    return found
