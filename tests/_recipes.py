"""Every recipe, tiny: what the tests of runs train."""

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import reparam
from reparam import checkpoint, registry
from reparam.data import Data, load
from reparam.errors import ReparamError
from reparam.optimisers import Adam
from reparam.recipes.vae import vae
from reparam.registry import DataFacts, Recipe
from reparam.run import read_log
from reparam.schedules import Cosine, Ramp
from reparam.system import System

torch.set_num_threads(1)

FIRST = {"vq-prior": "vqvae", "latent-density": "rae", "m1-m2": "vae"}  # the first stage of each second one
NAMES = sorted(registry.recipes())
SMALL = {"latent": 4, "clusters": 4, "width": 16, "pool": 8, "size": 32, "dim": 4, "blocks": 1, "repeat": 2}
SMALL |= {"points": 16, "keep": 3, "every": 2}
# Schedules that any run here is long enough for.
SMALL |= {"decay": 0.9, "anneal": 5, "warm_up": 10, "rising": 10, "period": 3, "ramp": 0.3}
# Weights of 1,000 and 100, as some penalties have, are nothing for the plain SGD of some of these runs, nor
# are translations that are read again.
SMALL |= {"gamma": 1.0, "penalty": 1.0, "attention": 1.0, "reconstruction": 1.0}
SMALL |= {"cycle": 0.01, "codes": 0.01, "identity": 0.01}
# Adam turns a gradient of rounding into a whole step, which instance norm over few pixels carries on.
RATES = {"munit": 1e-6}


def scheduled(data: DataFacts, *, latent: int = 4, width: int = 16) -> Recipe:
    """A VAE whose learning rate falls and whose rate is warmed up."""
    recipe = vae(data, latent=latent, width=width)
    recipe.model.beta = Ramp(10)  # pyright: ignore[reportAttributeAccessIssue]
    return Recipe(recipe.model, {"default": Adam(Cosine(30, 1e-2, 1e-4))})


LINES = [f"{who} {does} {n}" for who in "ab" for does in ("sees", "has") for n in "0123456789ABCDE"]


@cache
def datasets() -> tuple[Data, ...]:
    """Vectors, and pictures with labels, from a fixed seed."""
    draw = torch.Generator().manual_seed(0)
    vectors, pictures = torch.randn(60, 6, generator=draw), torch.rand(60, 1, 8, 8, generator=draw)
    labels = torch.arange(60) % 3
    return (
        load(vectors),
        load({"x": pictures, "y": labels}),
        load({"x": pictures.round(), "y": labels}),
        load({"x": vectors, "y": labels}, labels=12),
        load(vectors, to=vectors.flip(0)),
        load(bags := {"user": torch.arange(60).repeat_interleave(7), "item": torch.arange(420) * 5 % 13}),
        load({**bags, "rating": 1 + torch.arange(420) % 5}, rated=True),
        load("reorder"),
        load(pictures, to=1 - pictures),
        load({"x": LINES}, min_count=1),
        # Of 16 pixels: on maps of 2 × 2, instance norm makes the plain SGD of these runs chaotic.
        load(larger := torch.rand(60, 1, 16, 16, generator=draw), to=1 - larger),
    )


def built(name: str, seed: int = 3) -> System:
    """The recipe's system, small, on the first of the datasets that it takes."""
    own: dict[str, Any] = {key: value for key, value in SMALL.items() if key in registry.settings(name)}
    own |= {"lr": RATES[name]} if name in RATES else {}
    if "stage1" in registry.settings(name):
        own["stage1"] = built(FIRST[name], seed)
    for data in datasets():
        try:
            return reparam.build(name, data, seed=seed, **own)
        except ReparamError as error:
            refusal = error
    raise refusal


def resumed(system: System, out: Path, **options: Any) -> System:
    """The run goes on, with the data of the system that began it."""
    return reparam.resume(out, data=system.training_data, device="cpu", **options)


def tensors(out: Path) -> dict[str, Tensor]:
    """All that the newest checkpoint holds, by file and name."""
    files = checkpoint.load(out / "checkpoints").files
    return {f"{file}/{name}": t for file, found in files.items() for name, t in found.items()}


def rows(out: Path) -> list[tuple[int, dict[str, float]]]:
    """The log without its seconds."""
    return [(row["step"], row["terms"]) for row in read_log(out)]


def assert_same_run(a: Path, b: Path) -> None:
    """The same final weights, optimisers, state and log, to the bit."""
    ours, theirs = tensors(a), tensors(b)
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []
    assert rows(a) == rows(b)
    assert not (b / "checkpoints" / ".draft").exists()


def deviation(a: Path, b: Path) -> float:
    """The largest difference between two runs' final weights and state."""
    ours, theirs = tensors(a), tensors(b)
    names = [name for name in ours if name.startswith("weights/")]
    return max(float((ours[name].double() - theirs[name].double()).abs().max()) for name in names)


def seed_of(*parts: object) -> int:
    """A seed for a test that chooses at random, the same on every run."""
    return int.from_bytes(hashlib.sha256(json.dumps([str(p) for p in parts]).encode()).digest()[:4], "big")
