"""Poem VAE on couplets: the published recipe, why it collapses, and one that does not.

It is the mean over positions: a code made of it cannot say where a character stands, and a warm-up does not
help. A reader that keeps the places is not collapsed by the same weight 1; free bits let it say more.
"""

from typing import Any

import torch
from common import cpu_seconds, record, trained

from reparam.data import Data
from reparam.data import load as load_data
from reparam.data.text import SPECIALS, UNKNOWN
from reparam.metrics.active_units import active_units
from reparam.metrics.copied import copied
from reparam.metrics.distinct import distinct
from reparam.metrics.measure import Measure
from reparam.metrics.token_accuracy import token_accuracy
from reparam.system import System

STEPS, N = 6_000, 2_000
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "published": ("poem-vae", {}),
    "published, warm-up": ("poem-vae", {"warm_up": 2_500}),
    "placed": ("poem-vae", {"reader": "placed"}),
    "pooled, free bits": ("poem-free-bits", {"reader": "pooled", "nats": 0.3}),
    "autoencoder": ("poem-vae", {"reader": "placed", "beta": 0.0}),
    "free bits": ("poem-free-bits", {"nats": 0.3}),
}


def figure() -> None:
    """Trains, measures and records."""
    data = load_data("couplets5", vocabulary_size=3_000)
    test = data.batch(data.test, torch.arange(N))["x"]
    counts = data.train.x.flatten().bincount()
    counts[: len(SPECIALS)] = 0
    common = counts.argmax()
    lines = data.text(test)
    rows = [measured(label, data, test) for label in MODELS]
    record(
        "poem-vae",
        {
            "target": "without collapse: KL > 10 nats; token accuracy ≥ 2 × the commonest character's, "
            "beside an autoencoder's",
            "data": f"couplets5 split by poem, {data.train.n:,} to train on, 3,000 characters",
            "n": N,
            "split": "test",
            "steps": STEPS,
            "commonest": {
                "token": (data.vocabulary or ())[int(common)],
                "accuracy": float((test == common).double().mean()),
            },
            "unknown": float((test == UNKNOWN).double().mean()),
            "no_code": no_code(data, test),
            "held_out": {
                "distinct_2": interval(distinct([list(line) for line in lines[:1000]], n=2)),
                "copied": interval(copied(whole(lines)[:1000], data.text(data.train.x))["copied"]),
            },
            "rows": rows,
        },
    )


def measured(label: str, data: Data, x: torch.Tensor) -> dict[str, Any]:
    """What one model does on held-out lines, and what it writes."""
    name, settings = MODELS[label]
    run = f"poem-{label.replace(', ', '-').replace(' ', '-')}"
    system: System = trained(run, name, data, steps=STEPS, **settings)
    model: Any = system.model
    with torch.inference_mode():
        q = model.encoder(x)
        elbo = torch.stack([system.score(x, seed) for seed in range(10)]).mean(0)
        rate = q.kl()
        logits = model.decoder(
            torch.randn(N, model.latent, generator=torch.Generator().manual_seed(0))
        ).logits
    made = data.text(system.sample(1000))
    kept = whole(made)
    return {
        "model": label,
        "settings": {"system": name, **settings},
        "negative_elbo": -elbo.mean().item(),
        "rate": rate.mean().item(),
        "active_units": active_units(q.mean).value,
        "token_accuracy": interval(token_accuracy(system.reconstruct(x), x, padding=0)),
        "distinct_2": interval(distinct([list(line) for line in made], n=2)),
        "whole": len(kept) / len(made),
        "copied": interval(copied(kept, data.text(data.train.x))["copied"]) if kept else None,
        "characters_per_place": float(logits.softmax(2).square().sum(2).reciprocal().mean()),
        "samples": made[:16],
        "reconstructions": [
            list(p) for p in zip(data.text(x[:6]), data.text(system.reconstruct(x[:6])), strict=True)
        ],
        "interpolation": data.text(system.interpolate(x[:1], x[1:2], 8)[0]),
        "cpu_minutes": cpu_seconds(run) / 60,
    }


def whole(lines: list[str]) -> list[str]:
    """The lines without an unknown: two of these need not be one character."""
    return [line for line in lines if "□" not in line]


def no_code(data: Data, x: torch.Tensor) -> float:
    """Nats of a line where each place has its characters' shares in the training data, and no code."""
    size = len(data.vocabulary or ())
    shares = [(column.bincount(minlength=size) + 1.0).log() for column in data.train.x.long().T]
    law = torch.stack(shares).log_softmax(1)
    return -law[torch.arange(x.shape[1]), x].sum(1).mean().item()


def interval(measure: Measure) -> list[float | None]:
    """Value and interval."""
    return [measure.value, measure.low, measure.high]


def words(content: dict[str, Any]) -> list[tuple[str, str]]:
    """The rows of the README: what, and what was measured."""
    rows, free = [], content["no_code"]
    for row in content["rows"]:
        copies = f"{row['copied'][0]:.1%}" if row["copied"] else "not measured, no line being whole"
        measured = (
            f"KL {row['rate']:.2f} nats, {row['active_units']:.0f} active units, negative ELBO "
            f"{row['negative_elbo']:.2f} (without a code {free:.2f}); token accuracy "
            f"{row['token_accuracy'][0]:.1%} (the commonest character "
            f"{content['commonest']['accuracy']:.1%}, unknown {content['unknown']:.1%}); distinct-2 "
            f"{row['distinct_2'][0]:.2f} (held out {content['held_out']['distinct_2'][0]:.2f}); "
            f"whole lines {row['whole']:.0%}, of which copied {copies}"
        )
        rows.append((f"Poem VAE on couplets5, {row['model']}", measured))
    return rows


def page(content: dict[str, Any]) -> str:
    """docs/poems.md: what the models write, as it was written, good or bad."""
    parts = [
        "# Poems\n",
        f"What the poem VAEs write after {content['steps']:,} steps on {content['data']}. "
        "Nothing was chosen: the first 16 samples of seed 0. "
        "□ is a character that the vocabulary does not hold.\n",
    ]
    for row in content["rows"]:
        parts += [f"## {row['model']}\n", f"KL {row['rate']:.2f} nats.\n"]
        parts += ["Samples:\n", *(f"    {line}" for line in row["samples"]), ""]
        parts += ["Test lines and what comes back:\n"]
        parts += [*(f"    {line} → {again}" for line, again in row["reconstructions"]), ""]
        parts += ["From one test line to another:\n", *(f"    {line}" for line in row["interpolation"]), ""]
    return "\n".join(parts)
