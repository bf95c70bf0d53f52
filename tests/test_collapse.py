"""Remedies of collapse: their rules in closed form, and what they change."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

import reparam
from reparam.data import load
from reparam.distributions import Gaussian
from reparam.errors import ReparamError
from reparam.losses import free_bits
from reparam.schedules import at

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
        reparam.build("free-bits-vae", DATA, latent=4, **settings)


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
