"""Laws on the sphere against quadrature, long arithmetic and many draws; the model made of them."""

import math
from collections.abc import Callable

import mpmath
import numpy as np
import pytest
import torch
from scipy import integrate, stats
from torch import Tensor
from torch.testing import assert_close

import reparam
from reparam import evaluate_likelihood
from reparam.bounds import log_likelihood
from reparam.data import load
from reparam.errors import ReparamError
from reparam.nets import heads
from reparam.noise import Around, Streams
from reparam.spheres import (
    UNIFORMS,
    PowerSpherical,
    UniformOnSphere,
    VonMisesFisher,
    around,
    log_area,
    log_moment,
)

DIMENSIONS = [2, 3, 5, 10, 41, 42, 75, 300, 1000, 10_000]
KAPPAS = [1e-3, 0.1, 1.69, 19.9, 20.1, 100.0, 1e4, 1e5]
LAWS = {"vmf": (VonMisesFisher, UNIFORMS), "power-spherical": (PowerSpherical, 1)}


def pole(m: int) -> Tensor:
    return torch.eye(m)[:1]


def direction(m: int, seed: int = 0) -> Tensor:
    x = torch.randn(1, m, generator=torch.Generator().manual_seed(seed))
    return x / x.norm()


def drawn(law: str, mu: Tensor, kappa: Tensor, n: int, seed: int = 0) -> Tensor:
    """n draws at one direction (1, m) and one κ (1, 1)."""
    cls, uniforms = LAWS[law]
    noise = Streams(seed, "cpu", "device").draw("eps", Around.of(mu.shape[1], uniforms), n, 0)
    return cls(mu.expand(n, -1), kappa.expand(n, 1)).at(noise)


def within(values: Tensor, expected: float, errors: float = 5) -> None:
    """The mean of draws is what it should be, but for its standard error and float32's digits."""
    values = values.detach().double()
    off = abs(float(values.mean()) - expected)
    assert off < errors * float(values.std()) / math.sqrt(len(values)) + 3e-7, (
        float(values.mean()),
        expected,
    )


# The normaliser and the KL


def exact(m: int, kappa: float) -> tuple[mpmath.mpf, mpmath.mpf, mpmath.mpf]:
    """log E[exp κw], its derivative A and the KL in 50 digits, by the power series."""
    with mpmath.workdps(50):
        k = mpmath.mpf(kappa)
        moment, higher = (mpmath.hyp0f1(mpmath.mpf(d) / 2, k * k / 4, maxterms=10**6) for d in (m, m + 2))
        ratio = k / m * higher / moment
        return mpmath.log(moment), ratio, k * ratio - mpmath.log(moment)


@pytest.mark.parametrize("m", DIMENSIONS)
def test_kl_and_its_gradient_in_float32(m: int):
    for value in (v for v in KAPPAS if m < 1000 or v < 1e4):  # beyond, the series is slow: see the recurrence
        kappa = torch.tensor([[value]], requires_grad=True)
        moment, ratio, kl = exact(m, kappa.item())
        slope = kappa.item() * (1 - ratio**2 - (m - 1) * ratio / kappa.item())
        found = VonMisesFisher(pole(m), kappa).kl()
        assert_close(log_moment(kappa, m).item(), float(moment), rtol=1e-8, atol=0)
        assert_close(found.item(), float(kl), rtol=2e-7, atol=0)
        assert_close(torch.autograd.grad(found, kappa)[0].item(), float(slope), rtol=3e-6, atol=0)


@pytest.mark.parametrize("m", DIMENSIONS)
def test_the_recurrence_of_bessel_functions(m: int):
    # I_{ν−1} = I_{ν+1} + 2ν/κ I_ν in terms of the moment.
    kappa = torch.logspace(-3, 5, 200, dtype=torch.float64)
    first, second, third = (log_moment(kappa, d) for d in (m, m + 2, m + 4))
    scaled = torch.exp(second - first) + kappa.square() / (m * (m + 2)) * torch.exp(third - first)
    assert_close(scaled, torch.ones_like(kappa), rtol=3e-9, atol=0)


def test_the_kl_where_others_fail():
    # A float32 Bessel function made it 9.08 at m = 300, κ = 100, and no number from m = 75 at κ = 1.69.
    assert_close(VonMisesFisher(pole(300), torch.tensor([[100.0]])).kl().item(), 14.43, rtol=0, atol=0.005)
    assert VonMisesFisher(pole(75), torch.tensor([[1.69]])).kl().isfinite()


