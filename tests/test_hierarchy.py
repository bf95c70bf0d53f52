"""Ladder and hierarchical VAEs, and JointVAE: rates against torch's, bounds against quadrature, limits."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Normal, kl_divergence
from torch.testing import assert_close

import reparam
from reparam.data import load
from reparam.distributions import Gaussian
from reparam.errors import ReparamError
from reparam.models.joint_vae import JointVAE, Mixed
from reparam.nets.hierarchy import merged

DATA = load(0.5 * np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32), standardise=False)


def numbers(*shape: int, seed: int = 0) -> Tensor:
    """Standard normal, float64."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _model(name: str, **settings: Any) -> Any:
    own = {"layers": 2, "latent": 1, "width": 8, "likelihood": "gaussian", "std": 1.0}
    return reparam.build(name, DATA, **own | settings).model.double()


def test_evidence_and_prior_are_merged_by_precision():
    a, b = (
        Gaussian(numbers(4, 2), 0.5 * numbers(4, 2, seed=1)),
        Gaussian(numbers(4, 2, seed=2), numbers(4, 2, seed=3)),
    )
    q = merged(a, b)
    precisions = [torch.exp(-2 * law.log_std) for law in (a, b)]
    assert_close(torch.exp(-2 * q.log_std), sum(precisions))
    assert_close(q.mean, (a.mean * precisions[0] + b.mean * precisions[1]) / sum(precisions))


@pytest.mark.parametrize("name", ["hierarchical-vae", "ladder-vae"])
def test_the_bound_of_many_draws_is_the_likelihood_by_quadrature(name: str):
    model, x, k = _model(name), DATA.train.x[:3].double(), 10_000
    side = torch.linspace(-7, 7, 200).double()
    grid = torch.cartesian_prod(side, side)
    exact = model.log_joint(x, grid.expand(3, -1, -1)).logsumexp(1) + 2 * math.log(side[1] - side[0])
    weights = (model.log_weights(x, eps=numbers(3, k, 2)) - exact[:, None]).exp()
    assert ((weights.mean(1) - 1).abs() < 4 * weights.std(1) / math.sqrt(k) + 1e-3).all()
    assert (weights.std(1) / math.sqrt(k) < 0.1).all()


@pytest.mark.parametrize("name", ["hierarchical-vae", "ladder-vae"])
def test_the_terms_are_in_the_mean_those_of_the_weights(name: str):
    model, x = _model(name), DATA.train.x[:3].double()
    eps = numbers(3, 20_000, 2)
    terms, weights = model.negative_elbo(x, eps=eps), model.log_weights(x, eps=eps)
    error = 5 * weights.std(1) / math.sqrt(20_000)
    assert ((terms["distortion"] + terms["rate"] + weights.mean(1)).abs() < error).all()


def test_the_rate_of_a_ladder_is_torch_s_layer_by_layer():
    model, x, eps = _model("ladder-vae", latent=4), DATA.train.x[:3].double(), numbers(3, 1, 6)
    terms = model.negative_elbo(x, eps=eps)
    low, high = model.encoder(x)
    top = Normal(high.mean, torch.exp(high.log_std))
    z2 = top.mean + top.stddev * eps[:, 0, 4:]
    p = model.prior.maps[0](z2)
    q = merged(low, p)
    upper = kl_divergence(top, Normal(torch.zeros(2).double(), 1)).sum(1)
    lower = kl_divergence(Normal(q.mean, torch.exp(q.log_std)), Normal(p.mean, torch.exp(p.log_std))).sum(1)
    assert_close(terms["upper"], upper)
    assert_close(terms["rate"], lower + upper)


def test_samples_come_down_the_chain():
    model, u = _model("ladder-vae", latent=4), numbers(5, 6)
    p = model.prior.maps[0](u[:, 4:])
    z1 = p.mean + torch.exp(p.log_std) * u[:, :4]
    assert_close(model.sample(z=u), model.decode(torch.cat([z1, u[:, 4:]], 1)))
    with pytest.raises(ReparamError, match="at least one layer"):
        _model("ladder-vae", layers=0)


# JointVAE


class Say(nn.Module):
    """x (n, 4) → N(x₁, 1) and logits x₂…₄."""

    def forward(self, x: Tensor) -> Mixed:
        return Mixed(Gaussian(x[:, :1], torch.zeros_like(x[:, :1])), x[:, 1:])


class Code(nn.Module):
    """The code (n, 3 + 1) → N(code, 1)."""

    def forward(self, z: Tensor) -> Gaussian:
        return Gaussian(z, z.new_zeros(()))


def test_the_terms_of_the_joint_vae():
    model, x = JointVAE(Say(), Code(), 1, 3, capacities=(2.0, 9.0), rising=4), numbers(6, 4)
    model.moves += 2
    eps, gumbel = numbers(6, 1, seed=1), -torch.log(-torch.log(torch.rand(6, 3).double()))
    terms = model.relaxed(x, eps=eps, gumbel=gumbel)
    choice = Categorical(logits=x[:, 1:])
    c = torch.softmax((choice.logits + gumbel) / 0.67, 1)
    assert_close(terms["distortion"], -Normal(torch.cat([c, x[:, :1] + eps], 1), 1.0).log_prob(x).sum(1))
    assert_close(terms["rate"], kl_divergence(Normal(x[:, 0], 1.0), Normal(0.0, 1.0)))
    uniform = Categorical(logits=torch.zeros(6, 3).double())
    assert_close(terms["choice_rate"], kl_divergence(choice, uniform))
    assert_close(terms["gap"], (terms["rate"].mean() - 1).abs().expand(6))
    # A choice among three holds log 3 nats, of which half has risen.
    assert_close(terms["choice_gap"], (terms["choice_rate"].mean() - math.log(3) / 2).abs().expand(6))
    assert terms["moves"] == 3


def test_the_relaxed_choice_falls_as_the_law_says():
    law = Categorical(logits=numbers(3))
    gumbel = reparam.noise.Streams(0).draw("gumbel", reparam.noise.Gumbel((3,)), 20_000)
    found = (law.logits + gumbel).argmax(1)
    assert_close(torch.bincount(found) / 20_000, law.probs.float(), rtol=0, atol=0.02)


def test_the_score_of_the_joint_vae_is_its_bound_with_the_choice_summed_out():
    model, x, eps = JointVAE(Say(), Code(), 1, 3), numbers(6, 4), numbers(6, 1, seed=1)
    q = Categorical(logits=x[:, 1:])
    expected = torch.zeros(6).double()
    for k in range(3):
        code = torch.cat([torch.eye(3)[k].double().expand(6, 3), x[:, :1] + eps], 1)
        expected += q.probs[:, k] * (Normal(code, 1.0).log_prob(x).sum(1) + math.log(1 / 3))
    kl = kl_divergence(Normal(x[:, 0], 1.0), Normal(0.0, 1.0))
    assert_close(model.score(x, eps=eps), expected + q.entropy() - kl)


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(ReparamError, match="temperature 0"):
        reparam.build("joint-vae", DATA, temperature=0.0)
