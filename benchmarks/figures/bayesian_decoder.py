"""Few digits: a decoder's sampled weights beside its likeliest ones, and what a test of a proposal costs."""

import copy
import math
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from common import RESULTS, RUNS, cpu_seconds, record, trained
from torch import Tensor

import reparam
from reparam.data import Data
from reparam.data import load as load_data
from reparam.engine import Engine
from reparam.metrics.bootstrap import interval, mean
from reparam.noise import Streams
from reparam.optimisers import Adam
from reparam.report.pictures import grid, save
from reparam.run import read_log
from reparam.samplers import Langevin, MetropolisHastings, RandomWalk
from reparam.trainer import Trainer

EXAMPLES, SIDE = 100, 7
NETWORK: dict[str, Any] = {"latent": 2, "points": 64, "width": 32, "std": 2.0}
CHAINS, KEEP = 5, 50
RULES: dict[float, dict[str, Any]] = {  # by the temperature; below 1 it is no posterior, but nearer its modes
    1.0: {"steps": 20_000, "step": 0.4, "every": 200},
    0.5: {"steps": 10_000, "step": 0.25, "every": 100},
}
LOOKS, EVERY = 60, 50  # at validation digits, by which each point estimate is stopped
COSTS = {"langevin": (0.05, 0.1, 0.2, 0.4), "random-walk": (0.02, 0.05, 0.1, 0.2)}
PICTURES = {"bayesian-decoder": ["bayesian-decoder.png", "bayesian-decoder-spread.png"]}


class Digits(NamedTuple):
    """A few digits to learn from, and all that are held out: (n, 1, SIDE, SIDE), black and white."""

    data: Data
    validation: Tensor
    test: Tensor


def digits() -> Digits:
    """Shrunk ones of the data that ship inside."""
    whole = load_data("digits")
    train, validation, test = (
        F.avg_pool2d(whole.batch(split, torch.arange(split.n))["x"], 28 // SIDE).gt(0.4).float()
        for split in (whole.train, whole.validation, whole.test)
    )
    few = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))[:EXAMPLES]
    held_out = {"x_validation": validation, "x_test": test}
    return Digits(load_data({"x_train": train[few], **held_out}), validation, test)


def play(system: reparam.System, data: Data, seed: int, batch: int) -> Trainer:
    """What plays a system's turns without a folder."""
    system.model.train()
    return Trainer(
        system.model, data, system.recipe.optimisers, batch_size=batch, streams=Streams(seed),
        engine=Engine(torch.device("cpu")),
    )  # fmt: skip


@torch.no_grad()
def by_present(model: Any, x: Tensor) -> Tensor:
    """log p(x|θ) at the present weights, (n,) nats."""
    return -model.negative_log_joint(x)["surprise"]


def point(given: Digits, seed: int) -> Any:
    """The model at the likeliest weights under the same prior, by Adam, stopped where validation is best."""
    system = reparam.build("bayesian-decoder", given.data, seed=seed, keep=2, **NETWORK)
    system.recipe.optimisers["default"] = Adam(3e-3)
    trainer, best, kept = play(system, given.data, seed, 50), -math.inf, {}
    for _ in range(LOOKS):
        for _ in range(EVERY):
            trainer.take_step()
        value = by_present(system.model, given.validation).mean().item()
        if value > best:
            best, kept = value, copy.deepcopy(system.model.state_dict())
    system.model.load_state_dict(kept)
    return system.model


def run(seed: int, temperature: float) -> str:
    """The name of a chain's folder."""
    return f"bayesian-decoder-{temperature:g}-{seed}"


def chain(given: Digits, seed: int, temperature: float) -> reparam.System:
    """A chain, of which the second half is kept."""
    return trained(
        run(seed, temperature), "bayesian-decoder", given.data, seed=seed, temperature=temperature,
        warm_up=500, batch=EXAMPLES, keep=KEEP, **RULES[temperature], **NETWORK,
    )  # fmt: skip