def test_density_against_scipy():
    for m, kappa in ((2, 0.5), (3, 5.0), (7, 200.0)):
        x = torch.cat([direction(m, seed) for seed in range(1, 6)]).double()
        mu = direction(m).double()
        expected = stats.vonmises_fisher(mu[0].numpy(), kappa).logpdf(x.numpy())
        found = VonMisesFisher(mu.expand(5, -1), torch.full((5, 1), kappa).double()).log_prob(x)
        assert_close(found, torch.from_numpy(expected), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize(("m", "kappa"), [(2, 2.0), (3, 2.0), (10, 30.0), (50, 4.0)])
def test_densities_integrate_to_one_and_to_their_kl(law: str, m: int, kappa: float):
    q = LAWS[law][0](pole(m).double(), torch.tensor([[kappa]]).double())

    def log_prob(theta: float) -> float:
        x = torch.zeros(1, m, dtype=torch.float64)
        x[0, :2] = torch.tensor([math.cos(theta), math.sin(theta)])
        return float(q.log_prob(x))

    # Each θ stands for a sphere in one dimension less, of radius sin θ (two points where m is 2).
    inner = log_area(m - 1) if m > 2 else math.log(2)
    area = lambda t: math.exp(inner + log_prob(t)) * math.sin(t) ** (m - 2)  # noqa: E731
    assert_close(integrate.quad(area, 0, math.pi, epsrel=1e-6)[0], 1.0, rtol=1e-5, atol=0)
    kl = integrate.quad(lambda t: area(t) * (log_prob(t) + log_area(m)), 0, math.pi, epsrel=1e-6)[0]
    assert_close(q.kl().item(), kl, rtol=1e-5, atol=1e-6)


def test_the_power_spherical_kl_derived_by_hand():
    # The number printed by its authors, 1.2486, is not this.
    assert_close(PowerSpherical(pole(2), torch.tensor([[4.0]])).kl().item(), 0.8277, rtol=0, atol=5e-5)
    for m in (2, 75, 10_000):
        for kappa in (1e-3, 1e5):
            assert PowerSpherical(pole(m), torch.tensor([[kappa]])).kl().isfinite()


# Draws


def distribution(law: str, m: int, kappa: float) -> Callable[[np.ndarray], np.ndarray]:
    """The distribution function of θ, on a fine grid."""
    theta = np.linspace(0, math.pi, 200_001)
    with np.errstate(divide="ignore"):
        fall = kappa * (np.cos(theta) - 1) if law == "vmf" else 2 * kappa * np.log(np.cos(theta / 2))
        log_density = fall + ((m - 2) * np.log(np.sin(theta)) if m > 2 else 0)
    mass = integrate.cumulative_trapezoid(np.exp(log_density - log_density.max()), theta, initial=0)
    return lambda t: np.interp(t, theta, mass / mass[-1])


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize(
    ("m", "kappa"),
    [(2, 1e-3), (2, 5.0), (3, 1.25), (3, 50.0), (5, 2.0), (20, 50.0), (50, 50.0), (300, 1e3)],
)
def test_the_angle_has_its_law(law: str, m: int, kappa: float):
    x = drawn(law, pole(m), torch.tensor([[kappa]]), 20_000).double().numpy()
    theta = np.arctan2(np.linalg.norm(x[:, 1:], axis=1), x[:, 0])
    assert stats.kstest(theta, distribution(law, m, kappa)).pvalue > 1e-6
    if m > 2:  # and the bearing is uniform
        bearing = x[:, 1] / np.linalg.norm(x[:, 1:], axis=1)
        a = (m - 2) / 2
        assert stats.kstest((1 + bearing) / 2, stats.beta(a, a).cdf).pvalue > 1e-6


def test_a_million_draws():
    mu, kappa, ratio = direction(5), 2.0, float(exact(5, 2.0)[1])
    x = drawn("vmf", mu, torch.tensor([[kappa]]), 1_000_000)
    within(x @ mu[0], ratio)
    within((x @ mu[0]).square(), 1 - 4 * ratio / kappa)
    tangent = direction(5, seed=1)[0] - (direction(5, seed=1) @ mu[0]) * mu[0]
    within(x @ tangent, 0.0)
    within(drawn("power-spherical", mu, torch.tensor([[kappa]]), 200_000) @ mu[0], kappa / (kappa + 4))


def test_where_all_proposals_are_rejected_the_inverse_decides():
    noise = torch.rand(2000, UNIFORMS, generator=torch.Generator().manual_seed(0))
    noise[:, 2::3] = 1.0  # the tests that no proposal passes, and the last number, which is left
    noise[:, -1] = torch.linspace(1e-5, 1 - 1e-5, 2000)
    for m, kappa in ((2, 5.0), (5, 50.0), (50, 1.0)):
        bearing = pole(m - 1).expand(2000, -1)
        q = VonMisesFisher(pole(m).expand(2000, -1), torch.full((2000, 1), kappa))
        x = q.at(torch.cat([noise, bearing], 1)).double().numpy()
        found = distribution("vmf", m, kappa)(np.arctan2(abs(x[:, 1]), x[:, 0]))
        np.testing.assert_allclose(found, noise[:, -1].numpy(), rtol=0, atol=1e-5)


@pytest.mark.parametrize("m", [2, 3, 50])
def test_draws_stay_on_the_sphere_about_any_direction(m: int):
    near = pole(m).repeat(7, 1)
    near[:, 1] = torch.tensor([0.0, 1e-8, 1e-6, 1e-5, 1e-4, 1e-3, 0.5])
    near = near / near.norm(dim=1, keepdim=True)
    for mu in (*near, *-near):
        for kappa in (1.0, 1e5):
            x = drawn("vmf", mu[None], torch.tensor([[kappa]]), 300)
            assert_close(x.norm(dim=1), torch.ones(300), rtol=0, atol=1e-6)
        assert float((x @ mu).min()) > 0.999  # about this direction, and no other


def test_the_reflection_keeps_the_angle():
    theta, mu = torch.full((4, 1), 0.7), torch.cat([direction(6, seed) for seed in range(4)])
    x = around(mu, theta, torch.cat([direction(5, seed) for seed in range(4)]))
    assert_close((x * mu).sum(1), torch.full((4,), math.cos(0.7)))


def test_draws_stay_on_the_sphere_in_mixed_precision():
    noise = Streams(0).draw("eps", Around.of(20, UNIFORMS), 300, 0)
    with torch.autocast("cpu", torch.bfloat16):
        x = VonMisesFisher(direction(20).expand(300, -1), torch.full((300, 1), 50.0)).at(noise)
    assert_close(x.norm(dim=1), torch.ones(300), rtol=0, atol=1e-6)


def test_a_draw_does_not_depend_on_its_neighbours():
    # Steep and flat densities, which are drawn by different laws, alone and side by side.
    kappa = torch.tensor([[0.5], [50.0]]).repeat(200, 1)
    mu, noise = direction(5).expand(400, -1), Streams(0).draw("eps", Around.of(5, UNIFORMS), 400, 0)
    both = VonMisesFisher(mu, kappa).at(noise)
    for side in (slice(0, None, 2), slice(1, None, 2)):
        assert_close(VonMisesFisher(mu[side], kappa[side]).at(noise[side]), both[side])


# Gradients


def test_the_gradient_of_the_reflection():
    mu = torch.cat([pole(4), -pole(4), direction(4), direction(4, 1)]).double().requires_grad_()
    theta = torch.tensor([[0.3], [1.0], [2.0], [3.0]], dtype=torch.float64, requires_grad=True)
    tangent = torch.cat([direction(3, seed) for seed in range(4)]).double().requires_grad_()
    torch.autograd.gradcheck(around, (mu, theta, tangent))


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize(
    ("m", "kappa"), [(2, 0.5), (3, 10.0), (5, 2.0), (10, 10.0), (50, 80.0), (300, 100.0)]
)
def test_the_gradient_in_kappa_is_unbiased(law: str, m: int, kappa: float):
    # Through the rejection sampler alone it would be 0.1276 for von Mises–Fisher at m = 5, κ = 2.
    leaf = torch.full((40_000, 1), kappa, requires_grad=True)
    cls, uniforms = LAWS[law]
    noise = Streams(1, "cpu", "device").draw("eps", Around.of(m, uniforms), len(leaf), 0)
    x = cls(pole(m).expand(len(leaf), -1), leaf).at(noise)
    (slopes,) = torch.autograd.grad(x[:, 0].sum(), leaf)
    ratio = float(exact(m, kappa)[1])
    vmf = 1 - ratio**2 - (m - 1) * ratio / kappa
    within(slopes[:, 0], vmf if law == "vmf" else (m - 1) / (kappa + m - 1) ** 2)
    # The second moment's: E[w²] = 1 − (m − 1) A/κ, and of the Power Spherical from its Beta law.
    (slopes,) = torch.autograd.grad(
        cls(pole(m).expand(len(leaf), -1), leaf).at(noise)[:, 0].square().sum(), leaf
    )
    within(slopes[:, 0], -(m - 1) * (vmf / kappa - ratio / kappa**2) if law == "vmf" else _second(m, kappa))


def _second(m: int, kappa: float) -> float:
    def moment(k: float) -> float:
        b = stats.beta((m - 1) / 2 + k, (m - 1) / 2)
        return float(4 * b.var() + (2 * b.mean() - 1) ** 2)

    return (moment(kappa + 1e-4) - moment(kappa - 1e-4)) / 2e-4


def test_the_gradient_in_the_direction_is_unbiased():
    raw, kappa, c = torch.tensor([[0.9, -0.4, 0.3]]), 4.0, torch.tensor([0.2, 1.0, -0.7])
    leaf = raw.expand(100_000, -1).clone().requires_grad_()
    mu = leaf / leaf.norm(dim=1, keepdim=True)
    noise = Streams(2, "cpu", "device").draw("eps", Around.of(3, UNIFORMS), len(leaf), 0)
    x = VonMisesFisher(mu, torch.full((len(leaf), 1), kappa)).at(noise)
    (slopes,) = torch.autograd.grad((x @ c).sum(), leaf)
    unit = raw[0] / raw.norm()
    expected = float(exact(3, kappa)[1]) * (c - (c @ unit) * unit) / raw.norm()
    for found, wanted in zip(slopes.T, expected.tolist(), strict=True):
        within(found, wanted)


def test_the_power_spherical_angle_is_smooth_in_kappa():
    kappa = torch.full((6, 1), 3.0, dtype=torch.float64, requires_grad=True)
    noise = Streams(0).draw("eps", Around.of(4, 1), 6, 0).double()
    torch.autograd.gradcheck(
        lambda k: PowerSpherical(pole(4).double().expand(6, -1), k).at(noise), (kappa,), atol=1e-5, rtol=1e-4
    )


# The model


DATA = load(np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32))


