"""Priors and posteriors: densities, draws and rates against scipy, quadrature and Jacobians."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn
from torch.testing import assert_close

import reparam
from reparam import bounds, evaluate_likelihood
from reparam.data import load
from reparam.distributions import FullGaussian, FullGaussianMixture, Gaussian, GaussianMixture, chosen
from reparam.errors import ReparamError
from reparam.models.capacity_vae import CapacityVAE
from reparam.models.info_vae import InfoVAE
from reparam.models.vae import VAE
from reparam.nets.flows import MADE, CouplingFlow, Flow, Flowed, FlowedCode
from reparam.nets.heads import FullGaussianCode, GaussianCode
from reparam.nets.priors import FullMixturePrior, MixturePrior, StandardNormalPrior, VampPrior
from reparam.noise import Choosing, Normal, Streams

VECTORS = load(np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32))


def numbers(*shape: int, seed: int = 0) -> Tensor:
    """Standard normal, float64."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def shaken(module: Any, size: float = 0.3) -> Any:
    """In float64, off any weights that begin as zeros."""
    module = module.double()
    with torch.no_grad():
        for i, p in enumerate(module.parameters()):
            p += size * numbers(*p.shape, seed=i)
    return module


def lower(*shape: int, seed: int = 0) -> Tensor:
    """Lower triangular, the diagonal positive."""
    raw = numbers(*shape, seed=seed)
    return raw.tril(-1) + torch.diag_embed(0.3 + raw.diagonal(dim1=-2, dim2=-1).abs())


# Laws


def test_a_full_gaussian_is_scipy_s():
    q, x = FullGaussian(numbers(4, 3), lower(4, 3, 3)), numbers(4, 3, seed=1)
    exact = [
        stats.multivariate_normal(m, f @ f.T).logpdf(each)
        for m, f, each in zip(q.mean.numpy(), q.factor.numpy(), x.numpy(), strict=True)
    ]
    assert_close(q.log_prob(x), torch.tensor(exact))
    normal = torch.distributions.MultivariateNormal(torch.zeros(3).double(), torch.eye(3).double())
    theirs = torch.distributions.MultivariateNormal(q.mean, scale_tril=q.factor)
    assert_close(q.kl(), torch.distributions.kl_divergence(theirs, normal))


def test_mixtures_are_scipy_s():
    logits, means, log_std, x = numbers(3), numbers(3, 2), 0.3 * numbers(3, 2, seed=1), numbers(5, 2, seed=2)
    factor, share = lower(3, 2, 2), logits.softmax(0).numpy()
    for law, covariance in (
        (GaussianMixture(logits, means, log_std), torch.diag_embed(torch.exp(2 * log_std))),
        (FullGaussianMixture(logits, means, factor), factor @ factor.mT),
    ):
        each = [
            stats.multivariate_normal(m, c).pdf(x)
            for m, c in zip(means.numpy(), covariance.numpy(), strict=True)
        ]
        assert_close(law.log_prob(x), torch.tensor(np.log(share @ np.stack(each))))


def test_draws_of_mixtures_have_their_moments():
    logits, means, factor = numbers(3), 2 * numbers(3, 2), lower(3, 2, 2)
    noise = Streams(0).draw("z", Choosing.of(2), 40_000).double()
    for law, covariance in (
        (GaussianMixture(logits, means, factor.diagonal(dim1=1, dim2=2).log()), None),
        (FullGaussianMixture(logits, means, factor), factor @ factor.mT),
    ):
        if covariance is None:
            covariance = torch.diag_embed(factor.diagonal(dim1=1, dim2=2).square())
        share, z = logits.softmax(0), law.at(noise)
        mean = share @ means
        second = (share[:, None, None] * (covariance + means[:, :, None] * means[:, None])).sum(0)
        assert_close(z.mean(0), mean, rtol=0, atol=0.05)
        assert_close(torch.cov(z.T), second - mean[:, None] * mean, rtol=0, atol=0.1)


def test_a_uniform_number_chooses_the_component():
    logits = torch.tensor([0.2, 0.5, 0.3]).log()
    u = torch.tensor([0.0, 0.19, 0.21, 0.69, 0.71, 1 - 2**-24])
    assert chosen(logits, u).tolist() == [0, 0, 1, 1, 2, 2]


# Flows


def test_a_coupling_flow_is_inverted_and_its_determinant_is_the_jacobian_s():
    flow, u = shaken(CouplingFlow(3, layers=4, hidden=8)), numbers(5, 3)
    z, log_det = flow(u)
    back, same = flow.inverse(z)
    assert_close(back, u)
    assert_close(same, log_det)
    for i in range(5):
        jacobian = torch.autograd.functional.jacobian(lambda v: flow(v[None])[0][0], u[i])
        assert_close(log_det[i], torch.linalg.slogdet(jacobian).logabsdet)


def test_the_density_of_a_flow_integrates_to_one():
    flow = shaken(CouplingFlow(2, layers=2, hidden=8), 0.2)
    side = torch.linspace(-15, 15, 400).double()
    density = Flow(flow).log_prob(torch.cartesian_prod(side, side)).exp()
    assert_close(density.sum() * (side[1] - side[0]) ** 2, torch.tensor(1.0).double(), rtol=0, atol=1e-3)


