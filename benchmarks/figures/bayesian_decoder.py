"""Few digits: a decoder's sampled weights beside its likeliest ones, and what a test of a proposal costs."""

import copy
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

EXAMPLES, SIDE, SEEDS = 200, 7, (0, 1, 2)
NETWORK: dict[str, Any] = {"latent": 2, "points": 128, "width": 32}
STD = {"point": 1.0, "sampled": 1.0}  # of the weights' prior, each chosen on validation
STEPS, STEP, KEEP = 40_000, 0.2, 100
LOOKS, EVERY = 60, 50  # at validation digits, for the point estimate to be stopped
COSTS = {"langevin": (0.05, 0.1, 0.2), "random-walk": (0.005, 0.01, 0.02, 0.05)}
PICTURES = {"bayesian-decoder": ["bayesian-decoder.png", "bayesian-decoder-spread.png"]}


class Digits(NamedTuple):
    """A few digits to learn from, another few for every seed, and all that are held out."""

    data: Data
    validation: Tensor
    test: Tensor


def digits(seed: int, examples: int = EXAMPLES) -> Digits:
    """Black and white, 7 × 7."""
    whole = load_data("digits")
    train, validation, test = (
        F.avg_pool2d(whole.batch(split, torch.arange(split.n))["x"], 28 // SIDE).gt(0.4).float()
        for split in (whole.train, whole.validation, whole.test)
    )
    chosen = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))[:examples]
    held = {"x_validation": validation, "x_test": test}
    return Digits(load_data({"x_train": train[chosen], **held}), validation, test)


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


def point(given: Digits, std: float, seed: int) -> tuple[Any, float]:
    """The likeliest weights under the same prior, stopped where validation is best; and that value."""
    system = reparam.build("bayesian-decoder", given.data, seed=seed, std=std, keep=2, **NETWORK)
    system.recipe.optimisers["default"] = Adam(3e-3)
    trainer, best, kept = play(system, given.data, seed, 50), -torch.inf, None
    for _ in range(LOOKS):
        for _ in range(EVERY):
            trainer.take_step()
        value = by_present(system.model, given.validation).mean().item()
        if value > best:
            best, kept = value, copy.deepcopy(system.model.state_dict())
    system.model.load_state_dict(kept or {})
    return system.model, best


def sampled(given: Digits, std: float, seed: int, steps: int = STEPS) -> tuple[reparam.System, str]:
    """The chain's system, which keeps weights of its second half; and its run."""
    run = f"bayesian-decoder-{std:g}-{seed}-{steps}"
    system = trained(
        run, "bayesian-decoder", given.data, steps=steps, seed=seed, std=std, step=STEP, batch=EXAMPLES,
        keep=KEEP, every=steps // 2 // KEEP, **NETWORK,
    )  # fmt: skip
    return system, run


def logged(run: str, term: str) -> float:
    """The mean of a term over the second half of a run."""
    rows = [row["terms"][f"negative_log_joint.{term}"] for row in read_log(RUNS / run)]
    return sum(rows[len(rows) // 2 :]) / len(rows[len(rows) // 2 :])


def costs(given: Digits, system: reparam.System, steps: int = 500) -> list[dict[str, Any]]:
    """Of short chains that go on from a sampled one: how many proposals are accepted, and by what."""
    rows = []
    for name, sizes in COSTS.items():
        for size in sizes:
            other = copy.deepcopy(system)
            proposal = Langevin() if name == "langevin" else RandomWalk()
            other.recipe.optimisers["default"] = MetropolisHastings(size / EXAMPLES**0.5, proposal)
            trainer = play(other, given.data, 0, EXAMPLES)
            logs = [trainer.take_step() for _ in range(steps)]
            found = {
                key: torch.stack([log[f"negative_log_joint.{key}"] for log in logs]).mean().item()
                for key in ("accepted", "examples")
            }
            rows.append({"proposal": name, "step": size, **found})
            print(rows[-1], flush=True)
    return rows


def figure() -> None:
    """Samples, stops, measures and records."""
    rows = []
    for seed in SEEDS:
        given = digits(seed)
        best, stopped = point(given, STD["point"], seed)
        system, run = sampled(given, STD["sampled"], seed)
        model: Any = system.model
        with torch.inference_mode():
            of_one = by_present(best, given.test)
            of_all = model.log_prob(given.test)
            single = model.log_prob_of_each(given.test).mean().item()
            on_validation = model.log_prob(given.validation).mean().item()
        low, high = interval(mean, (of_all - of_one).double())
        rows.append({
            "seed": seed,
            "point": of_one.mean().item(),
            "point_interval": list(interval(mean, of_one.double())),
            "sampled": of_all.mean().item(),
            "sampled_interval": list(interval(mean, of_all.double())),
            "difference": (of_all - of_one).mean().item(),
            "difference_interval": [low, high],
            "one_draw_of_the_weights": single,
            "validation": {"point": stopped, "sampled": on_validation},
            "accepted": logged(run, "accepted"),
            "examples_a_test": logged(run, "examples"),
            "cpu_minutes": cpu_seconds(run) / 60,
        })  # fmt: skip
        print(rows[-1], flush=True)
        if seed == SEEDS[0]:
            spent = costs(given, system)
            line = torch.linspace(-2, 2, 8)
            codes = torch.cartesian_prod(line, line)
            with torch.inference_mode():
                save(
                    grid(F.interpolate(system.decode(codes), scale_factor=4), 8),
                    RESULTS / PICTURES["bayesian-decoder"][0],
                )
                spread = F.interpolate(model.spread(codes) / 0.5, scale_factor=4)
                save(grid(spread, 8), RESULTS / PICTURES["bayesian-decoder"][1])
    record(
        "bayesian-decoder",
        {
            "target": "test likelihood above the point estimate's, the interval of the difference above 0",
            "examples": EXAMPLES,
            "n": len(given.test),
            "split": "the whole test split of digits, 7 × 7, black and white",
            "chosen_on_validation": "std of either's prior of weights, and where the point estimate stops",
            "std": STD,
            "network": NETWORK,
            "steps": STEPS,
            "kept": KEEP,
            "rows": rows,
            "costs": spent,
        },
    )


def words(content: dict[str, Any]) -> list[tuple[str, str]]:
    """The rows of the README: what, and what was measured."""
    rows, few = content["rows"], content["examples"]
    apart = "; ".join(
        f"{row['sampled']:.2f} against {row['point']:.2f}, difference {row['difference']:.2f} "
        f"({row['difference_interval'][0]:.2f} – {row['difference_interval'][1]:.2f})"
        for row in rows
    )
    spent = "; ".join(
        f"{row['proposal']}, step {row['step']:g}/√N: {row['accepted']:.0%}, {row['examples']:.0f} of {few}"
        for row in content["costs"]
    )
    return [
        (f"Bayesian decoder, {few} digits of 7 × 7, test log-likelihood, {len(rows)} seeds", f"{apart} nats"),
        ("Its tests: accepted, examples looked at", spent),
    ]