def test_codes_and_lines_between_them_are_decoded_on_the_sphere():
    system = reparam.build("spherical-vae", DATA, latent=3, width=16)
    x = DATA.train.x[:6].float()
    z = system.encode(x)
    assert_close(z.norm(dim=1), torch.ones(6))
    assert_close(system.decode(0.5 * z), system.decode(z))


def test_importance_weights_on_the_circle_give_the_integral():
    # Not of the Power Spherical, whose density is 0 opposite its mode: so few draws do not tell that side.
    system = reparam.build("spherical-vae", DATA, latent=2, width=16, likelihood="gaussian", std=1.0)
    x, grid = DATA.train.x[:5], torch.linspace(0, 2 * math.pi, 2001)[:-1]
    circle = torch.stack([grid.cos(), grid.sin()], 1)[None].expand(5, -1, -1)
    exact_log_p = log_likelihood(system.model.decoder, x, circle).logsumexp(1) - math.log(2000)  # pyright: ignore
    found = evaluate_likelihood.bounds(system, x, 20_000, seed=0)  # standard error 0.012
    assert_close(found, exact_log_p.double().detach(), rtol=0, atol=0.05)
    # The mean of one draw's is the bound whose parts are known.
    many = x.repeat_interleave(2000, 0)
    elbo = system.score(many).view(5, -1).mean(1)
    single = evaluate_likelihood.bounds(system, many, 1, seed=1).view(5, -1).mean(1).float()
    assert_close(single, elbo, rtol=0, atol=0.05)