def test_made_reads_what_came_before_and_the_context():
    made, x, context = shaken(MADE(4, 2, 16)), numbers(4), numbers(2)

    def both(x: Tensor, context: Tensor) -> Tensor:
        return torch.stack(made(x[None], context[None])).squeeze(1)

    of_x, of_context = torch.autograd.functional.jacobian(both, (x, context))  # pyright: ignore
    before = torch.ones(4, 4).tril(-1).bool()
    for part in of_x:
        assert (part[~before] == 0).all()
        assert (part[before] != 0).all()
    assert (of_context[:, 1:] != 0).all()


def test_the_density_of_a_flowed_posterior_is_that_of_its_jacobian():
    head = shaken(FlowedCode(4, 3, steps=3, hidden=8))
    q, eps = head(numbers(2, 4)), numbers(2, 5, 3)
    z, log_q = q.draws(eps)
    for i in range(2):
        for k in range(5):
            one = Flowed(Gaussian(q.base.mean[[i]], q.base.log_std[[i]]), q.context[[i]], q.flow)
            jacobian = torch.autograd.functional.jacobian(lambda e, law=one: law.at(e[None])[0], eps[i, k])
            normal = torch.distributions.Normal(0, 1).log_prob(eps[i, k]).sum()
            assert_close(log_q[i, k], normal - torch.linalg.slogdet(jacobian).logabsdet)
            assert_close(z[i, k], one.at(eps[i, k][None])[0])


# On the VAE


class Unit(nn.Module):
    """z (n, 2) → N((z, z), 1) over (n, 4)."""

    def forward(self, z: Tensor) -> Gaussian:
        return Gaussian(z.repeat(1, 2), z.new_zeros(()))


@pytest.mark.parametrize("head", [GaussianCode, FullGaussianCode, FlowedCode])
@pytest.mark.parametrize("prior", [StandardNormalPrior, MixturePrior, FullMixturePrior])
def test_the_bound_of_many_draws_is_the_likelihood_by_quadrature(head: Any, prior: Any):
    # The posteriors of an encoder that has not learned are wide: weights of their draws have little variance.
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), head(6, 2))
    model, x = shaken(VAE(encoder, Unit(), 2, prior=prior(2)), 0.05), 0.5 * numbers(3, 4, seed=5)
    side = torch.linspace(-8, 8, 200).double()
    grid = torch.cartesian_prod(side, side).expand(3, -1, -1)
    exact = model.log_joint(x, grid).logsumexp(1) + 2 * math.log(side[1] - side[0])
    k = 10_000
    weights = (model.log_weights(x, eps=numbers(3, k, 2, seed=6)) - exact[:, None]).exp()
    assert ((weights.mean(1) - 1).abs() < 4 * weights.std(1) / math.sqrt(k) + 1e-3).all()
    assert (weights.std(1) / math.sqrt(k) < 0.1).all()


def test_the_rate_by_draws_is_the_closed_form_in_the_mean():
    prior = MixturePrior(2, 1)
    with torch.no_grad():
        prior.means.zero_()  # one standard normal, not known to be one
    encoder, x = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), FullGaussianCode(6, 2)).double(), numbers(3, 4)
    eps = numbers(3, 40_000, 2, seed=1)
    by_draws = VAE(encoder, Unit(), 2, prior=prior.double()).negative_elbo(x, eps=eps)["rate"]
    closed = VAE(encoder, Unit(), 2).negative_elbo(x, eps=eps)["rate"]
    assert_close(by_draws, closed, rtol=0, atol=0.03)


def test_the_vampprior_is_the_mean_of_the_posteriors_of_its_inputs():
    encoder = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), GaussianCode(6, 2))
    model = shaken(VAE(encoder, Unit(), 2, prior=VampPrior((4,), 2, 5, bounded=False)))
    z = numbers(6, 2)
    q = model.encoder(model.prior.inputs())
    each = torch.distributions.Normal(q.mean, torch.exp(q.log_std)).log_prob(z[:, None]).sum(2)
    assert_close(model.prior_law().log_prob(z), each.exp().mean(1).log())


def test_annealing_brackets_the_likelihood_under_a_learned_prior():
    system = reparam.build("vae", VECTORS, latent=2, width=8, prior="mixture", components=3)
    found = evaluate_likelihood.annealed(system, VECTORS.test.x, draws=50, temperatures=40, chains=4)
    assert abs(found["annealed_error"].value) < 0.2


@pytest.mark.parametrize("kind", [InfoVAE, CapacityVAE])
def test_a_full_posterior_serves_the_regularised_vaes(kind: Any):
    encoder, normal = nn.Sequential(nn.Linear(4, 6), FullGaussianCode(6, 2)).double(), Normal((2,))
    x, eps = numbers(6, 4), numbers(6, 2, seed=1)
    model = kind(encoder, Unit(), normal, normal).double()
    terms = model.negative_elbo(x, eps=eps, **({"prior": eps} if kind is InfoVAE else {}))
    z, _ = encoder(x).draws(eps[:, None])
    assert_close(terms["rate"], encoder(x).kl())
    assert_close(terms["distortion"], -bounds.log_likelihood(Unit(), x, z)[:, 0])


def test_what_cannot_be_is_said():
    with pytest.raises(ReparamError, match="at least one"):
        reparam.build("vae", VECTORS, prior="mixture", components=0)
    with pytest.raises(ReparamError, match="at least 2 dimensions"):
        reparam.build("vae", VECTORS, prior="flow", latent=1)
    with pytest.raises(ReparamError, match="posterior=diagonal"):
        reparam.build("vae", VECTORS, prior="vamp", posterior="full")
