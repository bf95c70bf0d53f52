"""Collapse: a VAE whose decoder needs no code, and each remedy with the same networks, steps and seeds."""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from common import record
from torch import Tensor, nn

import reparam
from reparam.data import Data
from reparam.data import load as load_data
from reparam.distributions import Gaussian, total
from reparam.engine import Engine
from reparam.metrics.active_units import active_units
from reparam.metrics.aggregate_posterior import aggregate_posterior
from reparam.model import Model
from reparam.nets.heads import BatchNormalisedCode, GaussianCode
from reparam.nets.mlp import MLPBody
from reparam.noise import Streams
from reparam.schedules import Ramp
from reparam.trainer import Trainer

STEPS, LATENT, HIDDEN, LAYERS, SEEDS = 2000, 8, 128, 2, (0, 1, 2)
REMEDIES = (
    "none", "warm-up", "cyclical", "cyclical, rate of learning too", "free bits", "delta", "lagging encoder",
    "batch norm", "skip",
)  # fmt: skip


class Told(NamedTuple):
    """Bits in order, each given those before it and the code: what the code adds to each hidden layer, and
    to the logits; and the network."""

    hidden: tuple[Tensor, ...]
    logits: Tensor
    net: Any

    @property
    def mean(self) -> Tensor:
        raise TypeError("an autoregressive law's mean is not computed here")

    def log_prob(self, x: Tensor) -> Tensor:
        flat = x.flatten(1)
        logits = self.net.logits(flat, self.hidden) + self.logits
        return -total(F.binary_cross_entropy_with_logits(logits, flat, reduction="none"))


class Masked(nn.Module):
    """z → an autoregressive law of `size` bits, told the code in its first layer; in every one with skip.

    Germain et al. 2015, MADE, arXiv:1502.03509.
    """

    def __init__(self, latent: int, size: int, hidden: int, layers: int, skip: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(size if i == 0 else hidden, hidden) for i in range(layers))
        self.last, self.direct = nn.Linear(hidden, size), nn.Linear(size, size, bias=False)
        self.codes = nn.ModuleList(nn.Linear(latent, hidden) for _ in range(layers if skip else 1))
        self.out = nn.Linear(latent, size) if skip else None
        # The last bit that a hidden unit may know of.
        order, places = torch.arange(hidden) % (size - 1), torch.arange(size)
        self.masks = [order[:, None] >= places, *[order[:, None] >= order] * (layers - 1)]
        self.seen, self.before = places[:, None] > order, places[:, None] > places

    def forward(self, z: Tensor) -> Told:
        hidden = tuple(code(z) for code in self.codes)
        return Told(hidden, z.new_zeros(len(z), 1) if self.out is None else self.out(z), self)

    def logits(self, x: Tensor, told: tuple[Tensor, ...]) -> Tensor:
        h = x
        for i, (layer, mask) in enumerate(zip(self.layers, self.masks, strict=True)):
            h = F.linear(h, layer.weight * mask, layer.bias)  # pyright: ignore[reportArgumentType, reportOperatorIssue]
            h = torch.relu(h + told[i] if i < len(told) else h)
        h = F.linear(h, self.last.weight * self.seen, self.last.bias)
        return h + F.linear(x, self.direct.weight * self.before)


def built(remedy: str, data: Data, seed: int) -> reparam.System:
    """The system of a remedy; initial weights by the seed."""
    with Streams(seed).ambient("weights"):
        body = MLPBody(data.shape, [HIDDEN, HIDDEN])
        head = (BatchNormalisedCode if remedy == "batch norm" else GaussianCode)(body.features, LATENT)
        encoder = nn.Sequential(body, head)
        decoder = Masked(LATENT, data.train.x[0].numel(), 4 * HIDDEN, LAYERS, remedy == "skip")
    name, own = "vae", {}
    match remedy:
        case "cyclical" | "cyclical, rate of learning too":
            name, own = "cyclical-vae", {"period": STEPS // 4, "restarts": remedy != "cyclical"}
        case "free bits":
            name, own = "free-bits-vae", {"nats": 0.5}
        case "delta":
            name, own = "delta-vae", {"delta": 4.0}
        case "lagging encoder":
            name, own = "lagging-vae", {"repeat": 5}
    system = reparam.build(name, data, seed=seed, latent=LATENT, encoder=encoder, decoder=decoder, **own)
    if remedy == "warm-up":
        system.model.beta = Ramp(STEPS // 2)  # pyright: ignore[reportArgumentType]
    return system


@torch.no_grad()
def measured(model: Any, x: Tensor) -> dict[str, float]:
    """Of held-out x: active units, mutual information, rate, and the ELBO whatever was lowered."""
    q: Gaussian = model.eval().encoder(x)
    eps = Streams(0).draw("eps", model.noise()["eps"], len(x), 0)
    parts = aggregate_posterior(q.mean, q.log_std)
    terms = model.negative_elbo(x, eps=eps)
    rate, distortion = terms["rate"].mean().item(), terms["distortion"].mean().item()
    return {
        "active_units": active_units(q.mean).value,
        "mutual_information": parts["mutual_information"].value,
        "rate": rate,
        "elbo": -rate - distortion,
    }


def taught(system: reparam.System, data: Data, seed: int) -> Model:
    """The model after STEPS steps."""
    system.model.train()
    trainer = Trainer(
        system.model, data, system.recipe.optimisers, batch_size=100, streams=Streams(seed),
        engine=Engine(torch.device("cpu")),
    )  # fmt: skip
    for _ in range(STEPS):
        trainer.take_step()
    return system.model


def figure() -> None:
    """Trains, measures on validation data, and records."""
    whole = load_data("digits")
    small = {
        name: F.avg_pool2d(whole.batch(split, torch.arange(split.n))["x"], 4).gt(0.4).float()
        for name, split in (("train", whole.train), ("validation", whole.validation))
    }
    data = load_data(small["train"])
    rows = []
    for remedy in REMEDIES:
        runs = [
            measured(taught(built(remedy, data, seed), data, seed), small["validation"]) for seed in SEEDS
        ]
        rows.append({"remedy": remedy, **{key: [run[key] for run in runs] for key in runs[0]}})
        print(rows[-1], flush=True)
    target = (
        "each remedy: more active units and mutual information than without, on a decoder that needs no code"
    )
    record("collapse", {"target": target, "steps": STEPS, "latent": LATENT, "seeds": SEEDS, "rows": rows})


def words(content: dict[str, Any]) -> list[tuple[str, str]]:
    """The rows of the README: what, and what was measured."""
    names = {"active_units": "active units", "mutual_information": "I(x; z)", "rate": "KL", "elbo": "ELBO"}
    return [
        (
            f"Collapse, 7 × 7 digits, autoregressive decoder, remedy: {row['remedy']}, 3 seeds",
            "; ".join(
                f"{name} {', '.join(f'{value:.2f}'.removesuffix('.00') for value in row[key])}"
                for key, name in names.items()
            ),
        )
        for row in content["rows"]
    ]
