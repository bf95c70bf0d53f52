"""Bits/dim of 8-bit data under a density, by uniform dequantisation: Theis et al. 2016 (arXiv:1511.01844).

Level k is the cell [k/256, (k + 1)/256): its probability is an integral of the density, which the mean over
uniform points of the cell estimates. Bernoulli and discretised-logistic likelihoods need none of it: they are
probabilities of the levels themselves.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from reparam.errors import ReparamError
from reparam.metrics.arrays import Array, vector
from reparam.metrics.bootstrap import interval, mean, resampled
from reparam.metrics.likelihood import Noise, bits_per_dim
from reparam.metrics.measure import Measure

LogWeights = Callable[[Tensor, Tensor], Tensor]


def dequantised(
    log_weights: LogWeights, x: Tensor, eps: Noise, levels: int = 256
) -> tuple[LogWeights, Noise]:
    """Importance weights of the levels' probability, and the noise they take, for `importance_weighted`.

    Args:
        log_weights: (x (n, …), eps (n, k, numbers)) → (n, k), of a density on [0, 1].
        x: data (n, …) on the grey levels 0, 1/(levels − 1), …, 1.
        eps: one draw for each example, (n, numbers).
        levels: of grey.

    Each draw has its own point of the cell beside its own z: with K draws both are integrated, and the bound
    rises to log P(x) itself. Raises ReparamError for x off the levels.
    """
    grey = x * (levels - 1)
    on_levels = (grey - grey.round()).abs() < 1e-2
    if not bool((on_levels & (x >= 0) & (x <= 1)).all()):
        raise ReparamError(
            f"dequantisation is for data on the {levels} levels from 0 to 1, and x has values between them; "
            "real-valued data have a density alone: state nats."
        )
    d = x[0].numel()

    def noise(n: int, generator: torch.Generator) -> Tensor:
        return torch.cat([eps(n, generator), torch.rand(n, d, generator=generator)], 1)

    def of_levels(x: Tensor, draws: Tensor) -> Tensor:
        n, k, numbers = draws.shape
        own, u = draws.to(x.dtype).split([numbers - d, d], 2)
        level = (x * (levels - 1)).round()[:, None]
        inside = (level + u.view(n, k, *x.shape[1:])) / levels
        density = log_weights(inside.flatten(0, 1), own.flatten(0, 1)[:, None]).view(n, k)
        return density - d * math.log(levels)

    return of_levels, noise


def bits(per_example: Array, *, d: int, how: str, seed: int = 0) -> Measure:
    """Mean −log₂ P(x) / d of bounds on log P(x) (n,) in nats, of data on discrete levels; lower is better.

    `how` says whose probability it is, for the statement. Raises ReparamError for d below 1.
    """
    x = vector(per_example, "bounds")
    if d < 1:
        raise ReparamError(f"bits: d is {d}, expected at least 1.")
    each = -x / (d * math.log(2))
    how = f"{how}, mean of {len(x)} examples; {resampled(seed)}."
    value = bits_per_dim(-x.mean().item(), d)
    return Measure(value, *interval(mean, each, seed=seed), len(x), "bits/dim", "lower", how)
