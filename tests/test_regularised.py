"""Regularised VAEs: the parts of the rate, estimates over the batch, penalties in closed form."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

import reparam
from reparam.data import load
from reparam.distributions import Gaussian
from reparam.errors import ReparamError
from reparam.models.beta_tc_vae import BetaTCVAE, log_stratified
from reparam.models.capacity_vae import CapacityVAE
from reparam.models.dip_vae import DIPVAE, of_codes, of_means
from reparam.models.factor_vae import FactorVAE
from reparam.models.hfvae import HFVAE
from reparam.models.info_vae import InfoVAE
from reparam.noise import Normal

DATA = load(np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32))


def numbers(*shape: int, seed: int = 0) -> Tensor:
    """Standard normal, float64."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Encoder(nn.Module):
    """x (n, 4) → N(x₁₂, exp(¼ x₃₄)²) over (n, 2): the data say the posterior."""

    def forward(self, x: Tensor) -> Gaussian:
        return Gaussian(x[:, :2], 0.25 * x[:, 2:])


class Decoder(nn.Module):
    """z (n, 2) → N((z, z), 1) over (n, 4)."""

    def forward(self, z: Tensor) -> Gaussian:
        return Gaussian(z.repeat(1, 2), z.new_zeros(()))


class Recorder(nn.Module):
    """A discriminator that cannot tell, and keeps what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def forward(self, z: Tensor) -> Tensor:
        self.seen.append(z)
        return z.new_zeros(len(z))


X = numbers(6, 4)


def log_density(z: Tensor, x: Tensor) -> Tensor:
    """log q(zⱼ|x) of every code and every example, dimension by dimension: (codes, examples, 2)."""
    normal = torch.distributions.Normal(x[:, :2], torch.exp(0.25 * x[:, 2:]))
    return normal.log_prob(z[:, None])


# β-TC-VAE


@pytest.mark.parametrize(("batch", "examples"), [(2, 2), (4, 9), (5, 1000)])
def test_the_weights_of_the_mixture(batch: int, examples: int):
    weights = log_stratified(numbers(batch, 2), examples).exp()
    assert_close(weights.diagonal(), torch.full((batch,), 1 / examples).double())
    assert_close(weights.sum(1), torch.ones(batch).double())
    assert_close(weights, weights.t())


def test_the_estimated_mixture_is_unbiased():
    # Over all batches of 3 that hold example 0, of 6 examples.
    eps, estimates = numbers(3, 2, seed=1), []
    z = Encoder()(X[:1]).at(eps[:1])
    for others in itertools.combinations(range(1, 6), 2):
        terms = BetaTCVAE(Encoder(), Decoder(), 2, 6).negative_elbo(X[[0, *others]], eps=eps)
        log_q = log_density(z, X[:1]).sum() - terms["information"][0]
        estimates.append(log_q.exp())
    exact = log_density(z, X).sum(2).exp().mean()
    assert_close(torch.stack(estimates).mean(), exact)


def test_with_all_data_in_the_batch_the_parts_are_exact():
    eps = numbers(6, 2, seed=1)
    terms = BetaTCVAE(Encoder(), Decoder(), 2, 6).negative_elbo(X, eps=eps)
    z = Encoder()(X).at(eps)
    each = log_density(z, X)
    log_q, log_factors = each.sum(2).exp().mean(1).log(), each.exp().mean(1).log().sum(1)
    log_prior = torch.distributions.Normal(0, 1).log_prob(z).sum(1)
    assert_close(terms["information"], each.sum(2).diagonal() - log_q)
    assert_close(terms["correlation"], log_q - log_factors)
    assert_close(terms["dimensions"], log_factors - log_prior)


def test_the_parts_sum_to_the_rate():
    n = 100
    terms = BetaTCVAE(Encoder(), Decoder(), 2, 6).negative_elbo(X.repeat(n, 1), eps=numbers(6 * n, 2))
    rate = terms["information"] + terms["correlation"] + terms["dimensions"]
    error = rate.view(n, 6).std(0) / math.sqrt(n)
    assert ((rate.view(n, 6).mean(0) - Encoder()(X).kl()).abs() < 4 * error).all()


def test_codes_that_are_independent_have_no_total_correlation():
    # The posterior means are a grid, so that the mixture factorises; then a line, whose correlation is large.
    side = torch.linspace(-2, 2, 8).double()
    grid = torch.cat([torch.cartesian_prod(side, side), torch.full((64, 2), -8.0).double()], 1)
    line = torch.cat([side.repeat(8)[:, None].expand(-1, 2), torch.full((64, 2), -8.0).double()], 1)
    model = BetaTCVAE(Encoder(), Decoder(), 2, 64)
    none, much = (model.negative_elbo(x, eps=numbers(64, 2))["correlation"] for x in (grid, line))
    assert_close(none, torch.zeros(64).double(), rtol=0, atol=1e-9)
    assert abs(much.mean() - math.log(8)) < 0.2


def test_one_example_estimates_no_mixture():
    with pytest.raises(ReparamError, match="at least 2 examples"):
        BetaTCVAE(Encoder(), Decoder(), 2, 6).negative_elbo(X[:1], eps=numbers(1, 2))


# HFVAE


class Wide(nn.Module):
    """x (n, 6) → N(x₁₂₃, exp(¼ x₄₅₆)²) over (n, 3)."""

    def forward(self, x: Tensor) -> Gaussian:
        return Gaussian(x[:, :3], 0.25 * x[:, 3:])


@pytest.mark.parametrize(("group", "parts"), [(1, [[0], [1], [2]]), (2, [[0, 1], [2]]), (3, [[0, 1, 2]])])
def test_with_all_data_in_the_batch_the_parts_of_groups_are_exact(group: int, parts: list[list[int]]):
    x, eps = numbers(5, 6), numbers(5, 3, seed=1)
    terms = HFVAE(Wide(), Decoder(), 3, 5, group=group).negative_elbo(x, eps=eps)
    z = Wide()(x).at(eps)
    normal = torch.distributions.Normal(x[:, :3], torch.exp(0.25 * x[:, 3:]))
    each = normal.log_prob(z[:, None])

    def log_q(dimensions: list[int]) -> Tensor:
        return each[:, :, dimensions].sum(2).exp().mean(1).log()

    groups, factors = sum(map(log_q, parts)), sum(log_q([j]) for j in range(3))
    assert_close(terms["information"], each.sum(2).diagonal() - log_q([0, 1, 2]))
    assert_close(terms["between"], log_q([0, 1, 2]) - groups)
    assert_close(terms["within"], groups - factors)
    assert_close(terms["dimensions"], factors - torch.distributions.Normal(0, 1).log_prob(z).sum(1))


def test_groups_of_one_are_the_beta_tc_vae():
    eps = numbers(6, 2, seed=1)
    ours = HFVAE(Encoder(), Decoder(), 2, 9, group=1).negative_elbo(X, eps=eps)
    theirs = BetaTCVAE(Encoder(), Decoder(), 2, 9).negative_elbo(X, eps=eps)
    assert_close(ours["between"], theirs["correlation"])
    assert_close(ours["within"], torch.zeros(6).double(), rtol=0, atol=1e-12)
    assert all(torch.equal(ours[name], theirs[name]) for name in ("distortion", "information", "dimensions"))


def test_a_correlation_within_a_group_is_none_between():
    # A line in dimensions 1 and 2 and nothing in 3 and 4: all of log 8 is within the first group.
    side = torch.linspace(-2, 2, 8).double()
    means = torch.stack([side, side, 0 * side, 0 * side], 1)

    class Line(nn.Module):
        def forward(self, x: Tensor) -> Gaussian:
            return Gaussian(x, torch.full_like(x, -8.0))

    model = HFVAE(Line(), Line(), 4, 8, group=2)
    terms = model.negative_elbo(means, eps=numbers(8, 4))
    assert_close(terms["between"], torch.zeros(8).double(), rtol=0, atol=1e-6)
    assert_close(terms["within"].mean().item(), math.log(8), rtol=0, atol=0.2)


def test_the_hfvae_weighs_its_parts():
    system = reparam.build("hfvae", DATA, latent=4, alpha=0.5, beta=3.0, gamma=2.0)
    (move,) = system.model.turns()[0].moves
    parts = {"information": 0.5, "between": 3.0, "within": 2.0, "dimensions": 1.0}
    assert move.weights == {"distortion": 1.0, **parts}


@pytest.mark.parametrize("group", [0, 5])
def test_groups_that_cannot_be_are_refused(group: int):
    with pytest.raises(ReparamError, match="hfvae: groups of"):
        reparam.build("hfvae", DATA, latent=4, group=group)


# FactorVAE


def test_dimensions_are_shuffled_each_by_itself():
    discriminator, eps = Recorder(), numbers(6, 2, seed=1)
    model = FactorVAE(Encoder(), Decoder(), discriminator, 2)
    other, shuffle = numbers(6, 2, seed=2), torch.rand(6, 2, generator=torch.Generator().manual_seed(0))
    terms = model.discrimination(X, eps=eps, eps_shuffled=other, shuffle=shuffle)
    assert all(torch.allclose(term, torch.tensor(math.log(2)).double()) for term in terms.values())
    joint, shuffled = discriminator.seen
    assert_close(joint, Encoder()(X).at(eps))
    code = Encoder()(X).at(other)
    assert_close(shuffled.sort(0).values, code.sort(0).values)
    assert not torch.equal(shuffle.argsort(0)[:, 0], shuffle.argsort(0)[:, 1])
    assert_close(shuffled[:, 1], code[shuffle[:, 1].argsort(), 1])


def test_the_encoder_lowers_the_logit():
    class Logit(nn.Module):
        def forward(self, z: Tensor) -> Tensor:
            return z.sum(1)

    eps = numbers(6, 2, seed=1)
    terms = FactorVAE(Encoder(), Decoder(), Logit(), 2).negative_elbo(X, eps=eps)
    p = torch.sigmoid(Encoder()(X).at(eps).sum(1))
    assert_close(terms["correlation"], torch.log(p) - torch.log(1 - p))


# DIP-VAE


@pytest.mark.parametrize("covariance", [of_means, of_codes])
def test_the_covariance_s_distance_from_the_identity(covariance):
    terms = DIPVAE(Encoder(), Decoder(), 2, covariance).negative_elbo(X, eps=numbers(6, 2))
    expected = np.cov(X[:, :2].numpy().T, bias=True)
    if covariance is of_codes:
        expected += np.diag(np.exp(0.5 * X[:, 2:].numpy()).mean(0))
    assert_close(terms["off_diagonal"].mean().item(), 2 * expected[0, 1] ** 2)
    assert_close(terms["diagonal"].mean().item(), ((np.diag(expected) - 1) ** 2).sum())


def test_the_two_dip_vaes_have_their_own_weights():
    for covariance, weight in (("means", 100.0), ("codes", 10.0)):
        (move,) = reparam.build("dip-vae", DATA, covariance=covariance).model.turns()[0].moves
        assert move.weights == {"distortion": 1.0, "rate": 1.0, "off_diagonal": 10.0, "diagonal": weight}


# InfoVAE


def test_info_vae_weighs_its_three_terms():
    normal = Normal((2,))
    model = InfoVAE(Encoder(), Decoder(), normal, normal, alpha=0.3, penalty=5.0)
    assert_close(model.turns()[0].moves[0].weights, {"distortion": 1.0, "rate": 0.7, "mmd": 4.3})
    terms = model.negative_elbo(X, eps=numbers(6, 2, seed=1), prior=numbers(6, 2, seed=2))
    assert_close(terms["rate"], Encoder()(X).kl())


@pytest.mark.parametrize("settings", [{"alpha": 1.5}, {"alpha": 0.0, "penalty": 0.5}])
def test_info_vae_repels_no_codes(settings: dict[str, float]):
    with pytest.raises(ReparamError, match="neither may be negative"):
        reparam.build("info-vae", DATA, **settings)


# Rising capacity


def test_the_capacity_rises_with_the_moves_and_then_stays():
    normal = Normal((2,))
    model = CapacityVAE(Encoder(), Decoder(), normal, normal, capacity=8.0, rising=4)
    rate = float(Encoder()(X).kl().mean())
    for moves, allowed in enumerate([0.0, 2.0, 4.0, 6.0, 8.0, 8.0]):
        terms = model.negative_elbo(X, eps=numbers(6, 2))
        assert_close(terms["gap"], torch.full((6,), abs(rate - allowed)).double())
        assert terms["moves"] == moves + 1
        model.moves.copy_(terms["moves"])


@pytest.mark.parametrize("settings", [{"capacity": -1.0}, {"rising": 0}])
def test_a_capacity_that_cannot_rise_is_refused(settings: dict[str, float]):
    with pytest.raises(ReparamError, match="capacity is"):
        reparam.build("capacity-vae", DATA, **settings)
