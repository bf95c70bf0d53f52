"""Sentence VAE on verses: perplexity beside the same decoder without a code, and how much the code says."""

from typing import Any

import torch
from common import cpu_seconds, record, trained
from poem_vae import interval
from torch import Tensor, nn

from reparam.data import Data
from reparam.data import load as load_data
from reparam.data.text import PAD
from reparam.distributions import Gaussian, Tokens
from reparam.metrics.active_units import active_units
from reparam.metrics.aggregate_posterior import aggregate_posterior
from reparam.metrics.copied import copied
from reparam.metrics.distinct import distinct
from reparam.metrics.likelihood import importance_weighted, standard_normal
from reparam.metrics.perplexity import perplexity
from reparam.nets.text import RecurrentWriter

STEPS, N, DRAWS, LATENT, WIDTH = 5_000, 500, 100, 32, 128
MODELS: dict[str, dict[str, Any]] = {
    "no code": {"warm_up": 0, "word_dropout": 0.0},
    "plain": {"warm_up": 0, "word_dropout": 0.0},
    "warm-up, word dropout": {"warm_up": 2_000, "word_dropout": 0.3},
    "free bits, warm-up": {"warm_up": 2_000, "word_dropout": 0.0, "nats": 0.15},
}


class NoCode(nn.Module):
    """Every sentence has the prior's law: (n, L) → N(0, I) over (n, latent)."""

    def forward(self, x: Tensor) -> Gaussian:
        zero = torch.zeros(len(x), LATENT, device=x.device)
        return Gaussian(zero, zero)


class Deaf(nn.Module):
    """The decoder, which is given a code of zeros whatever the code."""

    def __init__(self, decoder: nn.Module) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, z: Tensor, words: Tensor) -> Tokens:
        return self.decoder(torch.zeros_like(z), words)


def figure() -> None:
    """Trains, measures and records."""
    data = load_data("verses", length=25, lower=True, vocabulary_size=4_000)
    record(
        "sentence-vae",
        {
            "target": "perplexity beside the same decoder's without a code, KL > 3 nats and its information",
            "data": f"verses of at most 25 words, {data.train.n:,} to train on, 4,000 words, lower case",
            "n": N,
            "split": "test",
            "steps": STEPS,
            "importance_samples": DRAWS,
            "rows": [measured(label, data) for label in MODELS],
        },
    )


def measured(label: str, data: Data) -> dict[str, Any]:
    """What one model makes of held-out sentences, and what it writes."""
    settings = {"latent": LATENT, "width": WIDTH, **MODELS[label]}
    networks: dict[str, Any] = {}
    if label == "no code":
        with torch.random.fork_rng():
            torch.manual_seed(0)
            decoder = RecurrentWriter(LATENT, len(data.vocabulary or ()), WIDTH)
        networks = {"encoder": NoCode(), "decoder": Deaf(decoder)}
    run = f"verses-{label.replace(', ', '-').replace(' ', '-')}"
    system = trained(run, "sentence-vae", data, steps=STEPS, **settings, **networks)
    x = data.batch(data.test, torch.arange(N))["x"]
    model: Any = system.model
    with torch.inference_mode():
        bounds = torch.cat(
            [
                importance_weighted(
                    lambda part, eps: model.log_weights(part, eps=eps),
                    part,
                    standard_normal(LATENT),
                    draws=DRAWS,
                    chunk=10,
                    seed=i,
                )
                for i, part in enumerate(x.split(50))
            ]
        )
        q = model.encoder(x)
    said = aggregate_posterior(q.mean, q.log_std, of="the test split", seed=0)
    made = [line for line in data.text(system.sample(500)) if line]
    return {
        "model": label,
        "settings": settings,
        "perplexity": interval(perplexity(bounds, (x != PAD).sum(1) + 1, draws=DRAWS, end=True)),
        "bound": bounds.mean().item(),
        "elbo": system.score(x).mean().item(),
        "rate": q.kl().mean().item(),
        "mutual_information": interval(said["mutual_information"]),
        "active_units": active_units(q.mean).value,
        "distinct_2": interval(distinct([line.split() for line in made], n=2)),
        "copied": interval(copied(made, data.text(data.train.x))["copied"]),
        "samples": made[:10],
        "interpolation": data.text(system.interpolate(x[:1], x[1:2], 6)[0]),
        "reconstructions": [
            list(both) for both in zip(data.text(x[:5]), data.text(system.reconstruct(x[:5])), strict=True)
        ],
        "cpu_minutes": cpu_seconds(run) / 60,
    }


def words(content: dict[str, Any]) -> list[tuple[str, str]]:
    """The rows of the README: what, and what was measured."""
    return [
        (
            f"Sentence VAE on verses, {row['model']}",
            f"perplexity {row['perplexity'][0]:.1f} ({row['perplexity'][1]:.1f} – "
            f"{row['perplexity'][2]:.1f}; K = {content['importance_samples']}); KL {row['rate']:.2f} nats, "
            f"of which {row['mutual_information'][0]:.2f} information",
        )
        for row in content["rows"]
    ]
