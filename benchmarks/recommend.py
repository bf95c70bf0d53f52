"""What a step of Mult-VAE costs at ML-20M's shape, beside a dense loop: `python benchmarks/recommend.py`.

136,677 users × 20,720 items, batches of 500. The events are synthetic: history lengths 5 + log-normal of
median 39 and σ = 1.15, cut at 5,000; items drawn by a power law, p ∝ 1 / (rank + 50), what a user has twice
counts once: about 10 million events. Ours, ours with `--precision bf16` and the loop step in turn,
in one process, on the same rows; ratios are taken round by round. Peak memory is that of another process that
takes our float32 steps alone, data and optimiser included. Writes `benchmarks/results/recommend.json`.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from plain_mult_vae import PlainMultVAE, step
from reparam.data import Bags, Data, Split
from reparam.engine import Engine, Precision, versions
from reparam.noise import Streams
from reparam.recipes.collaborative import mult_vae
from reparam.registry import DataFacts
from reparam.trainer import Trainer

RESULTS = Path(__file__).parent / "results"
USERS, ITEMS, BATCH = 136_677, 20_720, 500
ASKED = {"ratio": 2.3, "peak_mib": 2048}


def histories(seed: int = 0) -> Bags:
    """The synthetic events."""
    draw = np.random.default_rng(seed)
    lengths = (5 + np.exp(np.log(39) + 1.15 * draw.standard_normal(USERS))).clip(max=5_000).astype(np.int64)
    popularity = 1 / (np.arange(ITEMS) + 50)
    edges = (popularity / popularity.sum()).cumsum()
    parts, counts = [], []
    for some in np.array_split(lengths, 20):  # by parts, or the making of the data is the peak
        row = np.repeat(np.arange(len(some)), some)
        item = np.searchsorted(edges, draw.random(len(row))).clip(max=ITEMS - 1)
        pairs = np.unique(row * ITEMS + item)
        parts.append((pairs % ITEMS).astype(np.int32))
        counts.append(np.bincount(pairs // ITEMS, minlength=len(some)))
    offsets = np.concatenate([[0], *counts]).cumsum()
    return Bags(torch.from_numpy(offsets), torch.from_numpy(np.concatenate(parts)), None, ITEMS)


def trainer(bags: Bags, precision: Precision = "float32") -> Trainer:
    """Ours, as a run makes it."""
    empty = Split(torch.zeros(0), None)
    train = Split(cast(Tensor, bags), None)
    data = Data(
        "histories", {}, "bag", (ITEMS,), "counts", None, train, empty, empty, "", "none needed", "synthetic"
    )
    facts = DataFacts("histories", "bag", (ITEMS,), "counts", None, USERS)
    with Streams(0).ambient("weights"):
        recipe = mult_vae(facts, anneal=40_000)
    engine = Engine(torch.device("cpu"), precision)
    recipe.model.train()
    return Trainer(recipe.model, data, recipe.optimisers, batch_size=BATCH, streams=Streams(0), engine=engine)


def alone(steps: int) -> None:
    """Takes our steps and prints the peak of the process, MiB."""
    own = trainer(histories())
    for _ in range(steps):
        own.take_step()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--alone", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.alone:
        alone(arguments.alone)
        return
    command = [sys.executable, __file__, "--alone", "5", "--threads", str(arguments.threads)]
    peak = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    bags = histories()
    own, half = trainer(bags), trainer(bags, "bf16")
    torch.manual_seed(0)
    model = PlainMultVAE(ITEMS)
    optimiser = torch.optim.Adam(model.parameters(), 1e-3)

    def by_hand(i: int) -> None:
        # As a user writes it: the batch's rows made dense, then the step.
        some: Any = bags[own.order.rows(i)]
        step(model, optimiser, some.dense(), 0.2 * i / 40_000)

    sides = {
        "ours": lambda i: own.take_step(),
        "ours in bf16": lambda i: half.take_step(),
        "by hand": by_hand,
    }
    rounds = []
    for i in range(arguments.rounds + 1):
        times = {}
        for who in sides if i % 2 == 0 else reversed(sides):
            start = time.perf_counter()
            sides[who](i)
            times[who] = time.perf_counter() - start
        rounds.append(times)
    rounds = rounds[1:]  # the first warms up
    rows = []
    for who in sides:
        ratios = sorted(times["by hand"] / times[who] for times in rounds)
        seconds = statistics.median(times[who] for times in rounds)
        row = {"seconds_a_step": seconds, "users_per_second": BATCH / seconds}
        row |= {"ratio": statistics.median(ratios), "ratios": [round(r, 2) for r in ratios]}
        rows.append({"who": who, **row})
        print(f"{who:14}{seconds:.2f} s a step, × {row['ratio']:.2f} (asked {ASKED['ratio']})")
    print(f"{len(bags.items):,} events; peak {peak:.0f} MiB (asked {ASKED['peak_mib']})")
    lengths = bags.lengths.double()
    content = {
        "figure": "recommend",
        "users": USERS,
        "items": ITEMS,
        "events": len(bags.items),
        "history": {
            "law": "5 + log-normal, median 39, σ 1.15, at most 5,000; items by 1 / (rank + 50)",
            "quantiles": {q: float(lengths.quantile(q)) for q in (0.05, 0.25, 0.5, 0.75, 0.95, 1.0)},
        },
        "batch": BATCH,
        "threads": arguments.threads,
        "rows": rows,
        "peak_mib": peak,
        "asked": ASKED,
        "versions": versions(),
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "recommend.json").write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
