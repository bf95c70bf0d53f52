"""Distributions: densities that integrate to one, divergences, pushed noise, gradients that stay finite."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor
from torch.testing import assert_close

from reparam.distributions import (
    Bernoulli,
    ContinuousBernoulli,
    Delta,
    DiscretisedLogistic,
    Gaussian,
    LogNormal,
    total,
)

LOGITS = [0.0, *(s * v for v in (1e-8, 1e-4, 0.0099, 0.0101, 0.099, 0.101, 0.5, 3.0, 30.0) for s in (1, -1))]
LEVELS = torch.arange(256, dtype=torch.float64) / 255


def column(*values: float) -> Tensor:
    """(n, 1) in float64."""
    return torch.tensor(values, dtype=torch.float64)[:, None]


def repeated(value: float, x: Tensor) -> Tensor:
    return torch.full_like(x, value)


def integral(log_density: Tensor, weights: Tensor) -> Tensor:
    return (log_density.exp() * weights).sum()


def grid(low: float, high: float, n: int = 400) -> tuple[Tensor, Tensor]:
    """Gauss–Legendre points (n, 1) and weights (n,)."""
    x, w = np.polynomial.legendre.leggauss(n)
    return column(*(low + (high - low) * (x + 1) / 2)), torch.from_numpy(w * (high - low) / 2)


def uniforms(n: int = 20_000) -> Tensor:
    """(n, 1) float64 on [0, 1)."""
    return torch.from_numpy(np.random.Generator(np.random.PCG64(0)).random((n, 1)))


# Densities are densities


@pytest.mark.parametrize(("mean", "log_std"), [(0.0, 0.0), (1.5, -3.0), (-2.0, 1.0)])
def test_gaussian_integrates_to_one(mean: float, log_std: float):
    std = math.exp(log_std)
    x, w = grid(mean - 12 * std, mean + 12 * std)
    one = integral(Gaussian(repeated(mean, x), repeated(log_std, x)).log_prob(x), w)
    assert_close(one, torch.ones_like(one), rtol=1e-9, atol=0)


def test_log_normal_is_torch_s():
    location, log_std, noise = (column(*row) for row in ((0.5, -1.0), (-1.0, 0.2), (0.3, -2.0)))
    p, reference = LogNormal(location, log_std), torch.distributions.LogNormal(location, log_std.exp())
    z = p.at(noise)
    assert_close(p.log_prob(z), reference.log_prob(z)[:, 0])
    assert_close(p.mean, reference.mean)
    assert_close(p.median, reference.icdf(column(0.5, 0.5)))
    draws, log_q = p.draws(noise[:, None])
    assert_close(draws[:, 0], z)
    assert_close(log_q[:, 0], p.log_prob(z))
    other = torch.distributions.LogNormal(column(0.2, 0.2), column(0.7, 0.7))
    kl = p.kl(LogNormal(column(0.2, 0.2), column(0.7, 0.7).log()))
    assert_close(kl, torch.distributions.kl_divergence(reference, other)[:, 0])


@pytest.mark.parametrize("logit", LOGITS)
def test_continuous_bernoulli_integrates_to_one_and_to_its_mean(logit: float):
    x, w = grid(0, 1)
    p = ContinuousBernoulli(repeated(logit, x))
    density = p.log_prob(x).exp()
    assert_close((density * w).sum(), torch.tensor(1.0, dtype=torch.float64), rtol=1e-8, atol=0)
    assert_close((density * x[:, 0] * w).sum(), p.mean[0, 0], rtol=1e-7, atol=0)


@pytest.mark.parametrize("logit", LOGITS)
def test_continuous_bernoulli_in_float32(logit: float):
    x, _ = grid(0, 1, 50)
    exact = ContinuousBernoulli(repeated(logit, x))
    single = ContinuousBernoulli(repeated(logit, x).float())
    assert_close(single.log_prob(x.float()).double(), exact.log_prob(x), rtol=1e-5, atol=2e-6)
    assert_close(single.mean.double(), exact.mean, rtol=2e-5, atol=0)


@pytest.mark.parametrize("mean", [-0.3, 0.0, 1e-3, 0.2, 0.5, 1.0, 1.2])
@pytest.mark.parametrize("log_scale", [-7.0, -4.0, -2.0, 0.0, 3.0])
def test_discretised_logistic_sums_to_one(mean: float, log_scale: float):
    x = LEVELS[:, None]
    one = DiscretisedLogistic(repeated(mean, x), repeated(log_scale, x)).log_prob(x).exp().sum()
    assert_close(one, torch.ones_like(one), rtol=1e-9, atol=0)


def test_discretised_logistic_levels_are_those_of_the_bytes():
    # As a batch makes them, in float32, dividing bytes by 255: no level may fall between two bins.
    x = torch.arange(256, dtype=torch.uint8).float().div_(255)[:, None]
    p = DiscretisedLogistic(torch.full_like(x, 0.4), torch.full_like(x, -2.0))
    exact = DiscretisedLogistic(p.mean.double(), p.log_scale.double()).log_prob(LEVELS[:, None])
    assert_close(p.log_prob(x).double(), exact, rtol=1e-4, atol=1e-4)


def test_bernoulli_sums_to_one():
    logits = column(*LOGITS)
    one = sum(Bernoulli(logits).log_prob(torch.full_like(logits, bit)).exp() for bit in (0, 1))
    assert_close(one, torch.ones(len(LOGITS), dtype=torch.float64))


# Oracles


def test_gaussian_against_scipy():
    draw = np.random.default_rng(0)
    x, mean, log_std = (torch.from_numpy(draw.normal(size=(7, 2, 3))) for _ in range(3))
    expected = stats.norm(mean.numpy(), np.exp(log_std.numpy())).logpdf(x.numpy()).sum((1, 2))
    assert_close(Gaussian(mean, log_std).log_prob(x), torch.from_numpy(expected))


def test_a_scalar_deviation_counts_once_for_each_dimension():
    x = torch.zeros(2, 3, 4, dtype=torch.float64)
    scalar = Gaussian(x, torch.tensor(-1.0, dtype=torch.float64))
    assert_close(scalar.log_prob(x), Gaussian(x, torch.full_like(x, -1.0)).log_prob(x))
    assert_close(scalar.log_prob(x), torch.full((2,), 12 * stats.norm(0, math.exp(-1)).logpdf(0)).double())


def test_bernoulli_against_scipy():
    logits = column(*LOGITS)
    for bit in (0, 1):
        expected = stats.logistic.logcdf((2 * bit - 1) * logits.numpy())[:, 0]
        found = Bernoulli(logits).log_prob(torch.full_like(logits, bit))
        assert_close(found, torch.from_numpy(expected), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("logit", [-30.0, -2.0, -0.05, 0.05, 2.0, 30.0])
def test_continuous_bernoulli_against_the_truncated_exponential(logit: float):
    # p(x) ∝ e^{ℓx} on [0, 1]: for ℓ < 0 scipy's truncexpon of scale −1/ℓ, for ℓ > 0 that mirrored.
    x = np.linspace(0.01, 0.99, 9)
    side = x if logit < 0 else 1 - x
    expected = stats.truncexpon(b=abs(logit), scale=1 / abs(logit)).logpdf(side)
    found = ContinuousBernoulli(column(*[logit] * 9)).log_prob(column(*x))
    assert_close(found, torch.from_numpy(expected), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(("mean", "log_scale"), [(0.3, -2.0), (0.9, -4.0)])
def test_discretised_logistic_against_scipy(mean: float, log_scale: float):
    law, half = stats.logistic(mean, math.exp(log_scale)), 0.5 / 255
    x = LEVELS.numpy()
    upper, lower = np.where(x == 1, 1, law.cdf(x + half)), np.where(x == 0, 0, law.cdf(x - half))
    found = DiscretisedLogistic(repeated(mean, LEVELS[:, None]), repeated(log_scale, LEVELS[:, None]))
    assert_close(
        found.log_prob(LEVELS[:, None]).exp(), torch.from_numpy(upper - lower), rtol=1e-7, atol=1e-14
    )


# Divergence


def test_kl_in_closed_form():
    q = Gaussian(column(0.5, 0.0, -2.0).expand(3, 4), column(0.1, 0.0, -1.0).expand(3, 4))
    by_torch = torch.distributions.kl_divergence(
        torch.distributions.Normal(q.mean, q.log_std.exp()), torch.distributions.Normal(0.0, 1.0)
    ).sum(1)
    assert_close(q.kl(), by_torch)
    assert q.kl()[1] == 0


def test_kl_by_monte_carlo():
    n = 200_000
    eps = torch.from_numpy(np.random.default_rng(3).normal(size=(n, 2)))
    mean, log_std = torch.tensor([0.7, -1.2]).double(), torch.tensor([-0.4, 0.3]).double()
    q = Gaussian(mean.expand(n, 2), log_std.expand(n, 2))
    z = q.at(eps)
    ratio = q.log_prob(z) - Gaussian(torch.zeros_like(z), torch.zeros_like(z)).log_prob(z)
    error = float(ratio.std()) / math.sqrt(n)
    assert_close(ratio.mean(), q.kl()[0], rtol=0, atol=5 * error)


# Noise pushed forward

BELOW = 1e-6  # level of each test here; the draws are fixed


@pytest.mark.parametrize(("mean", "log_std"), [(0.0, 0.0), (3.0, -2.0)])
def test_gaussian_at(mean: float, log_std: float):
    eps = torch.from_numpy(np.random.default_rng(1).normal(size=(20_000, 1)))
    x = Gaussian(repeated(mean, eps), repeated(log_std, eps)).at(eps)
    assert stats.kstest(x[:, 0].numpy(), stats.norm(mean, math.exp(log_std)).cdf).pvalue > BELOW


@pytest.mark.parametrize("logit", LOGITS)
def test_continuous_bernoulli_at(logit: float):
    u = uniforms()
    x = ContinuousBernoulli(repeated(logit, u)).at(u)[:, 0].numpy()
    assert ((x >= 0) & (x <= 1)).all()
    cdf = np.expm1(logit * x) / np.expm1(logit) if logit else x
    # F at F⁻¹(u) gives u back; the law follows from that of u. Near 0 the series leaves out ℓ²u(1−u)(1−2u)/6.
    assert_close(torch.from_numpy(cdf), u[:, 0], rtol=0, atol=2e-6)


def test_continuous_bernoulli_at_in_float32():
    for logit in LOGITS:
        u = uniforms(500).float()
        x = ContinuousBernoulli(repeated(logit, u)).at(u)
        exact = ContinuousBernoulli(repeated(logit, u.double())).at(u.double())
        assert_close(x.double(), exact, rtol=0, atol=2e-5)


def test_bernoulli_at():
    u = uniforms()
    for logit in (-2.0, 0.0, 3.0):
        x = Bernoulli(repeated(logit, u)).at(u)
        assert set(x.unique().tolist()) == {0.0, 1.0}
        assert stats.binomtest(int(x.sum()), len(x), 1 / (1 + math.exp(-logit))).pvalue > BELOW
    assert Bernoulli(column(200.0)).at(column(1 - 1e-12)) == 1
    assert Bernoulli(column(-200.0)).at(column(0.0)) == 1  # 0 < e^−200: the interval is half open


@pytest.mark.parametrize(("mean", "log_scale"), [(0.5, -3.0), (0.02, -2.5), (0.99, -4.5)])
def test_discretised_logistic_at_has_the_levels_probabilities(mean: float, log_scale: float):
    u = uniforms()
    p = DiscretisedLogistic(repeated(mean, u), repeated(log_scale, u))
    level = (p.at(u)[:, 0] * 255).round().long()
    assert_close(p.at(u)[:, 0], level.double() / 255)
    x = LEVELS[:, None]
    expected = DiscretisedLogistic(repeated(mean, x), repeated(log_scale, x)).log_prob(x).exp() * len(u)
    often = expected > 5
    observed = torch.bincount(level, minlength=256)[often].double().numpy()
    wanted = (expected[often] * observed.sum() / expected[often].sum()).numpy()
    assert stats.chisquare(observed, wanted).pvalue > BELOW


def test_delta_is_its_point_and_has_no_density():
    point = column(1.0, 2.0)
    assert Delta(point).at(torch.randn(2, 1, generator=torch.Generator().manual_seed(0))) is point
    with pytest.raises(TypeError, match="no density"):
        Delta(point).log_prob(point)


# Means


def test_means():
    logits = column(*LOGITS)
    assert_close(Bernoulli(logits).mean, torch.sigmoid(logits))
    # ½ at λ = ½, and mirrored about it.
    mean = ContinuousBernoulli(logits).mean
    assert_close(mean[0], torch.tensor([0.5], dtype=torch.float64))
    assert_close(mean, 1 - ContinuousBernoulli(-logits).mean)
    u = uniforms(200_000)
    for logit in (-3.0, 0.5, 30.0):
        x = ContinuousBernoulli(repeated(logit, u)).at(u)
        expected = ContinuousBernoulli(repeated(logit, u)).mean[0, 0]
        assert_close(x.mean(), expected, rtol=0, atol=5 * float(x.std()) / math.sqrt(len(u)))


def test_total_sums_all_but_the_batch():
    assert_close(total(torch.ones(3, 2, 4)), torch.full((3,), 8.0))
    assert total(torch.ones(5, 1)).shape == (5,)


# Gradients


def finite(law: type, x: Tensor, *fields: Tensor) -> None:
    fields = tuple(f.clone().requires_grad_() for f in fields)
    value = law(*fields).log_prob(x)
    assert torch.isfinite(value).all(), value
    for gradient in torch.autograd.grad(value.sum(), fields):
        assert torch.isfinite(gradient).all(), gradient


def test_gradients_are_finite_in_float32_at_extremes():
    logits = torch.tensor([*LOGITS, 100.0, -100.0, 1e4, -1e4])[:, None]
    for value in (0.0, 0.5, 1.0):
        finite(ContinuousBernoulli, torch.full_like(logits, value), logits)
    for bit in (0.0, 1.0):
        finite(Bernoulli, torch.full_like(logits, bit), logits)
    for x, mean, log_std in itertools.product((0.0, 1.0, 50.0), (0.0, -30.0), (-10.0, -6.0, 5.0)):
        finite(Gaussian, torch.full((1, 1), x), torch.full((1, 1), mean), torch.full((1, 1), log_std))
    for x, mean, log_scale in itertools.product((0.0, 100 / 255, 1.0), (0.0, 0.4, 1.0), (-7.0, -2.0, 5.0)):
        finite(
            DiscretisedLogistic,
            torch.full((1, 1), x),
            torch.full((1, 1), mean),
            torch.full((1, 1), log_scale),
        )


def test_the_continuous_bernoulli_s_mean_has_finite_gradients_where_forms_meet():
    logits = torch.tensor(LOGITS)[:, None].requires_grad_()
    for value in (ContinuousBernoulli(logits).mean, ContinuousBernoulli(logits).at(torch.full((1, 1), 0.3))):
        (gradient,) = torch.autograd.grad(value.sum(), logits)
        assert torch.isfinite(gradient).all()
        assert (gradient >= 0).all()  # a larger logit moves the law up


@pytest.mark.parametrize(
    ("law", "field"),
    [
        (Gaussian, (-1.0, 0.3)),
        (ContinuousBernoulli, (2.0,)),
        (ContinuousBernoulli, (0.05,)),
        (ContinuousBernoulli, (1e-3,)),
        (Bernoulli, (0.7,)),
        (DiscretisedLogistic, (0.4, -2.0)),
    ],
)
def test_gradcheck(law: type, field: tuple[float, ...]):
    x = column(0.0, 51 / 255, 1.0)
    fields = tuple(repeated(value, x).requires_grad_() for value in field)
    assert torch.autograd.gradcheck(lambda *given: law(*given).log_prob(x), fields)


def test_gradcheck_of_what_is_pushed_and_of_the_divergence():
    fields = column(0.3, -0.4).requires_grad_(), column(0.1, -2.0).requires_grad_()
    assert torch.autograd.gradcheck(lambda m, s: Gaussian(m, s).at(column(0.5, -1.0)), fields)
    assert torch.autograd.gradcheck(lambda m, s: Gaussian(m, s).kl(), fields)
    logits = column(2.0, -3.0, 5e-3).requires_grad_()
    # Near 0 `at` is a first-order series: its slope is right to the square of the logit.
    push = ContinuousBernoulli(logits).at(column(0.2, 0.6, 0.5))
    ahead = ContinuousBernoulli(logits.detach() + 1e-6).at(column(0.2, 0.6, 0.5))
    (slope,) = torch.autograd.grad(push.sum(), logits)
    assert_close(slope, (ahead - push.detach()) / 1e-6, rtol=1e-4, atol=1e-6)
