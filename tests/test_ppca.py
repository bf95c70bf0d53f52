"""Probabilistic PCA and the linear VAE against each other, scikit-learn, scipy and a known spectrum."""

import math
from copy import deepcopy

import pytest
import scipy.linalg
import torch
from sklearn.decomposition import PCA
from torch import Tensor, nn
from torch.distributions import MultivariateNormal
from torch.testing import assert_close

import reparam
from reparam.data import load
from reparam.engine import Engine
from reparam.errors import ReparamError
from reparam.metrics.active_units import active_units
from reparam.metrics.principal_angles import principal_angles
from reparam.model import Model
from reparam.models.linear_vae import LinearVAE
from reparam.models.ppca import PPCA, active, affine, fit, spectrum
from reparam.models.ppca_em import fit_missing, log_prob_observed
from reparam.nets import heads
from reparam.noise import Streams
from reparam.trainer import Trainer

EIGENVALUES = torch.tensor([4.855, 3.020, 1.537, 1.103, 0.416, 0.299, 0.205, 0.101]).double()
N, D, K = 400, 8, 4


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def fixture() -> Tensor:
    """Data (400, 8) of mean 0.7 whose maximum-likelihood covariance is exactly diag(EIGENVALUES)."""
    raw = randn(N, D)
    white = math.sqrt(N) * torch.linalg.qr(raw - raw.mean(0)).Q
    return white * EIGENVALUES.sqrt() + 0.7


X = fixture()


def marginal(model: PPCA) -> MultivariateNormal:
    """p(x) of flat data with its covariance written out, in float64."""
    w, mean, log_std = (t.detach() for t in affine(model.decoder, model.latent, X))
    return MultivariateNormal(mean, w.T @ w + torch.exp(2 * log_std) * torch.eye(len(mean)))


def untrained(variance: float | None, seed: int = 0) -> LinearVAE:
    """With a fixed or a learned noise, in float64, and small initial weights."""
    noise = heads.LearnedGaussianNoise(False) if variance is None else heads.FixedGaussianNoise(1.0, False)
    model = LinearVAE(
        heads.SharedGaussianCode(D, K), nn.Sequential(nn.Linear(K, D), noise).double(), K
    ).double()
    if variance is not None:
        noise.log_std.fill_(0.5 * math.log(variance))  # pyright: ignore
    with torch.no_grad():
        for i, p in enumerate((model.encoder.linear.weight, model.decoder[0].weight)):  # pyright: ignore
            p.copy_(0.3 * randn(*p.shape, seed=seed + i))
    return model


def optimised(model: Model, objective) -> float:
    """The lowest mean objective over the fixture, found by L-BFGS on all of it at once."""
    optimiser = torch.optim.LBFGS(
        model.parameters(), max_iter=3000, tolerance_grad=1e-9, tolerance_change=0,
        history_size=50, line_search_fn="strong_wolfe",
    )  # fmt: skip

    def loss() -> Tensor:
        optimiser.zero_grad()
        value = objective().mean()
        value.backward()
        return value

    optimiser.step(loss)
    return float(loss().detach())


# The closed form


def test_the_fixture_s_digits():
    model = fit(X, K)
    _, mean, log_std = affine(model.decoder, K, X)
    assert_close(mean, torch.full((D,), 0.7).double())
    assert round(float(torch.exp(2 * log_std)), 5) == 0.25525
    assert round(float(model.log_prob(X).mean().detach()), 6) == -10.227051


def test_likelihood_posterior_and_codes_are_those_of_the_joint_gaussian():
    model = PPCA(nn.Sequential(nn.Linear(K, D), heads.FixedGaussianNoise(0.6, False)).double(), K)
    x = randn(9, D, seed=3)
    assert_close(model.log_prob(x), marginal(model).log_prob(x))
    w, mean, _ = (t.detach() for t in affine(model.decoder, K, x))
    gain = torch.linalg.solve(marginal(model).covariance_matrix, w.T)  # Cov(z, x) Cov(x)⁻¹, transposed
    posterior = model.posterior(x)
    assert_close(posterior.mean, (x - mean) @ gain)
    assert_close(posterior.covariance_matrix, (torch.eye(K) - w @ gain).expand(9, K, K))
    assert_close(model.encode(x), posterior.mean)


def test_scikit_learn_gives_the_same_likelihood():
    x = randn(300, 6, seed=1) @ randn(6, 6, seed=2)
    oracle = PCA(2).fit(x)
    # scikit-learn divides by n − 1; so many copies make the two estimates of the covariance meet.
    many = x.repeat(1000, 1)
    assert_close(fit(x, 2).log_prob(x).mean().item(), PCA(2).fit(many).score(x), rtol=0, atol=1e-8)
    assert fit(x, 2).log_prob(x).mean() > oracle.score(x)  # ours is the highest there is
    w = affine(fit(x, 2).decoder, 2, x)[0].detach()
    assert float(principal_angles(w.T, torch.from_numpy(oracle.components_.T)).max()) < 1e-7


