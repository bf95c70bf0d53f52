"""HMC, annealed importance sampling, gaps of inference, rate, distortion and bits, against exact values."""

import math

import numpy as np
import pytest
import scipy.stats
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from reparam import bounds
from reparam.distributions import ContinuousBernoulli, Gaussian
from reparam.errors import ReparamError
from reparam.hmc import transition
from reparam.metrics.ais import annealed, sandwich, schedule
from reparam.metrics.dequantisation import bits, dequantised
from reparam.metrics.inference_gap import elbo, inference_gap, optimised
from reparam.metrics.likelihood import importance_weighted, standard_normal
from reparam.metrics.rate_distortion import rate_distortion
from reparam.metrics.refinement import refinement
from reparam.models.ppca import PPCA
from reparam.nets import heads

D, K = 6, 2


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=generator(seed), dtype=torch.float64)


def linear(orthogonal: bool = False) -> PPCA:
    """Probabilistic PCA; its posterior is diagonal where W's columns are orthogonal."""
    noise = heads.FixedGaussianNoise(1.0, False)
    decoder = nn.Sequential(nn.Linear(K, D), noise).double()
    w = randn(D, K, seed=3)
    w = torch.stack([w[:, 0], w[:, 0] + 0.5 * w[:, 1]], 1)
    with torch.no_grad():
        decoder[0].weight.copy_(torch.linalg.qr(w).Q * 1.5 if orthogonal else w)  # pyright: ignore
        decoder[0].bias.copy_(randn(D, seed=4))  # pyright: ignore
    return PPCA(decoder, K)


def simulated(model: PPCA, n: int, seed: int = 5) -> tuple[Tensor, Tensor]:
    """Data of the model, and the codes that they were made from: exact draws of their posteriors."""
    z = randn(n, K, seed=seed)
    return model.decoder(z).at(randn(n, D, seed=seed + 1)).detach(), z


def prior(n: int) -> Gaussian:
    return Gaussian(torch.zeros(n, K).double(), torch.zeros(n, K).double())


def joint(model: PPCA, x: Tensor):
    return lambda z: bounds.log_joint(model.decoder, x, z)


def exact(model: PPCA, x: Tensor) -> Tensor:
    return model.log_prob(x).detach()


# Hamiltonian Monte Carlo


def test_hmc_keeps_a_correlated_gaussian():
    covariance = torch.tensor([[1.0, 0.6], [0.6, 0.5]]).double()
    law = torch.distributions.MultivariateNormal(torch.tensor([1.0, -2.0]).double(), covariance)
    z, draw, step = torch.zeros(4000, 2).double(), generator(), torch.tensor(0.4).double()
    for _ in range(40):  # from far away
        z, probability = transition(law.log_prob, z, step, 5, draw)
    assert 0.5 < float(probability.mean()) < 0.99
    assert_close(z.mean(0), law.mean, rtol=0, atol=0.08)
    assert_close(torch.cov(z.T), covariance, rtol=0, atol=0.08)


@pytest.mark.parametrize("step", [0.5, 1.5, 3.0])
def test_hmc_s_stationary_law_is_right_at_any_step(step: float):
    """A logistic law, whose leapfrog errs: without accept and reject the large steps would show."""
    z = torch.from_numpy(scipy.stats.logistic.rvs(size=(20_000, 1), random_state=1))
    draw = generator(2)

    def log_density(z: Tensor) -> Tensor:
        return -(z + 2 * nn.functional.softplus(-z)).sum(-1)

    for _ in range(10):
        z, _ = transition(log_density, z, torch.tensor(step).double(), 3, draw)
    assert scipy.stats.kstest(z[:, 0].numpy(), "logistic").pvalue > 1e-3


def test_hmc_refuses_a_trajectory_that_leaves_the_numbers():
    z, probability = transition(
        lambda z: torch.where(z.abs() > 1, torch.nan, -z.square()).sum(-1),
        torch.zeros(50, 1), torch.tensor(100.0), 1, generator(),
    )  # fmt: skip
    assert float(z.abs().max()) < 1
    assert float(probability.min()) == 0


# Annealed importance sampling


def test_the_schedule_is_a_sigmoid_from_0_to_1():
    betas = schedule(50)
    assert betas[0] == 0
    assert betas[-1] == 1
    gaps = betas.diff()
    assert bool((gaps > 0).all())
    assert_close(gaps, gaps.flip(0))
    assert gaps[0] < gaps[25] / 5


