"""M2, M1 + M2, RAE and the density of its codes: terms against sums written out, integrals and Jacobians."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.testing import assert_close

import reparam
from reparam.data import load
from reparam.distributions import Gaussian, Moved, StandardNormal
from reparam.errors import ReparamError
from reparam.models.m2 import M2
from reparam.models.rae import RAE, by_construction, of_slope, of_weights
from reparam.nets import heads
from reparam.nets.conditional import Conditioned
from reparam.nets.spectral import spectral

X = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
DATA = load({"x": X, "y": np.arange(60) % 3}, labels=12)


def numbers(*shape: int, seed: int = 0) -> Tensor:
    """Standard normal, float64."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _m2(draws: int = 1) -> M2:
    torch.manual_seed(0)
    encoder = Conditioned(nn.Sequential(nn.Linear(4 + 3, 8), nn.Tanh(), heads.GaussianCode(8, 2)), 3)
    decoder = nn.Sequential(nn.Linear(2 + 3, 4), heads.FixedGaussianNoise(1.0, bounded=False))
    return M2(nn.Linear(4, 3), encoder, decoder, 2, 3, draws=draws).double()


# M2


def test_the_terms_of_m2_are_the_sums_written_out():
    model, x, x_labelled, y = _m2(), numbers(5, 4), numbers(5, 4, seed=1), torch.tensor([0, 2, 1, 1, 0])
    eps, eps_labelled = numbers(5, 1, 2, seed=2), numbers(5, 1, 2, seed=3)
    terms = model.negative_elbo(x, x_labelled, y, eps=eps, eps_labelled=eps_labelled)

    def bound(x: Tensor, y: int, eps: Tensor) -> Tensor:
        q = model.encoder(x[None], torch.tensor([y]))
        z = q.mean + torch.exp(q.log_std) * eps
        law = model.decoder(torch.cat([z, F.one_hot(torch.tensor([y]), 3).double()], 1))
        log_p = torch.distributions.Normal(law.mean, 1).log_prob(x).sum()
        normal = torch.distributions.Normal(torch.zeros(2).double(), 1)
        kl = torch.distributions.kl_divergence(
            torch.distributions.Normal(q.mean, torch.exp(q.log_std)), normal
        )
        return -log_p - math.log(1 / 3) + kl.sum()

    for i in range(5):
        q = torch.distributions.Categorical(logits=model.classifier(x[i]))
        each = torch.stack([bound(x[i], y, eps[i]) for y in range(3)])
        assert_close(terms["unlabelled"][i], (q.probs * each).sum() - q.entropy())
        assert_close(terms["labelled"][i], bound(x_labelled[i], int(y[i]), eps_labelled[i]))
        assert_close(terms["ignorance"][i], -model.classifier(x_labelled[i]).log_softmax(0)[y[i]])


def test_the_weights_of_m2_are_of_the_likelihood():
    # p(x) by quadrature over z, summed over the classes.
    model, x, k = _m2(), 0.5 * numbers(3, 4), 10_000
    side = torch.linspace(-7, 7, 200).double()
    grid = torch.cartesian_prod(side, side)
    normal = torch.distributions.Normal(0, 1)
    parts = []
    for y in range(3):
        law = model.decoder(torch.cat([grid, F.one_hot(torch.tensor(y), 3).double().expand(len(grid), 3)], 1))
        log_p = normal.log_prob(x[:, None] - law.mean).sum(2) + normal.log_prob(grid).sum(1) - math.log(3)
        parts.append(log_p.logsumexp(1) + 2 * math.log(side[1] - side[0]))
    exact = torch.stack(parts).logsumexp(0)
    weights = (model.log_weights(x, eps=numbers(3, k, 2)) - exact[:, None]).exp()
    assert ((weights.mean(1) - 1).abs() < 4 * weights.std(1) / math.sqrt(k)).all()
    assert (weights.std(1) / math.sqrt(k) < 0.1).all()
    assert (model.score(x, eps=numbers(3, 500, 2)) < exact).all()


