"""Lines: walks between codes of test pictures, for the AE, the VAE and ACAI of the same networks."""

from typing import Any

import torch
from common import RESULTS, cpu_seconds, record, trained

from reparam.data import load as load_data
from reparam.metrics.interpolation import on_lines
from reparam.nets.heads import Cut, GaussianCode, Given, LearnedGaussianNoise
from reparam.nets.pooled import PooledBody, PooledGenerator
from reparam.noise import Streams
from reparam.report.pictures import interpolation, save

LINES_STEPS = 3000

PICTURES = {name: [f"lines-{name}.png"] for name in ("autoencoder", "vae", "acai")}


def figure() -> None:
    """Trains, measures and records."""
    data = load_data("lines")
    x = data.batch(data.test, torch.arange(400))["x"]
    rows = []
    for name in ("autoencoder", "vae", "acai"):
        run = f"lines-{name}"
        with Streams(0).ambient("weights"):
            body = PooledBody(data.shape, 8, 4)
            decoder = torch.nn.Sequential(PooledGenerator(data.shape, 8, 4), Cut())
        settings: dict[str, Any] = {"latent": 64, "decoder": decoder}
        match name:
            case "vae":
                settings["decoder"] = torch.nn.Sequential(decoder, LearnedGaussianNoise(False))
                settings["encoder"] = torch.nn.Sequential(body, GaussianCode(body.features, 64))
            case "acai":
                settings |= {"encoder": torch.nn.Sequential(body, Given()), "width": 64}
            case _:
                settings["encoder"] = torch.nn.Sequential(body, Given())
        system = trained(run, name, data, steps=LINES_STEPS, options={"batch_size": 64}, **settings)
        walks = system.interpolate(x[:200], x[200:], 16)
        row: dict[str, Any] = {"model": name, "steps": LINES_STEPS, "cpu_minutes": cpu_seconds(run) / 60}
        for key, measure in on_lines(walks).items():
            row[key] = {"value": measure.value, "interval": [measure.low, measure.high]}
        rows.append(row)
        print(row, flush=True)
        save(interpolation(walks[:8]), RESULTS / f"{run}.png")
    target = "mean distance and smoothness: ACAI < VAE < AE at equal steps"
    record("lines", {"target": target, "n": 200, "latent": 64, "rows": rows})


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