def test_one_temperature_is_importance_sampling():
    model = linear(orthogonal=True)
    x, _ = simulated(model, 4)
    posterior = model.posterior(x)
    q = Gaussian(posterior.mean.detach(), posterior.stddev.log().detach())
    found = annealed(joint(model, x), q, temperatures=1, chains=7)
    assert_close(found.log_weights, exact(model, x)[:, None].expand(4, 7))
    # From the exact posterior no number of temperatures errs, in either direction.
    for posterior_draw in (None, posterior.sample()):
        found = annealed(joint(model, x), q, temperatures=4, chains=3, posterior=posterior_draw)
        assert_close(found.lower, exact(model, x))
        assert_close(found.upper, exact(model, x))


def test_the_sandwich_closes_on_the_exact_likelihood():
    model = linear()
    x, z = simulated(model, 20)
    settings = {"temperatures": 250, "chains": 16, "leapfrog": 4}
    below = annealed(joint(model, x), prior(20), **settings)
    above = annealed(joint(model, x), prior(20), **settings, posterior=z, seed=1)
    gap = sandwich(below.lower, above.upper, how="250 temperatures")
    assert gap.value < 0.05
    truth = exact(model, x)
    assert_close(below.lower.mean(), truth.mean(), rtol=0, atol=0.05)
    assert_close(above.upper.mean(), truth.mean(), rtol=0, atol=0.05)
    for found in (below, above):
        assert 0.6 < found.accepted < 0.72
    # Fewer temperatures: wider, and still on both sides.
    few = {"temperatures": 4, "chains": 1, "leapfrog": 2}
    low = annealed(joint(model, x), prior(20), **few).lower.mean()
    high = annealed(joint(model, x), prior(20), **few, posterior=z).upper.mean()
    assert low < truth.mean() - 0.1
    assert high > truth.mean() + 0.1


@pytest.mark.parametrize("temperatures", [2, 5])
def test_weights_are_unbiased_however_few_the_temperatures(temperatures: int):
    """w / p(x) forwards, and p(x) / w backwards, have mean 1."""
    model, n = linear(), 4000
    x = simulated(model, 1)[0].expand(n, D)
    truth, posterior = exact(model, x[:1]), model.posterior(x)
    settings = {"temperatures": temperatures, "chains": 1, "leapfrog": 3}
    # Few draws give the mean of w where the start is wider than the posterior, of 1/w where narrower.
    mean, log_std = posterior.mean.detach() + 0.1, posterior.stddev.log().detach()
    wide, narrow = Gaussian(mean, log_std + 0.5), Gaussian(mean, log_std - 1.2)
    draws = posterior.mean.detach() + (posterior.scale_tril @ randn(n, K, 1, seed=9))[..., 0].detach()
    forwards = annealed(joint(model, x), wide, **settings).log_weights[:, 0] - truth
    backwards = truth - annealed(joint(model, x), narrow, **settings, posterior=draws).log_weights[:, 0]
    for ratio in (forwards.exp(), backwards.exp()):
        assert abs(float(ratio.mean()) - 1) < 4 * float(ratio.std()) / math.sqrt(n)
        assert float(ratio.std()) > 0.1  # or the mean would say nothing


def test_annealing_is_seeded_and_touches_no_global_generator():
    model = linear()
    x, _ = simulated(model, 3)
    state = torch.get_rng_state()
    runs = [annealed(joint(model, x), prior(3), temperatures=5, chains=2, seed=s).lower for s in (1, 1, 2)]
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])


# Refinement: short chains from q


@pytest.mark.parametrize("leapfrog", [1, 3])
def test_short_chains_bring_the_bound_to_the_likelihood(leapfrog: int):
    model = linear()
    x, _ = simulated(model, 200)
    posterior, truth = model.posterior(x), float(exact(model, x).mean())
    off = Gaussian(posterior.mean.detach() + 0.6, posterior.stddev.log().detach() - 0.4)
    found = [
        refinement(joint(model, x), off, temperatures=t, chains=2, leapfrog=leapfrog) for t in (2, 10, 50)
    ]
    bounds_ = [each["refined"].value for each in found]
    assert bounds_ == sorted(bounds_)
    assert bounds_[-1] < truth + 0.02
    assert_close(bounds_[-1], truth, rtol=0, atol=0.15)
    # Each is above the bound of as many draws, by what is said.
    still = float(annealed(joint(model, x), off, temperatures=1, chains=2).lower.mean())
    for each in found:
        assert_close(each["refined"].value - each["refinement"].value, still)
    assert found[-1]["refinement"].low > 0.3  # pyright: ignore[reportOptionalOperand]