@pytest.mark.parametrize("law", LAWS)
def test_several_draws_are_those_of_one(law: str):
    cls, uniforms = LAWS[law]
    mu, kappa = torch.cat([direction(4, seed) for seed in range(3)]), torch.tensor([[0.5], [5.0], [50.0]])
    noise = Streams(0).draw("eps", Around.of(4, uniforms, 6), 3, 0)
    z, log_q = cls(mu, kappa).draws(noise)
    for k in range(6):
        one = cls(mu, kappa).at(noise[:, k])
        assert_close(z[:, k], one)
        assert_close(log_q[:, k], cls(mu, kappa).log_prob(one))
    assert_close(UniformOnSphere().log_prob(z[:, 0]), torch.full((3,), -log_area(4)))


def test_a_fixed_concentration_is_a_constant_rate():
    system = reparam.build("spherical-vae", DATA, latent=5, width=16, kappa=35.0)
    loss = system.model.turns()[0].loss
    x = torch.randn(8, 5, generator=torch.Generator().manual_seed(0))
    eps = Streams(0).draw("eps", Around.of(5, UNIFORMS, 1), 8, 0)
    rate = loss(x, eps=eps)["rate"]
    assert_close(rate, torch.full((8,), float(exact(5, 35.0)[2])))


@pytest.mark.parametrize("kappa", [0.0, -1.0, math.inf, math.nan])
def test_a_concentration_that_is_none_is_refused(kappa: float):
    with pytest.raises(ReparamError, match="finite number above 0"):
        heads.FixedVonMisesFisherCode(4, 3, kappa)


def test_a_sphere_of_one_dimension_is_refused():
    with pytest.raises(ReparamError, match="at least 2 dimensions"):
        reparam.build("spherical-vae", DATA, latent=1)
    with pytest.raises(ReparamError, match="posterior=vmf"):
        reparam.build("spherical-vae", DATA, posterior="power-spherical", kappa=3.0)
