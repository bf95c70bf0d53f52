"""VQ-VAE on avatars: entries used in an epoch; samples of learned priors against uniform codes'."""

import math
from typing import Any

import torch
from common import RESULTS, RUNS, cpu_seconds, record, trained

from reparam.data import load as load_data
from reparam.metrics.features import extractor
from reparam.metrics.kernel_distance import kernel_distance
from reparam.metrics.likelihood import bits_per_dim
from reparam.report.pictures import grid, pairs, save
from reparam.system import System

VQ_STEPS, PRIOR_STEPS = 2000, {"pixelcnn": 1000, "transformer": 1000}

PICTURES = {
    "vqvae": ["avatars-vqvae.png", "avatars-vqvae-reconstructions.png"],
    "vq-prior": ["avatars-pixelcnn.png", "avatars-transformer.png"],
}


def figure() -> None:
    """Trains, measures and records."""
    data = load_data("avatars")
    extract = extractor("efficientnet-lite0")
    test = data.batch(data.test, torch.arange(len(data.test.x)))["x"]
    train_part = data.batch(data.train, torch.arange(len(data.train.x)))["x"]
    true, rows = extract(test), []

    def measured(system: System, run: str, samples: torch.Tensor, steps: int) -> dict[str, Any]:
        made = {"reconstructions": system.reconstruct(test), "samples": samples}
        found: dict[str, Any] = {"model": system.name, "steps": steps, "cpu_minutes": cpu_seconds(run) / 60}
        nats = -system.score(test).mean().item()
        found |= {"negative_elbo": nats, "bits_per_dim": bits_per_dim(nats, math.prod(data.shape))}
        for what, pictures in made.items():
            kernel = kernel_distance(extract(pictures), true, of="efficientnet-lite0 features, test split")
            found[what] = {"kernel_distance": kernel.value, "interval": [kernel.low, kernel.high]}
        save(grid(samples[:48], 8), RESULTS / f"{run}.png")
        print(found, flush=True)
        return found

    # The discretised logistic law is one over grey levels, of which bits per dimension can be stated.
    shared: dict[str, Any] = {"width": 64, "likelihood": "discretised-logistic"}
    for name, steps in (("vqvae", VQ_STEPS), ("vqvae-ema", VQ_STEPS)):
        run = f"avatars-{name}"
        system = trained(run, name, data, steps=steps, **shared)
        model: Any = system.model
        with torch.inference_mode():
            codes = torch.cat([model.indices(part) for part in train_part.split(250)])
        share = codes.flatten().bincount(minlength=model.size) / codes.numel()
        row = measured(system, run, system.sample(len(test)), steps)
        used = {"entries": model.size, "used": int((share > 0).sum()), "positions": codes.shape[1]}
        perplexity = float(torch.exp(torch.special.entr(share).sum()))
        rows.append({**row, **used, "perplexity": perplexity, "codes": "uniform"})
        save(pairs(test[:16], system.reconstruct(test[:16])), RESULTS / f"{run}-reconstructions.png")
    for network, steps in PRIOR_STEPS.items():
        run = f"avatars-{network}"
        settings: dict[str, Any] = {"stage1": RUNS / "avatars-vqvae", "network": network, "width": 64}
        system = trained(run, "vq-prior", data, steps=steps, **settings)
        rows.append({**measured(system, run, system.sample(len(test)), steps), "codes": network})
    record(
        "vqvae",
        {
            "target": "≥ 90 % of 512 entries used in an epoch; kernel distance below uniform codes'",
            "data": data.name,
            "n": len(test),
            "rows": rows,
        },
    )


def words(content: dict[str, Any]) -> list[tuple[str, str]]:
    """The rows of the README: what, and what was measured."""
    found = []
    for row in content["rows"]:
        low, high = row["samples"]["interval"]
        made = row["reconstructions"]["kernel_distance"]
        used = f"{row['used']} of {row['entries']} entries used; " if "used" in row else ""
        found.append(
            (
                f"{row['model']} on avatars, {row['codes']} codes",
                f"{used}samples' kernel distance {row['samples']['kernel_distance']:.3f} "
                f"({low:.3f} – {high:.3f}), reconstructions' {made:.3f}; "
                f"{row['bits_per_dim']:.2f} bits/dim with the codes' cost",
            )
        )
    return found