def test_few_labels_are_needed():
    for name in ("m2", "m1-m2"):
        with pytest.raises(ReparamError, match="--labels 30"):
            reparam.build(name, load({"x": X, "y": np.arange(60) % 3}))


def test_m1_m2_learns_the_codes_of_m1():
    first = reparam.build("vae", DATA, latent=3, width=8)
    system = reparam.build("m1-m2", DATA, stage1=first, latent=2, width=8)
    x = DATA.test.x
    assert_close(system.model.second.classify(first.model.encode(x)), system.model.classify(x))
    assert system.sample(5).shape == (5, 4)
    with pytest.raises(ReparamError, match="the run of a vae"):
        reparam.build("m1-m2", DATA, stage1=reparam.build("gan", DATA, width=8))


# RAE


def test_the_slope_of_a_linear_decoder_is_its_matrix_s_size():
    decoder, z = nn.Linear(2, 4).double(), numbers(1, 2)
    smooth = of_slope((4,))
    directions = numbers(20_000, 4, seed=1)
    mean = smooth.penalty(decoder, z.expand(20_000, 2), directions).mean()
    assert_close(mean, 0.5 * decoder.weight.square().sum(), rtol=0.03, atol=0)


def test_the_terms_of_the_rae():
    encoder = nn.Sequential(heads.Code(4, 2)).double()
    decoder, x = nn.Linear(2, 4).double(), numbers(5, 4)
    terms = RAE(encoder, decoder, 2, of_weights()).reconstruction(x, direction=numbers(5))
    z = encoder(x).mean
    assert_close(terms["error"], (x - decoder(z)).square().sum(1))
    assert_close(terms["size"], z.square().sum(1) / 2)
    theta = torch.cat([p.flatten() for p in decoder.parameters()])
    assert_close(terms["smoothness"], (theta @ theta / 2).expand(5))
    assert (by_construction().penalty(decoder, z, x) == 0).all()


def test_spectral_normalisation_makes_the_largest_stretch_one():
    net = spectral(nn.Sequential(nn.Linear(3, 5), nn.ConvTranspose2d(2, 3, 4)))
    for layer in net:
        sizes = np.linalg.svd(layer.weight.detach().flatten(1).numpy(), compute_uv=False)
        assert abs(sizes[0] - 1) < 1e-5


# The density of codes


def test_a_moved_law_is_the_law_s_image():
    law = Moved(StandardNormal(), torch.tensor([1.0, -2.0]), torch.tensor([0.5, 3.0]))
    x = numbers(5, 2).float()
    assert_close(law.log_prob(x), Gaussian(law.shift, law.scale.log()).log_prob(x))
    assert_close(law.at(x), law.shift + law.scale * x)


def test_one_gaussian_is_fitted_to_the_codes(tmp_path):
    draw = np.random.default_rng(1)
    data = load(
        (draw.normal(size=(2000, 2)) @ [[2.0, 1.0], [0.0, 0.5]]).astype(np.float32), standardise=False
    )
    first = reparam.build("autoencoder", data, latent=2, width=8)
    system = reparam.build("latent-density", data, stage1=first, density="gaussian", lr=0.03)
    system = reparam.train(system, tmp_path / "run", data=data, steps=300)
    codes = first.encode(data.train.x).double()
    centred = codes - codes.mean(0)
    exact = torch.distributions.MultivariateNormal(codes.mean(0), centred.T @ centred / len(codes))
    assert_close(system.score(data.train.x).mean().double(), exact.log_prob(codes).mean(), rtol=0, atol=0.02)


def test_codes_that_are_no_vectors_are_refused():
    with pytest.raises(ReparamError, match="no encoder and decoder"):
        reparam.build("latent-density", DATA, stage1=reparam.build("gan", DATA, width=8))
    with pytest.raises(ReparamError, match="no vectors with a normal noise"):
        reparam.build("latent-density", DATA, stage1=reparam.build("spherical-vae", DATA, width=8))
