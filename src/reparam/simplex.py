"""Dirichlet laws made from given noise: gamma variables by their inverse distribution function.

PyTorch's own sampler draws from a generator inside; here the draw is a function of uniform numbers, and its
gradient is exact: that of the quantile (Figurnov, Mohamed & Mnih 2018, arXiv:1805.08498, eq. 5).
"""

import torch
from torch import Tensor

HALVINGS, STEPS = 12, 5  # of the interval in which a quantile is looked for, and of Newton from there


class _LogGammaQuantile(torch.autograd.Function):
    """log x with P(alpha, x) = u, computed in float64."""

    @staticmethod
    def forward(ctx, alpha: Tensor, u: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        a, p = alpha.double(), u.double()
        # P(a, x) ≤ xᵃ / Γ(a + 1), so the quantile is not below that of the right-hand side.
        low = (p.log() + torch.lgamma(a + 1)) / a
        high = torch.log(a + 12 * a.sqrt() + 50)
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            below = torch.special.gammainc(a, middle.exp()) < p
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        found = (low + high) / 2
        for _ in range(STEPS):
            slope = _slope(a, found)
            found = (found - (torch.special.gammainc(a, found.exp()) - p) / slope).clamp(low, high)
        ctx.save_for_backward(a, found)
        return found.to(alpha.dtype)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        a, log_x = ctx.saved_tensors
        x, h = log_x.exp(), 1e-4 * a
        by_alpha = (torch.special.gammainc(a + h, x) - torch.special.gammainc(a - h, x)) / (2 * h)
        return (-by_alpha / _slope(a, log_x) * gradient).to(gradient.dtype), None


def _slope(a: Tensor, log_x: Tensor) -> Tensor:
    """That of P(a, x) in log x."""
    return torch.exp(a * log_x - log_x.exp() - torch.lgamma(a))


def log_gamma_quantile(alpha: Tensor, u: Tensor) -> Tensor:
    """log x of the Gamma(alpha, 1) variable x that u in (0, 1) stands for; differentiable in alpha."""
    return _LogGammaQuantile.apply(alpha, u.clamp(2.0**-25, 1 - 2.0**-24))


def dirichlet(alpha: Tensor, u: Tensor, real: Tensor) -> Tensor:
    """A point of the simplex, (…, S): Dirichlet(alpha) over the places that are real, 0 at the others.

    alpha and u ~ U[0, 1) are (…, S), real is boolean and broadcasts.
    """
    log_x = log_gamma_quantile(alpha, u)
    return log_x.masked_fill(~real, -torch.inf).softmax(-1)


def dirichlet_kl(a: Tensor, b: Tensor, real: Tensor) -> Tensor:
    """KL(Dirichlet(a) ‖ Dirichlet(b)) over the places that are real, in nats: (…, S) → (…)."""
    total_a, total_b = (each.masked_fill(~real, 0).sum(-1, keepdim=True) for each in (a, b))
    each = torch.lgamma(b) - torch.lgamma(a) + (a - b) * (torch.digamma(a) - torch.digamma(total_a))
    normalisers = (torch.lgamma(total_a) - torch.lgamma(total_b)).squeeze(-1)
    return normalisers + each.masked_fill(~real, 0).sum(-1)
