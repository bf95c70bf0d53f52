"""Latent alignment, English to German: perplexity of ways to learn one translator; alignments where known.

The paper trains for ten epochs, until every way is near its best. Here ten thousand pairs are as many as can
be gone through so often in minutes; 1,800 steps on all 88,000 pairs see two thirds of them once.
"""

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

import torch
from common import cpu_seconds, record, trained
from torch import Tensor

from reparam.data import Data, load
from reparam.data.reorder import links
from reparam.metrics.alignment import alignment_error_rate
from reparam.metrics.bootstrap import pooled
from reparam.metrics.measure import Measure
from reparam.metrics.perplexity import perplexity
from reparam.system import System

WAYS = ("variational-attention", "marginal-attention", "soft-attention")
PAIRS, STEPS, BATCH, KNOWN_STEPS, PRECISION = 10_000, 2400, 32, 400, "bf16"
SETTINGS: dict[str, Any] = {"width": 96, "lr": 3e-3}
OPTIONS: dict[str, Any] = {"lower": True, "length": 20, "vocabulary_size": 2000}


def figure() -> None:
    """Trains, measures on the test part, and records."""
    data, known, rows, every = some_pairs(), load("reorder"), [], []
    test = data.batch(data.test, torch.arange(data.test.n))
    x, tokens = test["x"][:8], (test["other"] != 0).sum(1) + 1  # ends counted
    for name in WAYS:
        run = f"en-de-{name}"
        system = trained(
            run, name, data, steps=STEPS, options={"batch_size": BATCH, "precision": PRECISION}, **SETTINGS
        )
        every.append(log_likelihoods(system, test))
        ppl = perplexity(every[-1], tokens, draws=1, end=True)
        small = trained(f"reorder-{name}", name, known, steps=KNOWN_STEPS, width=32, lr=1e-2)
        rate = _error_rate(small, known)
        greedy = data.text(system.translate(x, pin={"gumbel": 0.0}), other=True)
        rows.append(
            {
                "model": name,
                "perplexity": [ppl.value, ppl.low, ppl.high],
                "alignment_error_rate": [rate.value, rate.low, rate.high],
                "cpu_minutes": cpu_seconds(run) / 60,
                "translations": [list(pair) for pair in zip(data.text(x), greedy, strict=True)],
            }
        )
        print(rows[-1], flush=True)
    record(
        "variational-attention",
        {
            "target": "perplexity of the marginal: enumerated ≤ exact ≤ soft; alignment error rate < 5 %",
            "data": f"{data.name}, {PAIRS:,} pairs to learn from",
            "n": data.test.n,
            "steps": STEPS,
            "batch_size": BATCH,
            "precision": PRECISION,
            "settings": SETTINGS | OPTIONS,
            "ratios": [ratio(b, a, tokens) for a, b in pairwise(every)],
            "rows": rows,
        },
    )


def some_pairs() -> Data:
    """The data with the first of the training pairs alone, which are in a drawn order."""
    data = load("en_de", **OPTIONS)
    x, other = (side[:PAIRS] for side in (data.train.x, data.train.other) if side is not None)
    few = data.train._replace(x=x, other=other)
    return replace(data, train=few, fingerprint=f"few{PAIRS}")


@torch.inference_mode()
def log_likelihoods(system: System, batch: dict[str, Tensor]) -> Tensor:
    """Of sentences, (n,) in nats, alignments summed out under the prior."""
    model: Any = system.model
    sides = zip(batch["x"].split(100), batch["other"].split(100), strict=True)
    return torch.cat([model.log_conditional(x, other) for x, other in sides])


def ratio(of: Tensor, to: Tensor, tokens: Tensor) -> list[float]:
    """One way's perplexity as a multiple of another's on the same sentences, and its interval."""
    value = ((to - of).sum() / tokens.sum()).item()
    return [math.exp(v) for v in (value, *pooled(to - of, tokens))]


@torch.inference_mode()
def _error_rate(system: System, data: Data) -> Measure:
    """Of the likeliest source word of each target word, under the posterior where there is one."""
    model: Any = system.model
    batch = data.batch(data.test, torch.arange(data.test.n))
    places = model.align(batch["x"], batch["other"]).argmax(2).tolist()
    sides = ((batch["x"], data.vocabulary or ()), (batch["other"], data.other_vocabulary or ()))
    lines, others = ([[str(words[i]) for i in row if i] for row in ids.tolist()] for ids, words in sides)
    found = [{(row[t], t) for t in range(len(other))} for row, other in zip(places, others, strict=True)]
    return alignment_error_rate(found, [links(*pair) for pair in zip(lines, others, strict=True)])


def words(content: dict[str, Any]) -> list[tuple[str, str]]:
    """The rows of the README: what, and what was measured."""
    found, pairs = [], [None, *content.get("ratios", [None] * (len(WAYS) - 1))]
    for row, pair in zip(content["rows"], pairs, strict=True):
        ppl, rate = row["perplexity"], row["alignment_error_rate"]
        text = f"perplexity {ppl[0]:.2f} ({ppl[1]:.2f} – {ppl[2]:.2f})"
        if pair:
            text += f", {pair[0]:.3f} × ({pair[1]:.3f} – {pair[2]:.3f}) the one before, in pairs"
        text += f", in {row['cpu_minutes']:.1f} CPU minutes"
        text += f"; alignment error rate on `reorder` {rate[0]:.1%} ({rate[1]:.1%} – {rate[2]:.1%})"
        found.append((f"{row['model']}, English to German", text))
    return found
