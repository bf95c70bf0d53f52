"""Disentanglement where every factor is known, sprites and drawn heads: MIG and FactorVAE score of four
regularised VAEs and of a plain one."""

from typing import Any, NamedTuple

import torch
from common import RESULTS, cpu_seconds, record, trained

from reparam.data import Data
from reparam.data import load as load_data
from reparam.evaluate import examples
from reparam.metrics.factor_vae_score import factor_vae_score
from reparam.metrics.measure import Measure
from reparam.metrics.mig import mig
from reparam.report.pictures import interpolation, save
from reparam.system import System

SIDE, SEEDS, BATCH, PRECISION = 32, (0,), 64, "float32"
COMMON: dict[str, Any] = {"latent": 10, "network": "mlp", "width": 256, "lr": 1e-3}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "VAE": ("vae", {}),
    "β-VAE": ("vae", {"beta": 2.0}),
    "β-TC-VAE": ("beta-tc-vae", {"beta": 6.0}),
    "FactorVAE": ("factor-vae", {"gamma": 20.0}),
    "DIP-VAE II": ("dip-vae", {"off_diagonal": 5.0}),
}
PUBLISHED = (
    "as recalled, not looked up, from Locatello et al. 2019 (arXiv:1811.12359), dSprites whole, 64 × 64, "
    "300,000 steps, over methods and strengths: MIG about 0.05 – 0.35, FactorVAE score about 0.5 – 0.85"
)


class Task(NamedTuple):
    """Data whose factors are known, and what is particular to training on them."""

    data: Data
    steps: int
    settings: dict[str, Any]
    about: str


def dsprites() -> Task:
    """Sprites, of which some thousands of each factor's values are seen."""
    data = load_data("dsprites", size=SIDE, binarise="threshold")
    about = f"dSprites by formula, {data.train.n:,} random rows of 737,280, black and white; five factors"
    return Task(data, 8000, {}, about)


def avatars() -> Task:
    """Drawn heads, few, in colour; their attributes are exact."""
    data = load_data("avatars", size=SIDE)
    about = f"{data.name}, {data.train.n:,} heads in colour; seven attributes, {', '.join(data.attributes)}"
    return Task(data, 2000, {"likelihood": "gaussian", "std": 0.1}, about)


TASKS = {"dsprites": dsprites, "avatars": avatars}


def picture(task: str, label: str) -> str:
    """The name of a model's walks along its dimensions."""
    return f"disentanglement-{task}-{label.replace(' ', '-')}.png"


PICTURES = {
    system: [picture(task, label) for task in TASKS for label, (same, _) in MODELS.items() if same == system]
    for system, _ in MODELS.values()
}


def measured(system: System, data: Data, split: str) -> dict[str, Any]:
    """Of the posterior means of a whole split."""
    rows = getattr(data, split)
    x = examples(data, rows, rows.n)
    codes, known = system.encode(x), {name: values[split] for name, values in data.attributes.items()}
    return {
        "mig": _with_interval(mig(codes, known)),
        "factor_vae_score": _with_interval(factor_vae_score(codes, known)),
        "elbo": system.score(x).mean().item(),
        "n": len(x),
    }


def traversals(system: System, x: torch.Tensor, steps: int = 5) -> torch.Tensor:
    """Each dimension of one example's code from −2 to 2, the others held: (latent, steps, c, h, w)."""
    z = system.encode(x)
    d = z.shape[1]
    codes = z.repeat(d * steps, 1).view(d, steps, d)
    codes[torch.arange(d), :, torch.arange(d)] = torch.linspace(-2, 2, steps)
    return system.decode(codes.flatten(0, 1)).unflatten(0, (d, steps))


def figure() -> None:
    """Trains, measures and records."""
    tasks = {name: made() for name, made in TASKS.items()}
    rows: list[dict[str, Any]] = []
    for place, task in tasks.items():
        for seed in SEEDS:
            for label, (name, own) in MODELS.items():
                run, settings = f"{place}-{label.replace(' ', '-')}-{seed}", COMMON | task.settings | own
                options = {"batch_size": BATCH, "precision": PRECISION}
                system = trained(
                    run, name, task.data, steps=task.steps, seed=seed, options=options, **settings
                )
                if seed == SEEDS[0]:
                    shown = traversals(system, examples(task.data, task.data.validation, 1))
                    save(interpolation(shown, scale=1), RESULTS / picture(place, label))
                row = {"task": place, "model": label, "system": name, "seed": seed, "settings": settings}
                cost = {"cpu_minutes": cpu_seconds(run) / 60}
                rows.append({**row, **measured(system, task.data, "test"), **cost})
                print(rows[-1], flush=True)
    record(
        "disentanglement",
        {
            "target": "MIG and FactorVAE score beside the published ranges",
            "published": PUBLISHED,
            "tasks": {name: {"what": task.about, "steps": task.steps} for name, task in tasks.items()},
            "side": SIDE,
            "split": "test, posterior means",
            "batch_size": BATCH,
            "precision": PRECISION,
            "rows": rows,
        },
    )


def words(content: dict[str, Any]) -> list[tuple[str, str]]:
    """The rows of the README: what, and what was measured."""
    found = []
    for row in content["rows"]:
        (gap, *of_gap), (score, *of_score) = row["mig"], row["factor_vae_score"]
        found.append(
            (
                f"Disentanglement on {row['task']}, {row['model']} (`{row['system']}`)",
                f"MIG {gap:.2f} ({of_gap[0]:.2f} – {of_gap[1]:.2f}); FactorVAE score {score:.2f} "
                f"({of_score[0]:.2f} – {of_score[1]:.2f}); ELBO {row['elbo']:.1f}, n = {row['n']:,}",
            )
        )
    return found


def _with_interval(measure: Measure) -> list[float | None]:
    return [measure.value, measure.low, measure.high]