def test_pictures_and_more_dimensions_than_examples():
    x = randn(20, 1, 5, 6)
    model = fit(x, 3)
    wide = x.flatten(1)
    covariance = torch.cov(wide.T, correction=0)
    assert_close(spectrum(x)[:19], torch.linalg.eigvalsh(covariance).flip(0)[:19])
    assert_close(model.log_prob(x), marginal(model).log_prob(wide))
    # All 27 discarded directions count, the empty ones too.
    noise = float(torch.exp(2 * affine(model.decoder, 3, x)[2]))
    assert_close(noise, float(torch.linalg.eigvalsh(covariance).flip(0)[3:].sum() / 27))
    assert model.decode(model.encode(x)).shape == x.shape


def test_the_closed_form_draws_nothing():
    state = torch.get_rng_state()
    fit(X, K)
    assert torch.equal(state, torch.get_rng_state())


# Gradients reach the closed form


@pytest.mark.parametrize("seed", [0, 7])
def test_gradients_end_where_the_closed_form_is(seed: int):
    model = untrained(None, seed).to_ppca()
    lowest = optimised(model, lambda: -model.log_prob(X))
    assert_close(-lowest, -10.227051, rtol=0, atol=1e-6)
    w = affine(model.decoder, K, X)[0].detach()
    assert float(principal_angles(w.T, torch.eye(D)[:, :K].double()).max()) < 1e-4


def test_a_run_comes_near_the_closed_form():
    data = load(X.float().numpy(), standardise=False)
    system = reparam.build("ppca", data, latent=K)
    x = data.batch(data.train, torch.arange(data.train.n))["x"]
    best = float(fit(x, K).log_prob(x).mean().detach())
    trainer = Trainer(
        system.model, data, system.recipe.optimisers, batch_size=64, streams=Streams(0),
        engine=Engine(torch.device("cpu")),
    )  # fmt: skip
    before = float(system.score(x).mean())
    for _ in range(800):
        trainer.take_step()
    assert best - 0.1 < float(system.score(x).mean()) <= best + 1e-5
    assert before < best - 2


# The linear VAE: its bound is tight, and its collapse is read off the spectrum


def test_the_analytic_bound_is_the_expectation_over_draws():
    model = untrained(0.5)
    x = X[:6]
    analytic = model.score(x)
    draws = model.log_weights(x, eps=randn(6, 40_000, K)).detach()
    assert_close(draws.mean(1), analytic.detach(), rtol=0, atol=5 * float(draws.std(1).max()) / 200)


def test_the_learned_noise_s_bound_is_the_likelihood():
    model = untrained(None)
    lowest = optimised(model, lambda: -model.score(X))
    assert_close(-lowest, -10.227051, rtol=0, atol=1e-5)
    assert_close(model.score(X), model.log_prob(X), rtol=0, atol=1e-5)
    _, _, log_std = affine(model.decoder, K, X)
    assert_close(float(torch.exp(2 * log_std.detach())), 0.25525, rtol=0, atol=1e-4)
    assert active_units(model.encode(X)).value == 4


@pytest.mark.parametrize(("variance", "units"), [(1.0, 4), (1.3, 3), (2.0, 2), (4.0, 1), (6.0, 0)])
def test_a_direction_is_inactive_where_its_eigenvalue_is_below_the_noise(variance: float, units: int):
    model = untrained(variance)
    lowest = optimised(model, lambda: -model.score(X))
    closed = fit(X, K, variance=variance)
    assert_close(-lowest, float(closed.log_prob(X).mean().detach()), rtol=0, atol=1e-5)
    assert_close(float(model.log_prob(X).mean().detach()), -lowest, rtol=0, atol=1e-5)
    assert active(spectrum(X), variance) == units
    assert int((affine(closed.decoder, K, X)[0].norm(dim=1) > 0).sum()) == units
    assert active_units(model.encode(X)).value == units


def test_the_linear_vae_finds_the_axes_and_not_their_span_alone():
    model = untrained(0.25525)
    optimised(model, lambda: -model.score(X))
    w = affine(model.decoder, K, X)[0].detach()
    gram = w @ w.T
    assert_close(gram, torch.diag(gram.diagonal()), rtol=0, atol=1e-4)
    assert model.to_ppca().decoder is model.decoder


# Principal angles


