"""Dirichlet draws from given uniform numbers, against scipy and torch."""

import scipy.special
import scipy.stats
import torch
from torch.testing import assert_close

from reparam.simplex import dirichlet, dirichlet_kl, log_gamma_quantile

ALPHA = torch.tensor([0.05, 0.3, 1.0, 4.0, 60.0], dtype=torch.float64)


def uniform(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_quantiles_are_scipys():
    u = uniform(200, 5).clamp(1e-6, 1 - 1e-6)
    expected = torch.from_numpy(scipy.stats.gamma.ppf(u.numpy(), ALPHA.numpy()))
    assert_close(log_gamma_quantile(ALPHA.expand(200, 5), u).exp(), expected, rtol=1e-9, atol=1e-300)


def test_the_gradient_is_the_quantiles_slope():
    u, h = uniform(50, 5), 1e-5
    alpha = ALPHA.expand(50, 5).clone().requires_grad_()
    (slope,) = torch.autograd.grad(log_gamma_quantile(alpha, u).sum(), alpha)
    ahead, behind = (log_gamma_quantile(alpha.detach() * (1 + s * h), u) for s in (1, -1))
    assert_close(slope, (ahead - behind) / (2 * h * ALPHA), rtol=1e-6, atol=1e-7)


def test_draws_have_the_laws_moments_and_leave_out_what_is_not_real():
    alpha, real = (
        torch.tensor([0.5, 2.0, 3.0, 9.0], dtype=torch.float64),
        torch.tensor([True, True, True, False]),
    )
    drawn = dirichlet(alpha.expand(20_000, 4), uniform(20_000, 4), real)
    assert not drawn[:, 3].any()
    law = torch.distributions.Dirichlet(alpha[:3])
    assert_close(drawn[:, :3].mean(0), law.mean, atol=0.006, rtol=0)
    assert_close(drawn[:, :3].var(0), law.variance, atol=0.003, rtol=0)


def test_the_divergence_is_torchs():
    a, b = uniform(6, 4) + 0.1, uniform(6, 4) * 5 + 0.1
    real = torch.tensor([True, True, True, False])
    laws = (torch.distributions.Dirichlet(each[:, :3]) for each in (a, b))
    assert_close(dirichlet_kl(a, b, real), torch.distributions.kl_divergence(*laws))