def test_there_is_nothing_to_refine_at_the_posterior():
    model = linear(orthogonal=True)
    x, _ = simulated(model, 12)
    posterior = model.posterior(x)
    q = Gaussian(posterior.mean.detach(), posterior.stddev.log().detach())
    found = refinement(joint(model, x), q, temperatures=3, chains=2)
    assert_close(found["refined"].value, float(exact(model, x).mean()))
    assert abs(found["refinement"].value) < 1e-9


def test_the_ends_of_chains_are_draws_of_the_posterior():
    model = linear()
    x = simulated(model, 1)[0]
    posterior = model.posterior(x)
    off = Gaussian(posterior.mean.detach() + 0.5, posterior.stddev.log().detach() + 0.3)
    found = annealed(joint(model, x), off, temperatures=8, chains=4000, leapfrog=3)
    shares, codes = found.log_weights[0].softmax(0), found.codes[0]
    mean = shares @ codes
    assert_close(mean, posterior.mean[0].detach(), rtol=0, atol=0.05)
    centred = codes - mean
    covariance = (shares[:, None] * centred).T @ centred
    assert_close(covariance, posterior.covariance_matrix[0].detach(), rtol=0.1, atol=0.02)


# The gap of inference


def test_the_gap_is_zero_on_the_linear_vae():
    model = linear(orthogonal=True)
    x, _ = simulated(model, 12)
    posterior = model.posterior(x)
    q = Gaussian(posterior.mean.detach(), posterior.stddev.log().detach())
    parts = inference_gap(exact(model, x), joint(model, x), q, of="the closed form", steps=50, draws=5)
    for name, part in parts.items():
        assert abs(part.value) < 1e-8, name
    assert "log p(x) by the closed form" in parts["gap"].how


def test_a_worse_encoder_is_amortisation_and_a_correlated_posterior_approximation():
    model = linear()
    x, _ = simulated(model, 12)
    posterior = model.posterior(x)
    precision = posterior.precision_matrix[0].detach()
    # The best diagonal Gaussian has the mean, and the precision's diagonal.
    best = -0.5 * precision.diagonal().log().expand(12, K)
    lost = 0.5 * (precision.diagonal().log().sum() - torch.logdet(precision))
    assert lost > 0.1
    q = Gaussian(posterior.mean.detach() + 0.2, best + 0.3)
    parts = inference_gap(exact(model, x), joint(model, x), q, of="the closed form", draws=2000)
    assert_close(parts["approximation"].value, float(lost), rtol=0, atol=0.02)
    std = q.log_std.exp()[0]
    kl = 0.5 * ((precision.diagonal() * std**2).sum() + 0.04 * precision.sum() - K - torch.logdet(precision))
    kl = float(kl - std.log().sum())
    assert_close(parts["gap"].value, kl, rtol=0, atol=0.05)
    assert_close(parts["amortisation"].value, kl - float(lost), rtol=0, atol=0.05)
    assert_close(
        parts["gap"].value, parts["approximation"].value + parts["amortisation"].value, rtol=0, atol=1e-9
    )
    own = optimised(joint(model, x), q)
    assert_close(own.mean, posterior.mean.detach(), rtol=0, atol=0.05)
    assert_close(own.log_std, best, rtol=0, atol=0.05)


# Rate and distortion


def test_rate_and_distortion_are_means_with_intervals():
    rate, distortion = torch.tensor([1.0, 3.0]), torch.tensor([-10.0, 30.0])
    found = rate_distortion(rate, distortion, d=4, draws=10)
    assert found["rate"].value == 2.0
    assert (found["rate"].low, found["rate"].high) == (1.0, 3.0)
    assert found["distortion"].value == 10.0
    assert_close(found["rate_bits"].value, 2 / (4 * math.log(2)))
    assert_close(found["distortion_bits"].value, 10 / (4 * math.log(2)))
    assert {m.unit for m in found.values()} == {"nats", "bits/dim"}
    assert "10 draws" in found["distortion"].how