def logged(seed: int, temperature: float, term: str) -> float:
    """The mean of a term over the second half of a chain."""
    rows = [row["terms"] for row in read_log(RUNS / run(seed, temperature))]
    late = [row[f"negative_log_joint.{term}"] for row in rows[len(rows) // 2 :]]
    return sum(late) / len(late)


def costs(given: Digits, system: reparam.System, steps: int = 300) -> list[dict[str, Any]]:
    """Of short chains that go on from a long one: the proposals accepted, and the examples looked at."""
    rows = []
    for name, sizes in COSTS.items():
        for size in sizes:
            other = copy.deepcopy(system)
            proposal = Langevin() if name == "langevin" else RandomWalk()
            other.recipe.optimisers["default"] = MetropolisHastings(size / math.sqrt(EXAMPLES), proposal)
            trainer = play(other, given.data, 0, EXAMPLES)
            logs = [trainer.take_step() for _ in range(steps)]
            found = {
                key: torch.stack([log[f"negative_log_joint.{key}"] for log in logs]).mean().item()
                for key in ("accepted", "examples")
            }
            rows.append({"proposal": name, "step": size, **found})
            print(rows[-1], flush=True)
    return rows


def mixed(each: Tensor) -> Tensor:
    """log of the mean of likelihoods: (k, n) → (n,)."""
    return each.double().logsumexp(0) - math.log(len(each))


def measured(of: Tensor) -> dict[str, Any]:
    """The mean over examples and its interval."""
    return {"value": of.mean().item(), "interval": list(interval(mean, of.double()))}


@torch.inference_mode()
def compared(points: list[Any], chains: list[Any], x: Tensor) -> dict[str, Any]:
    """log p of each of x, in nats: by one set of weights or several, and what all that were sampled add."""
    likeliest = torch.stack([by_present(model, x) for model in points]).double()
    drawn = torch.stack([model.log_prob_of_each(x) for model in chains]).double()
    every, single = mixed(drawn.flatten(0, 1)), likeliest.mean(0)
    return {
        "likeliest": measured(single),
        "likeliest, mixed": measured(mixed(likeliest)),
        "one draw": measured(drawn.mean((0, 1))),
        "one chain": measured(torch.stack([mixed(one) for one in drawn]).mean(0)),
        "sampled": measured(every),
        "sampled − likeliest": measured(every - single),
        "sampled − likeliest, mixed": measured(every - mixed(likeliest)),
    }


def figure() -> None:
    """Samples, stops, measures and records."""
    given, seeds = digits(), range(CHAINS)
    points = [point(given, seed) for seed in seeds]
    rows, systems = [], {}
    for temperature, rule in RULES.items():
        systems[temperature] = [chain(given, seed, temperature) for seed in seeds]
        models = [system.model for system in systems[temperature]]
        rows.append({
            "temperature": temperature,
            **rule,
            "accepted": [logged(seed, temperature, "accepted") for seed in seeds],
            "examples_a_test": [logged(seed, temperature, "examples") for seed in seeds],
            "cpu_minutes": sum(cpu_seconds(run(seed, temperature)) for seed in seeds) / 60,
            "validation": compared(points, models, given.validation),
        })  # fmt: skip
        print(rows[-1], flush=True)
    best = max(rows, key=lambda row: row["validation"]["sampled"]["value"])["temperature"]
    for row in rows:  # both temperatures are shown; the one that validation prefers is named
        models = [system.model for system in systems[row["temperature"]]]
        row["test"] = compared(points, models, given.test)
    picture(systems[best][0].model)
    record(
        "bayesian-decoder",
        {
            "target": "test likelihood above the likeliest weights', the interval of the difference above 0",
            "examples": EXAMPLES,
            "n": len(given.test),
            "split": f"the whole test split of digits, {SIDE} × {SIDE}, black and white",
            "network": NETWORK,
            "chains": CHAINS,
            "kept": CHAINS * KEEP,
            "chosen": best,
            "rows": rows,
            "costs": costs(given, systems[1.0][0]),
        },
    )


def picture(model: Any) -> None:
    """What codes on a square stand for by one chain's weights, and how far these disagree.

    Black is not at all. Of one chain: a code means something else in another.
    """
    codes = torch.cartesian_prod(*[torch.linspace(-2, 2, 10)] * 2)
    with torch.inference_mode():
        both = model.decode(codes), 2 * model.spread(codes)
    for name, shown in zip(PICTURES["bayesian-decoder"], both, strict=True):
        save(grid(F.interpolate(shown, scale_factor=4), 10), RESULTS / name)


def words(content: dict[str, Any]) -> list[tuple[str, str]]:
    """The rows of the README: what, and what was measured."""

    def said(row: dict[str, Any], name: str) -> str:
        low, high = row["test"][name]["interval"]
        return f"{row['test'][name]['value']:.2f} ({low:.2f} – {high:.2f})"

    few, first = content["examples"], content["rows"][0]
    chains = [
        (
            f"Bayesian decoder, {few} digits of {SIDE} × {SIDE}, temperature {row['temperature']:g}",
            f"{said(row, 'sampled')} nats, above the likeliest by {said(row, 'sampled − likeliest')}, above "
            f"{CHAINS} of them mixed by {said(row, 'sampled − likeliest, mixed')}",
        )
        for row in content["rows"]
    ]
    spent = "; ".join(
        f"{row['proposal']} {row['step']:g}/√N: {row['accepted']:.0%}, {row['examples']:.0f} of {few}"
        for row in content["costs"]
    )
    return [
        (
            "The likeliest weights, early stopped, the same prior",
            f"{said(first, 'likeliest')} nats; {CHAINS} of them mixed {said(first, 'likeliest, mixed')}",
        ),
        *chains,
        ("Tests of the Bayesian decoder's chains: accepted, examples looked at", spent),
    ]
