"""25 Gaussians: modes covered and samples of high quality, of 10,000 samples; 5 seeds."""

from typing import Any

import torch
from common import RESULTS, cpu_seconds, record, trained

from reparam.data import load as load_data
from reparam.metrics.modes import modes
from reparam.report.pictures import save, scatter

PICTURES = {name: [f"25gaussians-{name}-0.png"] for name in ("gan", "wgan-gp")}


def figure() -> None:
    """Trains, measures and records."""
    common = {"steps": 20_000, "latent": 2, "width": 128, "lr": 1e-3}
    plans: dict[str, dict[str, Any]] = {
        # Gulrajani et al. weigh the penalty by 0.1 on their toys too: at 10 the critic is too smooth.
        "wgan-gp": {**common, "penalty": 0.1},
        "gan": {**common, "generator_lr": 1e-3},
    }
    on_gaussians("gaussians", "WGAN-GP: 25 of 25 modes, ≥ 80 % of high quality", plans, seeds=5)


def on_gaussians(figure: str, target: str, plans: dict[str, dict[str, Any]], *, seeds: int) -> None:
    data = load_data("25gaussians")
    centres = [[x, y] for x in (-4, -2, 0, 2, 4) for y in (-4, -2, 0, 2, 4)]
    rows = []
    for name, plan in plans.items():
        for seed in range(seeds):
            run = f"25gaussians-{name}-{seed}"
            system = trained(
                run, name, data, seed=seed, options={"batch_size": 128, "average": 0.999}, **plan
            )
            samples = system.sample(10_000, seed=seed)
            measured = modes(samples, torch.tensor(centres, dtype=torch.float32))
            if seed < 5:
                save(scatter(samples[:4000]), RESULTS / f"25gaussians-{name}-{seed}.png")
            row = {
                "model": name,
                "seed": seed,
                "modes": measured["modes"].value,
                "quality": measured["quality"].value,
            }
            rows.append({**row, "cpu_minutes": cpu_seconds(run) / 60, "steps": plan["steps"]})
            # Written after every seed: a long figure that is cut short says how far it came.
            record(figure, {"target": target, "rows": rows})


def words(content: dict[str, Any]) -> list[tuple[str, str]]:
    """The rows of the README: what, and what was measured."""
    found = []
    for model in dict.fromkeys(row["model"] for row in content["rows"]):
        rows = [row for row in content["rows"] if row["model"] == model]
        modes = ", ".join(f"{row['modes']:.0f}" for row in rows)
        quality = ", ".join(f"{100 * row['quality']:.0f} %" for row in rows)
        found.append(
            (f"25 Gaussians, {model}, {len(rows)} seeds", f"modes {modes}; of high quality {quality}")
        )
    return found
