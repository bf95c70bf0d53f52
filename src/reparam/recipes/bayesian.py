"""Decoders whose weights are sampled."""

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.quasirandom import SobolEngine

from reparam.errors import ReparamError
from reparam.models.bayesian_decoder import BayesianDecoder
from reparam.nets import choose
from reparam.nets.weighed import NormalWeights
from reparam.recipes.vae import noise_of
from reparam.registry import DataFacts, Recipe
from reparam.samplers import Langevin, MetropolisHastings, RandomWalk
from reparam.schedules import Ramp

PROPOSALS = {"langevin": Langevin(), "random-walk": RandomWalk()}


def bayesian_decoder(
    data: DataFacts,
    *,
    latent: int = 2,
    points: int = 256,
    width: int = 32,
    likelihood: Literal["auto", "bernoulli", "gaussian", "learned-gaussian"] = "auto",
    noise: float = 0.1,
    std: float = 2.0,
    proposal: Literal["langevin", "random-walk"] = "langevin",
    step: float = 0.4,
    warm_up: int = 1000,
    batch: int = 50,
    temperature: float = 1.0,
    keep: int = 50,
    every: int = 200,
    decoder: nn.Module | None = None,
) -> Recipe:
    """A small decoder of normal weights, for few examples, where the one best set of weights overfits.

    A proposal moves each weight by step / √N of its prior's standard deviation (`NormalWeights`), N examples;
    over warm_up steps it rises to that from a quarter, by which a chain comes down from where it begins. A
    test begins with `batch` examples. The weights of every `every`-th step are kept, the last `keep` of them.
    Below temperature 1 the weights are drawn nearer to the likeliest ones than the posterior is. noise is the
    σ of a Gaussian that learns none.
    """
    for name, value in (("std", std), ("step", step), ("warm_up", warm_up), ("temperature", temperature)):
        if not value > 0:
            raise ReparamError(f"bayesian-decoder: {name}={value:g}; it must be above 0.")
    network = decoder or nn.Sequential(
        choose.generator(latent, data.shape, "mlp", width), noise_of(likelihood, noise, data)
    )
    model = BayesianDecoder(
        NormalWeights(network, std), spread_out(points, latent), data.examples, keep=keep, every=every
    )
    step /= math.sqrt(data.examples)
    rule = MetropolisHastings(Ramp(warm_up, step / 4, step), PROPOSALS[proposal], batch, temperature)
    return Recipe(model, {"default": rule}, batch_size=500, steps=20_000)


def spread_out(points: int, latent: int) -> Tensor:
    """Points that stand for N(0, I) better than draws do: Sobol's, by the inverse distribution function."""
    if points < 2:
        raise ReparamError(f"points={points}: a code says nothing unless there are two of them.")
    return torch.special.ndtri(SobolEngine(latent).draw(points + 1, dtype=torch.float64)[1:]).float()