# Bits of 8-bit data


def test_a_uniform_density_costs_eight_bits():
    x = torch.randint(256, (5, 1, 2, 3), generator=generator()).double() / 255

    def log_weights(x: Tensor, eps: Tensor) -> Tensor:
        return ContinuousBernoulli(torch.zeros_like(x)).log_prob(x)[:, None].expand(len(x), eps.shape[1])

    weights, noise = dequantised(log_weights, x, standard_normal(3))
    found = bits(importance_weighted(weights, x, noise, draws=2), d=6, how="a uniform density")
    assert_close(found.value, 8.0, rtol=0, atol=1e-6)
    assert found.unit == "bits/dim"


def test_dequantisation_rises_to_the_probability_of_the_level():
    """A Gaussian density narrower than a level, integrated over the level's cell."""
    levels = torch.tensor([10, 11, 12, 200])
    x = (levels.double() / 255)[:, None]
    mean, std = 11.6 / 256, 0.6 / 256

    def log_weights(x: Tensor, eps: Tensor) -> Tensor:
        log_p = Gaussian(torch.full_like(x, mean), torch.tensor(math.log(std))).log_prob(x)
        return log_p[:, None].expand(len(x), eps.shape[1])

    weights, noise = dequantised(log_weights, x, standard_normal(1))
    law = scipy.stats.norm(mean, std)
    edges = np.array([10, 11, 12])
    truth = torch.from_numpy(np.log(law.cdf((edges + 1) / 256) - law.cdf(edges / 256)))
    many = importance_weighted(weights, x, noise, draws=20_000, chunk=2000)
    assert_close(many[:3], truth, rtol=0, atol=0.03)
    single = torch.stack([importance_weighted(weights, x, noise, draws=1, seed=s) for s in range(300)])
    assert bool((single.mean(0)[:3] < truth).all())
    # The levels' probabilities together are no more than one.
    assert float(many[:3].exp().sum()) < 1
    assert float(many[3]) < -1000


# What is refused

X = simulated(linear(), 3)[0]
JOINT = joint(linear(), X)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: annealed(JOINT, prior(3), temperatures=0), "temperatures is 0, expected at least 1"),
        (lambda: annealed(JOINT, prior(3), chains=0), "chains is 0"),
        (lambda: annealed(JOINT, prior(3), leapfrog=0), "leapfrog is 0"),
        (lambda: annealed(JOINT, prior(3), posterior=torch.zeros(2, K)), r"one draw \(n, latent\)"),
        (lambda: annealed(lambda z: z.sum(2) * torch.nan, prior(3), temperatures=2), "weights of 3 of 3"),
        (lambda: sandwich(torch.zeros(3), torch.zeros(2), how=""), "3 lower and 2 upper"),
        (lambda: refinement(JOINT, prior(3), temperatures=1), "temperatures is 1; between"),
        (lambda: elbo(JOINT, prior(3), draws=0), "draws is 0"),
        (lambda: optimised(JOINT, prior(3), steps=0), "steps is 0"),
        (lambda: inference_gap(torch.zeros(2), JOINT, prior(3), of=""), "2 likelihoods for 3 posteriors"),
        (lambda: rate_distortion(torch.ones(2), torch.ones(3), d=1, draws=1), "2 rates and 3 distortions"),
        (lambda: rate_distortion(-torch.ones(2), torch.ones(2), d=1, draws=1), "never below 0"),
        (lambda: rate_distortion(torch.ones(2), torch.ones(2), d=0, draws=1), "d is 0"),
        (lambda: rate_distortion(torch.ones(2), torch.full((2,), torch.nan), d=1, draws=1), "NaN"),
        (lambda: dequantised(JOINT, torch.full((2, 3), 0.5013), standard_normal(1)), "values between them"),
        (lambda: dequantised(JOINT, torch.full((2, 3), 2.0), standard_normal(1)), "real-valued data"),
        (lambda: bits(torch.ones(2), d=0, how=""), "d is 0"),
    ],
)
def test_bad_input(call, message: str):
    with pytest.raises(ReparamError, match=message):
        call()
