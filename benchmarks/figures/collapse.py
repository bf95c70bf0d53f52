"""Collapse: a VAE whose decoder needs no code, and each remedy with the same networks, steps and seeds.

Trained by gradient descent with momentum; the text models of He et al. 2019 (arXiv:1901.05534) are by plain
descent. Adam blows up the small gradients by which a code comes back to life: with it I(x; z) stayed between
0.6 and 1.2 nats on validation data, with one hidden layer or three.
"""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from common import kept, record
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
from reparam.optimisers import SGD
from reparam.schedules import Cosine, Cyclical, Ramp
from reparam.trainer import Trainer

STEPS, LATENT, HIDDEN, SEEDS = 2000, 8, 64, (0, 1, 2)
LR, MOMENTUM, PERIOD = 0.02, 0.9, STEPS // 4  # δ-VAE's gradients do not bear a higher rate
REMEDIES = (
    "none", "warm-up", "cyclical", "cyclical, restarts", "free bits", "delta", "lagging encoder",
    "batch norm", "skip",
)  # fmt: skip


class Told(NamedTuple):
    """Bits in order, each given those before it and the code: what the code adds to the hidden layer, and
    to the logits; and the network."""

    hidden: Tensor
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
    """z → an autoregressive law of `size` bits; skip tells the code to the output too.

    Germain et al. 2015, MADE, arXiv:1502.03509, with one hidden layer.
    """

    order: Tensor

    def __init__(self, latent: int, size: int, hidden: int, skip: bool) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(size, hidden), nn.Linear(hidden, size)
        self.code, self.out = nn.Linear(latent, hidden), nn.Linear(latent, size) if skip else None
        self.register_buffer("order", torch.arange(hidden) % (size - 1))
        self.direct = nn.Linear(size, size, bias=False)

    def forward(self, z: Tensor) -> Told:
        hidden = self.code(z)
        return Told(hidden, z.new_zeros(len(z), 1) if self.out is None else self.out(z), self)

    def logits(self, x: Tensor, told: Tensor) -> Tensor:
        places = torch.arange(x.shape[1])
        sees, seen = self.order[:, None] >= places, places[:, None] > self.order
        h = torch.relu(F.linear(x, self.first.weight * sees, self.first.bias) + told)
        before = places[:, None] > places
        return F.linear(h, self.last.weight * seen, self.last.bias) + F.linear(x, self.direct.weight * before)


def built(remedy: str, data: Data, seed: int) -> reparam.System:
    """The system of a remedy; initial weights by the seed."""
    with Streams(seed).ambient("weights"):
        body = MLPBody(data.shape, [HIDDEN, HIDDEN])
        head = (BatchNormalisedCode if remedy == "batch norm" else GaussianCode)(body.features, LATENT)
        encoder = nn.Sequential(body, head)
        decoder = Masked(LATENT, data.train.x[0].numel(), 4 * HIDDEN, remedy == "skip")
    name, own = "vae", {}
    match remedy:
        case "cyclical" | "cyclical, restarts":
            name, own = "cyclical-vae", {"period": PERIOD}
        case "free bits":
            name, own = "free-bits-vae", {"nats": 0.5}
        case "delta":
            name, own = "delta-vae", {"delta": 1.0}
        case "lagging encoder":
            name, own = "lagging-vae", {"repeat": 5, "window": 20}
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


def taught(remedy: str, data: Data, seed: int) -> Model:
    """The model after STEPS steps."""
    system = built(remedy, data, seed)
    system.model.train()
    rate = Cyclical(PERIOD, Cosine(PERIOD, LR)) if remedy == "cyclical, restarts" else LR
    trainer = Trainer(
        system.model, data, {"default": SGD(rate, MOMENTUM)}, batch_size=100, streams=Streams(seed),
        engine=Engine(torch.device("cpu")),
    )  # fmt: skip
    for _ in range(STEPS):
        trainer.take_step()
    return system.model


def figure() -> None:
    """Trains, measures on test data, and records."""
    whole = load_data("digits")
    small = {
        name: F.avg_pool2d(whole.batch(split, torch.arange(split.n))["x"], 4).gt(0.4).float()
        for name, split in (("train", whole.train), ("test", whole.test))
    }
    data = load_data(small["train"])
    rows = []
    for remedy in REMEDIES:
        runs = [
            kept(
                f"collapse-{remedy.replace(', ', '-').replace(' ', '-')}-{seed}",
                lambda remedy=remedy, seed=seed: measured(taught(remedy, data, seed), small["test"]),
            )
            for seed in SEEDS
        ]
        rows.append({"remedy": remedy, **{key: [run[key] for run in runs] for key in runs[0]}})
        print(rows[-1], flush=True)
    target = (
        "each remedy: more active units and mutual information than without, on a decoder that needs no code"
    )
    record(
        "collapse",
        {
            "target": target,
            "data": f"8,000 digits at 7 × 7, black and white; measured on the {len(small['test']):,} of test",
            "optimiser": f"SGD, rate {LR:g}, momentum {MOMENTUM:g}, batch 100",
            "steps": STEPS,
            "latent": LATENT,
            "seeds": SEEDS,
            "rows": rows,
        },
    )


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
