"""Mult-VAE on movielens100k, users held out: 5 splits × 5 seeds, paired with a plain loop; beside EASE.

RecBole's MultiVAE is judged beside them where `make benchmark-multivae` has trained it on the same splits:
`python benchmarks/figures/mult_vae.py splits` writes them for it. `… choose` prints validation figures.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import RUNS, record
from torch import Tensor

import reparam
from reparam.data import Bags, Data
from reparam.data import load as load_data
from reparam.engine import Engine
from reparam.metrics import bootstrap
from reparam.metrics.ranking import ranking
from reparam.models import ease
from reparam.noise import Streams
from reparam.trainer import Trainer

sys.path.insert(0, str(Path(__file__).parents[1]))
from plain_mult_vae import train as by_hand

SPLITS, SEEDS, CHOOSING = 5, 5, 99
# Chosen on the validation users of a sixth split, for both alike; the rest is the paper's.
STEPS, BATCH, CAP, ANNEAL, PENALTY = 300, 100, 0.2, 300, 300.0
RECBOLE = RUNS / "multivae"  # of whose epochs the same is true
MEASURES = ("ndcg@100", "recall@20", "recall@50")


def measured(scores: Tensor, data: Data, split: str = "test") -> dict[str, float]:
    """The three measures of scores (users, items)."""
    part = getattr(data, split)
    held_out, shown = ((b.offsets.numpy(), b.items.numpy()) for b in (part.held_out, part.x))
    found = ranking(scores, held_out, shown)
    return {key: found[key].value for key in MEASURES}


def ours(data: Data, seed: int, steps: int, anneal: int) -> Any:
    """The recipe, trained."""
    system = reparam.build("mult-vae", data, seed=seed, beta=CAP, anneal=anneal)
    engine, rules = Engine(torch.device("cpu")), system.recipe.optimisers
    trainer = Trainer(system.model, data, rules, batch_size=BATCH, streams=Streams(seed), engine=engine)
    system.model.train()
    for _ in range(steps):
        trainer.take_step()
    return system.model.eval()


def plain(data: Data, seed: int, steps: int, anneal: int) -> Any:
    """The plain loop, trained on the same rows."""
    x: Any = data.train.x
    model = by_hand(x.dense(), steps=steps, batch=BATCH, cap=CAP, anneal=anneal, seed=seed)
    return lambda bags: model(bags.dense())[0]


@torch.inference_mode()
def pair(
    data: Data, seed: int, split: str = "test", steps: int = STEPS, anneal: int = ANNEAL
) -> dict[str, dict[str, float]]:
    """Both, of one seed, on one split."""
    shown: Bags = getattr(data, split).x
    with torch.inference_mode(False):
        own, other = ours(data, seed, steps, anneal), plain(data, seed, steps, anneal)
    return {
        "ours": measured(own.rank(shown), data, split),
        "by hand": measured(other(shown), data, split),
    }


def kept(data: Data, split: int, seed: int) -> dict[str, dict[str, float]]:
    """The pair on test users, once: a figure that was stopped goes on from those that it has."""
    path = RUNS / "mult-vae" / f"{split}-{seed}-{STEPS}-{ANNEAL}.json"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(pair(data, seed)))
    return json.loads(path.read_text())


def splits() -> None:
    """What RecBole is trained on and shown: boolean matrices (users, items), a file a split."""
    RECBOLE.mkdir(parents=True, exist_ok=True)
    for split in (*range(SPLITS), CHOOSING):
        data = load_data("movielens100k", seed=split)
        parts: dict[str, Any] = {name: getattr(data, name).x for name in ("train", "validation", "test")}
        dense = {name: bags.dense().bool().numpy() for name, bags in parts.items()}
        np.savez_compressed(RECBOLE / f"split-{split}.npz", **dense)


def recbole(data: Data, split: int, seed: int, part: str = "test") -> dict[str, float] | None:
    """RecBole's, of its scores; None where it was not trained."""
    path = RECBOLE / f"scores-{split}-{seed}.npz"
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as file:
        return measured(torch.from_numpy(file[part]), data, part)


def figure() -> None:
    """Trains, measures on test users once, and records."""
    rows: list[dict[str, Any]] = []
    for split in range(SPLITS):
        data = load_data("movielens100k", seed=split)
        x: Any = data.train.x
        baseline = measured(ease.fit(x, PENALTY).rank(data.test.x).detach(), data)  # pyright: ignore[reportArgumentType]
        for seed in range(SEEDS):
            row = {"split": split, "seed": seed, **kept(data, split, seed), "EASE": baseline}
            rows.append(row | {"RecBole": found} if (found := recbole(data, split, seed)) else row)
            print(rows[-1], flush=True)
    record(
        "mult-vae",
        {
            "target": "mean paired difference to a plain re-implementation within ± 0.01",
            "protocol": f"users held out, {SPLITS} splits × {SEEDS} seeds, 4 stars, a fifth held out",
            "settings": {"steps": STEPS, "batch": BATCH, "cap": CAP, "anneal": ANNEAL, "penalty": PENALTY},
            "summary": {key: summary(rows, key) for key in MEASURES},
            "rows": rows,
        },
    )


def summary(rows: list[dict[str, Any]], key: str) -> dict[str, Any]:
    """Means of a measure over splits and seeds, and of the paired differences between ours and the others."""
    whose = [who for who in ("ours", "by hand", "RecBole", "EASE") if all(who in row for row in rows)]
    table = {who: np.array([row[who][key] for row in rows]).reshape(SPLITS, SEEDS) for who in whose}
    differences = {}
    for who in whose[1:]:
        # Runs on one split share its users: splits are resampled, not runs.
        found = (table["ours"] - table[who]).mean(1)
        differences[who] = [float(found.mean()), *bootstrap.interval(bootstrap.mean, found)]
    return {
        "means": {who: float(each.mean()) for who, each in table.items()},
        "over_seeds": {who: float(each.std(1, ddof=1).mean()) for who, each in table.items()},
        "ours_less": differences,
    }


def words(content: dict[str, Any]) -> list[tuple[str, str]]:
    """The row of the README: what, and what was measured."""
    found = []
    for key, value in content["summary"].items():
        others = (
            f"{who} {value['means'][who]:.3f} (ours less this {mean:+.4f}, {low:+.4f} – {high:+.4f})"
            for who, (mean, low, high) in value["ours_less"].items()
        )
        found.append(f"{key} {value['means']['ours']:.3f}, {', '.join(others)}")
    return [("Mult-VAE on movielens100k, users held out, 5 splits × 5 seeds", "; ".join(found))]


def choose() -> None:
    """Validation users of a split that no figure uses: what the constants above were chosen by."""
    data = load_data("movielens100k", seed=CHOOSING)
    print("RecBole", recbole(data, CHOOSING, 0, "validation"))
    for steps, anneal in ((150, 150), (300, 300), (600, 600), (600, 300)):
        print(steps, anneal, pair(data, 0, "validation", steps, anneal), flush=True)


if __name__ == "__main__":
    {"choose": choose, "splits": splits}[sys.argv[1]]()
