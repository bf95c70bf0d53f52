"""Cyclical annealing taken apart: the rate's weight in cycles or once, each with and without restarts of the
learning rate, which Fu et al. 2019 (arXiv:1903.10145) had together in their model of text."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from common import kept, record, recorded

import reparam
from reparam.data import Data
from reparam.data import load as load_data
from reparam.engine import Engine, Precision
from reparam.evaluate import examples
from reparam.metrics.active_units import active_units
from reparam.metrics.aggregate_posterior import aggregate_posterior
from reparam.noise import Control, Streams
from reparam.optimisers import Adam
from reparam.schedules import Cosine, Cyclical, Ramp
from reparam.system import System
from reparam.trainer import Trainer

CYCLES, SEEDS, LR = 4, (0, 1, 2), 1e-3
SCHEDULES = {
    "monotonic": (False, False),
    "monotonic, restarts": (False, True),
    "cyclical": (True, False),
    "cyclical, restarts": (True, True),
}


class Task(NamedTuple):
    """Data and what is trained on them, for four cycles of so many steps."""

    data: Data
    built: Callable[[Data, int], System]
    period: int
    batch_size: int
    precision: Precision
    about: str


def images() -> Task:
    """Digits, binarised anew in each batch."""

    def built(data: Data, seed: int) -> System:
        return reparam.build("vae", data, seed=seed, network="mlp", width=256, latent=32)

    about = "VAE of two hidden layers of 256, 32 dimensions; 8,000 digits, dynamically binarised, batch 100"
    return Task(load_data("digits", binarise="dynamic"), built, 1000, 100, "bf16", about)


def text() -> Task:
    """Short verses."""

    def built(data: Data, seed: int) -> System:
        return reparam.build("sentence-vae", data, seed=seed, latent=32, width=64, word_dropout=0.3)

    data = load_data("verses", length=15, lower=True, vocabulary_size=1000)
    about = (
        f"sentence VAE, width 64, 32 dimensions, word dropout 0.3; {data.train.n:,} verses of at most 15 "
        "words, 1,000 words, batch 32"
    )
    return Task(data, built, 600, 32, "float32", about)


TASKS = {"images": images, "text": text}


@torch.no_grad()
def measured(system: System, data: Data, split: str) -> dict[str, float]:
    """Of the first 1,000 of a split: KL, active units, mutual information, and the ELBO at weight 1."""
    model: Any = system.model.eval()
    x = examples(data, getattr(data, split), 1000)
    q = model.encoder(x)
    eps = [system.draw(("eps",), len(x), Control(i))["eps"] for i in range(5)]
    return {
        "rate": q.kl().mean().item(),
        "elbo": torch.stack([model.score(x, eps=each).mean() for each in eps]).mean().item(),
        "active_units": active_units(q.mean).value,
        "mutual_information": aggregate_posterior(q.mean, q.log_std)["mutual_information"].value,
    }


def run(task: Task, cyclical: bool, restarts: bool, seed: int) -> dict[str, Any]:
    """One training: KL at the end of each cycle on validation data, and all of it on test data at the end."""
    system = task.built(task.data, seed)
    model: Any = system.model
    period, rising = task.period, Ramp(task.period // 2)
    model.beta = Cyclical(period, rising) if cyclical else rising
    rate = Cyclical(period, Cosine(period, LR)) if restarts else LR
    engine = Engine(torch.device("cpu"), task.precision)
    engine.place(model)
    trainer = Trainer(
        model, task.data, {"default": Adam(rate)}, batch_size=task.batch_size, streams=Streams(seed),
        engine=engine,
    )  # fmt: skip
    ends = []
    for _ in range(CYCLES):
        model.train()
        for _ in range(period):
            trainer.take_step()
        ends.append(measured(system, task.data, "validation")["rate"])
    return {"rate_at_ends": ends, **measured(system, task.data, "test")}


def measured_before(about: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """The record's rows, by task and schedule, of tasks that are described as they are now."""
    before = recorded("cyclical")
    return {
        (row["task"], row["schedule"]): row
        for row in before["rows"]
        if before["tasks"][row["task"]] == about[row["task"]]
    }


def figure() -> None:
    """Trains what the record lacks, measures and records."""
    tasks = {name: made() for name, made in TASKS.items()}
    about = {
        name: {"what": task.about, "steps_a_cycle": task.period, "precision": task.precision}
        for name, task in tasks.items()
    }
    rows = measured_before(about)
    every = [(name, schedule) for name in TASKS for schedule in SCHEDULES]
    for name, schedule in every:
        if (name, schedule) in rows:
            continue
        runs = [
            kept(
                f"cyclical-{name}-{schedule.replace(', ', '-')}-{seed}",
                lambda task=tasks[name], how=SCHEDULES[schedule], seed=seed: run(task, *how, seed),
            )
            for seed in SEEDS
        ]
        row = {"task": name, "schedule": schedule} | {k: [r[k] for r in runs] for k in runs[0]}
        rows[name, schedule] = row
        print(row, flush=True)
        record(
            "cyclical",
            {
                "target": "cyclical: KL at cycle ends non-decreasing, ELBO no worse than monotonic's",
                "tasks": about,
                "cycles": CYCLES,
                "weight": "0 to 1 over half a cycle, then 1; monotonic: over half of the first alone",
                "learning_rate": f"{LR:g}; with restarts half a cosine from it to 0 in each cycle",
                "n": 1000,
                "split": "validation at cycle ends, test at the end; nothing was chosen by the latter",
                "seeds": SEEDS,
                "rows": [rows[each] for each in every if each in rows],
            },
        )


def words(content: dict[str, Any]) -> list[tuple[str, str]]:
    """The rows of the README: what, and what was measured."""
    found = []
    for row in content["rows"]:
        means = [sum(each) / len(each) for each in zip(*row["rate_at_ends"], strict=True)]
        elbos = ", ".join(f"{value:.2f}" for value in row["elbo"])
        units = ", ".join(f"{value:.0f}" for value in row["active_units"])
        found.append(
            (
                f"Annealing, {row['task']}, {row['schedule']}, {len(row['elbo'])} seeds",
                f"KL at cycle ends (mean) {', '.join(f'{m:.2f}' for m in means)}; ELBO {elbos}; active units "
                f"{units}",
            )
        )
    return found
