"""Importance-weighted bound on log p(x): Burda et al. 2016, eq. 8. Nats and bits per dimension."""

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from reparam.errors import ReparamError
from reparam.metrics.arrays import Array, vector
from reparam.metrics.bootstrap import interval, mean, resampled
from reparam.metrics.measure import Measure
from reparam.noise import DeviceRng, Source

Noise = Callable[[int, torch.Generator], Tensor]
"""(n, generator) → (n, …): one draw for each example."""


def standard_normal(*shape: int, dtype: torch.dtype = torch.float32) -> Noise:
    """Noise of law N(0, I), `shape` for each example."""
    return lambda n, generator: torch.randn(n, *shape, generator=generator, dtype=dtype)


def one_draw(source: Source, *, dtype: torch.dtype = torch.float32) -> Noise:
    """Noise of a model's source; of one draw, its last dimension, where it has several for an example."""
    one = replace(source, shape=source.shape[-1:])
    return lambda n, generator: one.draw(DeviceRng(generator), n).to(dtype)


def importance_weighted(
    log_weights: Callable[[Tensor, Tensor], Tensor],
    x: Tensor,
    noise: Noise,
    *,
    draws: int,
    chunk: int = 16,
    seed: int = 0,
) -> Tensor:
    """log (1/K) Σₖ wₖ with K = `draws`, for each example: x (n, …) → (n,) float64, in nats.

    `log_weights(x, eps)` with eps (n, k, …) returns log p(x, z) − log q(z|x), (n, k). K = 1 is one draw
    of the ELBO. Draw k is the k-th call of `noise`, so that `chunk`, the draws held at once, changes no
    number. Raises ReparamError if `draws` or `chunk` is below 1, or the weights have another shape.
    """
    if draws < 1 or chunk < 1:
        raise ReparamError(f"importance_weighted: draws is {draws} and chunk {chunk}, expected at least 1.")
    generator = torch.Generator().manual_seed(seed)
    total = torch.full((len(x),), -math.inf, dtype=torch.float64)
    with torch.no_grad():
        for start in range(0, draws, chunk):
            k = min(chunk, draws - start)
            eps = torch.stack([noise(len(x), generator) for _ in range(k)], 1).to(x.device)
            logs = log_weights(x, eps)
            if logs.shape != (len(x), k):
                raise ReparamError(f"log_weights returned shape {tuple(logs.shape)}, expected {(len(x), k)}.")
            total = torch.logaddexp(total, logs.double().logsumexp(1).cpu())
    return total - math.log(draws)


def likelihood(per_example: Array, *, draws: int, seed: int = 0) -> Measure:
    """Mean of the bounds of `importance_weighted` (n,), in nats; the interval is over the examples alone.

    The bound rises with K, so two models compare only at one K. Raises ReparamError on other shapes or
    infinities.
    """
    return log_likelihood(per_example, f"Importance-weighted bound, K = {draws}", seed=seed)


def log_likelihood(per_example: Array, what: str, *, seed: int = 0) -> Measure:
    """Mean of log p(x), or of `what` else it is, (n,) in nats; the interval is over the examples alone."""
    x = vector(per_example, "bounds")
    how = f"{what}, mean of {len(x)} examples; {resampled(seed)}."
    return Measure(x.mean().item(), *interval(mean, x, seed=seed), len(x), "nats", "higher", how)


def bits_per_dim(nats: float, d: int) -> float:
    """Negative log-likelihood of `nats` for one example of `d` dimensions, in bits/dim: nats / (d · ln 2).

    The density must be one over the discrete levels; a density of pixels scaled to [0, 1] lacks log₂ 256
    = 8 bits.
    """
    return nats / (d * math.log(2))
