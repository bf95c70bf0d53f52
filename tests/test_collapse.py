"""Remedies of collapse: their rules in closed form, and what they change."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, kl_divergence
from torch.testing import assert_close

import reparam
from reparam.data import load
from reparam.distributions import Gaussian
from reparam.engine import Engine
from reparam.errors import ReparamError
from reparam.losses import free_bits
from reparam.models.delta_vae import committed, correlation, kl_to_chain, log_chain
from reparam.models.lagging_vae import LaggingVAE
from reparam.nets.heads import BatchNormalisedCode
from reparam.nets.skip import SkipGenerator
from reparam.noise import Chain, Streams
from reparam.optimisers import SGD
from reparam.schedules import at
from reparam.trainer import Trainer

DATA = load(np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32))


# Free bits


def test_what_is_free_is_the_batch_s_mean_and_not_each_example_s():
    kl = torch.tensor([[0.0, 3.0, 0.4], [0.8, 1.0, 0.2]], dtype=torch.float64, requires_grad=True)
    paid = free_bits(kl, 0.5)
    # Means 0.4, 2, 0.3: the first and the last are free, though one example is above.
    assert_close(paid.mean(), torch.tensor(0.5 + 2.0 + 0.5, dtype=torch.float64))
    (gradient,) = torch.autograd.grad(paid.mean(), kl)
    assert_close(gradient, torch.tensor([[0.0, 0.5, 0.0]] * 2, dtype=torch.float64))


def test_nothing_free_is_the_rate():
    kl = torch.rand(4, 3, generator=torch.Generator().manual_seed(0))
    assert_close(free_bits(kl, 0.0), kl.sum(1))


def test_a_group_is_free_as_a_whole():
    x = torch.zeros(4, 5)
    for group, free in ((1, 0.3 * 4), (2, 0.3 * 2), (4, 0.3)):
        model = reparam.build("free-bits-vae", DATA, latent=4, width=8, nats=0.3, group=group).model
        model.encoder = _Prior()
        terms = model.negative_elbo(x, eps=torch.zeros(4, 1, 4))  # pyright: ignore[reportCallIssue]
        assert_close(terms["paid"], torch.full((4,), free))
        assert_close(terms["rate"], torch.zeros(4))


class _Prior(torch.nn.Module):
    """An encoder that has collapsed: the prior, whatever x."""

    def forward(self, x: Tensor) -> Gaussian:
        return Gaussian(x.new_zeros(len(x), 4), x.new_zeros(len(x), 4))


@pytest.mark.parametrize("settings", [{"nats": -1.0}, {"group": 3}, {"group": 0}])
def test_free_bits_that_cannot_be_are_refused(settings: dict[str, float]):
    with pytest.raises(ReparamError, match="free bits: nats="):
        reparam.build("free-bits-vae", DATA, latent=4, **settings)  # pyright: ignore[reportArgumentType]


# δ-VAE


@pytest.mark.parametrize(("length", "alpha"), [(2, 0.3), (3, 0.6), (5, 0.9)])
def test_the_kl_to_a_chain_is_torch_s(length: int, alpha: float):
    generator = torch.Generator().manual_seed(length)
    mean, log_std = torch.randn(2, 4, length, generator=generator, dtype=torch.float64).mul(0.5).unbind()
    places = torch.arange(length, dtype=torch.float64)
    prior = MultivariateNormal(torch.zeros(length).double(), alpha ** (places[:, None] - places).abs())
    q = MultivariateNormal(mean, torch.diag_embed(torch.exp(2 * log_std)))
    assert_close(kl_to_chain(Gaussian(mean, log_std), alpha), kl_divergence(q, prior))
    assert_close(log_chain(mean, alpha), prior.log_prob(mean))


@pytest.mark.parametrize(("length", "delta"), [(2, 0.1), (8, 2.0), (32, 5.0)])
def test_no_independent_posterior_is_nearer_than_delta(length: int, delta: float):
    alpha = correlation(delta, length)
    assert committed(alpha, length) == pytest.approx(delta)
    # The nearest has the deviations of each step given all others.
    inner = 0.5 * math.log((1 - alpha**2) / (1 + alpha**2))
    log_std = torch.full((1, length), inner, dtype=torch.float64)
    log_std[:, [0, -1]] = 0.5 * math.log(1 - alpha**2)
    log_std.requires_grad_()
    kl = kl_to_chain(Gaussian(torch.zeros(1, length).double(), log_std), alpha)
    assert kl.item() == pytest.approx(delta)
    (slope,) = torch.autograd.grad(kl.sum(), log_std)
    assert_close(slope, torch.zeros_like(slope), atol=1e-9, rtol=0)


def test_draws_of_the_chain_have_its_moments():
    z = Streams(0).draw("z", Chain((3,), 0.8), 100_000, 0)
    assert_close(z.T.cov(), torch.tensor([[1, 0.8, 0.64], [0.8, 1, 0.8], [0.64, 0.8, 1]]), atol=0.02, rtol=0)


def test_a_delta_vae_weighs_by_its_own_prior():
    system = reparam.build("delta-vae", DATA, latent=3, width=8, delta=1.0)
    x, eps = torch.zeros(1, 5), torch.randn(1, 20_000, 3, generator=torch.Generator().manual_seed(0))
    terms = system.model.negative_elbo(x.expand(20_000, 5), eps=eps.transpose(0, 1))  # pyright: ignore
    weights = system.model.log_weights(x, eps=eps)  # pyright: ignore[reportCallIssue]
    assert_close(weights.mean(), -(terms["distortion"] + terms["rate"]).mean(), atol=0.05, rtol=0)


@pytest.mark.parametrize("settings", [{"latent": 1}, {"delta": 0.0}, {"delta": math.inf}])
def test_a_chain_that_cannot_be_is_refused(settings: dict[str, float]):
    with pytest.raises(ReparamError, match="delta-vae: delta="):
        reparam.build("delta-vae", DATA, **{"latent": 4, **settings})


# Encoders that lag


def test_the_encoder_moves_more_until_the_information_no_longer_rises():
    model = reparam.build("lagging-vae", DATA, latent=2, width=8, repeat=3, window=2).model
    assert isinstance(model, LaggingVAE)
    states = []
    for information in (1.0, 2.0, 2.0, 3.0, 2.0, 2.0, 9.0):  # means of the windows 1.5, 2.5, 2
        for name, value in model._watched(torch.tensor(information)).items():
            model.get_buffer(name).copy_(value)
        states.append(model.lagging.item())
    assert states == [1, 1, 1, 1, 1, 0, 0]


def test_only_the_encoder_moves_and_only_while_it_lags():
    system = reparam.build("lagging-vae", DATA, latent=2, width=8, repeat=3)
    model, rules = system.model, {"default": SGD(0.1), "negative_elbo": SGD(0.0)}
    assert isinstance(model, LaggingVAE)
    trainer = Trainer(
        model, DATA, rules, batch_size=8, streams=Streams(0), engine=Engine(torch.device("cpu"))
    )

    def step() -> set[str]:
        before = {name: p.clone() for name, p in model.named_parameters()}
        trainer.take_step()
        return {
            name.split(".")[0] for name, p in model.named_parameters() if not torch.equal(p, before[name])
        }

    assert step() == {"encoder"}
    model.lagging.zero_()
    assert step() == set()


def test_the_information_in_a_batch():
    x = torch.tensor([[-50.0, 0, 0, 0, 0], [50.0, 0, 0, 0, 0]])
    model = reparam.build("lagging-vae", DATA, latent=2, width=8).model
    model.encoder = _FirstOf()
    terms = model.negative_elbo(x, eps=torch.zeros(2, 1, 2))  # pyright: ignore[reportCallIssue]
    assert_close(terms["information"], torch.full((2,), math.log(2)))  # told apart: all that two can say
    terms = model.negative_elbo(0 * x, eps=torch.zeros(2, 1, 2))  # pyright: ignore[reportCallIssue]
    assert_close(terms["information"], torch.zeros(2))


class _FirstOf(torch.nn.Module):
    def forward(self, x: Tensor) -> Gaussian:
        return Gaussian(x[:, :2], x.new_zeros(len(x), 2))


# Heads and networks


def test_batch_normalised_means_keep_the_rate_up():
    head = BatchNormalisedCode(6, 3, 0.5)
    q = head(torch.randn(400, 6, generator=torch.Generator().manual_seed(0)))
    assert_close(q.mean.std(0, correction=0), torch.full((3,), 0.5), atol=0.05, rtol=0)
    best = Gaussian(q.mean, torch.zeros_like(q.mean))
    assert float(best.kl().detach().mean()) >= 3 * 0.5**2 / 2 * 0.9
    assert not head.norm.scale.requires_grad


def test_every_layer_of_a_skip_generator_sees_the_code():
    net = SkipGenerator(2, (1, 3, 3), [8, 8])
    z = torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
    before = net(z)
    assert before.shape == (5, 1, 3, 3)
    with torch.no_grad():  # the first two layers say nothing, and the output still moves with the code
        for layer in net.layers:
            layer.weight[:, :-2] = 0  # pyright: ignore[reportIndexIssue]
        net.layers[0].weight.zero_()  # pyright: ignore[reportCallIssue]
    assert float(net(z).detach().std(0).min()) > 0


# Cycles


@pytest.mark.parametrize("restarts", [False, True])
def test_the_rate_of_learning_restarts_only_where_it_is_told_to(restarts: bool):
    recipe = reparam.build("cyclical-vae", DATA, period=100, cycles=2, restarts=restarts).recipe
    (turn,), lr = recipe.model.turns(), recipe.optimisers["default"].lr
    beta = (turn.moves[0].weights or {})["rate"]
    assert [at(beta, step) for step in (0, 25, 50, 99, 100)] == [0.0, 0.5, 1.0, 1.0, 0.0]
    assert (at(lr, 50) < at(lr, 0)) == restarts
    assert at(lr, 100) == at(lr, 0)
    assert recipe.steps == 200
