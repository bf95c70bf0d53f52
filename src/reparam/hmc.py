"""Hamiltonian Monte Carlo: one transition, of many chains at once. Neal 2011 (arXiv:1206.1901)."""

from collections.abc import Callable

import torch
from torch import Tensor

LogDensity = Callable[[Tensor], Tensor]
"""Points (…, d) → log density (…), up to a constant; a point's value depends on that point alone."""


def transition(
    log_density: LogDensity, z: Tensor, step: Tensor, leapfrog: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """The next points (…, d), and the probability (…) with which each was accepted.

    Args:
        log_density: what is kept.
        z: the points (…, d).
        step: the leapfrog's step size, broadcast over (…). It may depend on nothing of the chain's past.
        leapfrog: steps of one trajectory, at least 1.
        generator: of momenta and decisions, drawn on its own device.
    """

    def draw(shape: torch.Size, of: Callable[..., Tensor]) -> Tensor:
        return of(shape, generator=generator, dtype=z.dtype, device=generator.device).to(z.device)

    # Each trajectory's length is its own: at one length, directions of that period would never mix.
    step = (step * (0.8 + 0.4 * draw(z.shape[:-1], torch.rand)))[..., None]
    momentum = draw(z.shape, torch.randn)
    at, gradient = _with_gradient(log_density, z)
    before = at - 0.5 * momentum.square().sum(-1)
    moved, after = z, at
    for _ in range(leapfrog):
        momentum = momentum + 0.5 * step * gradient
        moved = moved + step * momentum
        after, gradient = _with_gradient(log_density, moved)
        momentum = momentum + 0.5 * step * gradient
    change = after - 0.5 * momentum.square().sum(-1) - before
    # A trajectory that left the numbers is refused.
    probability = torch.nan_to_num(change, nan=-torch.inf).clamp(max=0).exp()
    accepted = draw(probability.shape, torch.rand) < probability
    return torch.where(accepted[..., None], moved, z), probability


def _with_gradient(log_density: LogDensity, z: Tensor) -> tuple[Tensor, Tensor]:
    with torch.enable_grad():
        z = z.detach().requires_grad_()
        value = log_density(z)
        (gradient,) = torch.autograd.grad(value.sum(), z)
    return value.detach(), gradient