def test_principal_angles_are_scipy_s():
    a, b = randn(7, 3), randn(7, 2, seed=1)
    expected = torch.from_numpy(scipy.linalg.subspace_angles(a.numpy(), b.numpy())).flip(0)
    assert_close(principal_angles(a, b), expected)
    # An angle of 1e-9 has a cosine of 1 in float64.
    tilted = torch.tensor([[1.0, 0], [0, 1], [0, 1e-9]]).double()
    assert_close(principal_angles(tilted, torch.eye(3)[:, :2])[-1].item(), 1e-9, rtol=1e-6, atol=0)
    assert_close(principal_angles(a, a @ randn(3, 3, seed=2)), torch.zeros(3).double(), rtol=0, atol=1e-7)


# What is refused


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fit(X, 8), r"latent=8 for data of 8 dimensions; give 1 … 7"),
        (lambda: fit(X, 0), "latent=0"),
        (lambda: fit(X[:1], 2), "n ≥ 2"),
        (lambda: fit(torch.full((5, 3), math.nan), 2), "finite floats"),
        (lambda: fit(X, 2, variance=0.0), "above 0"),
        (lambda: fit(X[:, :2] @ randn(2, 8), 2), "the data lie in 2 directions"),
        (lambda: fit_missing(X[0], 2), "NaN where missing"),
        (lambda: fit_missing(holed(0.7), 2), "6.% of the data is missing"),
        (lambda: fit_missing(torch.cat([X, torch.full((1, D), math.nan)]), 2), "observed of 1 rows"),
        (lambda: fit_missing(X, 8), "give 1 … 7"),
        (lambda: fit_missing(X[:, :2] @ randn(2, 8), 3), "lie in 3 directions"),
        (lambda: principal_angles(X, X[:20]), "same number of rows"),
        (lambda: principal_angles(torch.zeros(5, 2), torch.eye(5)), "rank 0"),
        (lambda: reparam.build("ppca", load((X > 0.7).float())), "is binary"),
        (lambda: reparam.build("linear-vae", load((X > 0.7).float())), "is binary"),
        (lambda: reparam.build("ppca", load(X), std=-1.0), "std=-1.0"),
    ],
)
def test_bad_input(call, message: str):
    with pytest.raises(ReparamError, match=message):
        call()


# Data with holes


def holed(share: float, n: int = 150) -> Tensor:
    """Rows of the fixture, each value missing with the given probability; the first column never is."""
    draw = torch.rand(n, D, generator=torch.Generator().manual_seed(5))
    draw[:, 0] = 1
    return torch.where(draw < share, torch.nan, X[:n])


def test_without_holes_em_is_the_closed_form():
    model, closed = fit_missing(X, K), fit(X, K)
    assert_close(model.log_prob(X).mean(), closed.log_prob(X).mean(), rtol=0, atol=1e-6)
    assert_close(log_prob_observed(model, X), model.log_prob(X).detach())
    ours, theirs = (affine(m.decoder, K, X)[0].detach().T for m in (model, closed))
    assert float(principal_angles(ours, theirs).max()) < 1e-3


def test_the_likelihood_of_what_was_observed_is_that_of_the_marginal():
    model, x = fit(X, K), holed(0.4)
    found, law = log_prob_observed(model, x), marginal(model)
    for row in range(20):
        seen = ~torch.isnan(x[row])
        part = MultivariateNormal(law.mean[seen], law.covariance_matrix[seen][:, seen])
        assert_close(found[row], part.log_prob(x[row, seen]))


def test_em_never_lowers_the_likelihood_and_ends_where_gradients_do():
    x = holed(0.3)
    path = [float(log_prob_observed(fit_missing(x, 2, iterations=i), x).mean()) for i in (1, 2, 5, 20, 1000)]
    assert path == sorted(path)
    model = fit_missing(x, 2, tolerance=1e-12)
    best = float(log_prob_observed(model, x).mean())
    assert best > path[0] + 0.01
    generator = torch.Generator().manual_seed(1)
    for _ in range(20):  # no neighbour is better
        near = deepcopy(model)
        with torch.no_grad():
            for p in near.parameters():
                p += 1e-3 * torch.randn(p.shape, generator=generator, dtype=p.dtype)
        assert float(log_prob_observed(near, x).mean()) < best


def test_holes_are_better_left_than_filled_with_the_mean():
    x = holed(0.4, n=N)
    filled = torch.where(torch.isnan(x), torch.nanmean(x, 0), x)
    exact = float(fit(X, K).log_prob(X).mean().detach())
    ours, naive = (float(m.log_prob(X).mean().detach()) for m in (fit_missing(x, K), fit(filled, K)))
    assert naive < ours < exact
