"""IWAE and DReG: the bound at K = 1 and in K, and their gradients on the linear VAE, where all is known."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

import reparam
from reparam.data import load
from reparam.errors import ReparamError
from reparam.model import Model
from reparam.models.dreg import DReG
from reparam.models.iwae import IWAE
from reparam.models.linear_vae import LinearVAE
from reparam.models.vae import VAE
from reparam.nets import heads

D, LATENT, ROWS = 5, 2, 4


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def players(shift: float = 0.3) -> tuple[nn.Module, nn.Module]:
    """The exact posterior of a linear decoder of orthogonal columns, off by `shift`, and that decoder."""
    noise = heads.FixedGaussianNoise(0.8, False)
    decoder = nn.Sequential(nn.Linear(LATENT, D), noise).double()
    encoder = heads.SharedGaussianCode(D, LATENT).double()
    w = torch.linalg.qr(randn(D, LATENT)).Q * torch.tensor([1.5, 0.6]).double()
    precision = w.square().sum(0) / 0.8**2 + 1
    with torch.no_grad():
        noise.log_std.fill_(math.log(0.8))
        decoder[0].weight.copy_(w)  # pyright: ignore
        mean = decoder[0].bias.copy_(randn(D, seed=1))  # pyright: ignore
        encoder.linear.weight.copy_(w.T / 0.8**2 / precision[:, None])
        encoder.linear.bias.copy_(shift - encoder.linear.weight @ mean)
        encoder.log_std.copy_(shift - 0.5 * torch.log(precision))
    return encoder, decoder


X = randn(ROWS, D, seed=2) * 1.5


def gradients(model: Model, part: nn.Module, term: Tensor) -> Tensor:
    """Of the mean of a term, over the parameters of a player, as one vector."""
    found = torch.autograd.grad(term.mean(), [p for p in part.parameters() if p.requires_grad])
    return torch.cat([g.flatten() for g in found])


def repeated(times: int, seed: int, draws: int) -> tuple[Tensor, Tensor]:
    """The rows many times over, each with draws of its own."""
    return X.repeat(times, 1), randn(ROWS * times, draws, LATENT, seed=seed)


def spread_of(estimate: Callable[[int], Tensor], times: int = 20) -> tuple[Tensor, Tensor]:
    """Mean of independent estimates, and its standard error."""
    found = torch.stack([estimate(seed) for seed in range(times)])
    return found.mean(0), found.std(0) / math.sqrt(times)


# The bound


@pytest.mark.parametrize("kind", [IWAE, DReG])
def test_one_draw_is_the_vae_s_bound(kind: type[IWAE] | type[DReG]):
    encoder, decoder = players()
    model, vae = kind(encoder, decoder, LATENT, draws=1), VAE(encoder, decoder, LATENT)
    x, eps = repeated(5000, 3, 1)
    terms, elbo = model.negative_bound(x, eps=eps), vae.negative_elbo(x, eps=eps)
    # Draw by draw the rate is log q(z|x) − log p(z) and not its mean; the parts logged beside are the VAE's.
    assert_close(terms["bound"], -vae.log_weights(x, eps=eps)[:, 0])
    assert_close(terms["distortion"], elbo["distortion"])
    assert_close(terms["rate"], elbo["rate"])
    both = torch.stack([terms["bound"], elbo["distortion"] + elbo["rate"]]).detach().mean(1)
    assert_close(both[0].item(), both[1].item(), rtol=0, atol=0.05)
    assert_close(
        both[1].item(), -LinearVAE(encoder, decoder, LATENT).score(X).mean().item(), rtol=0, atol=0.05
    )


@pytest.mark.parametrize("kind", [IWAE, DReG])
def test_the_bound_grows_with_the_draws_up_to_the_likelihood(kind: type[IWAE] | type[DReG]):
    encoder, decoder = players(0.6)
    exact = float(LinearVAE(encoder, decoder, LATENT).log_prob(X).mean().detach())
    bounds = []
    for k in (1, 5, 25, 125):
        x, eps = repeated(1000, 4, k)
        bounds.append(float(kind(encoder, decoder, LATENT, draws=k).score(x, eps=eps).mean().detach()))
    assert bounds == sorted(bounds)
    assert bounds[1] > bounds[0] + 0.1
    assert exact - 0.1 < bounds[-1] < exact + 0.02


# Gradients


def test_one_draw_s_gradient_is_that_of_the_analytic_bound():
    encoder, decoder = players()
    linear = LinearVAE(encoder, decoder, LATENT)
    for kind, term in ((IWAE, "bound"), (DReG, "doubly")):
        model = kind(encoder, decoder, LATENT, draws=1)
        for part, name in ((encoder, term), (decoder, "bound")):
            analytic = gradients(linear, part, -linear.score(X))

            def estimate(seed: int, model=model, part=part, name=name) -> Tensor:
                x, eps = repeated(500, seed, 1)
                return gradients(model, part, model.negative_bound(x, eps=eps)[name])

            mean, error = spread_of(estimate)
            assert bool(((mean - analytic).abs() < 5 * error + 1e-9).all()), (kind.name, name)
            assert float(analytic.norm()) > 10 * float(error.norm())


def test_the_importance_weighted_gradient_is_that_of_its_expectation():
    """Along directions of the encoder: the slope of the mean bound, with the same draws on both sides."""
    encoder, decoder = players()
    model = IWAE(encoder, decoder, LATENT, draws=4)
    x, eps = repeated(50, 5, 4)
    gradient = gradients(model, encoder, model.negative_bound(x, eps=eps)["bound"])
    parameters = list(encoder.parameters())
    direction = [randn(*p.shape, seed=i) for i, p in enumerate(parameters)]
    along = float((gradient * torch.cat([d.flatten() for d in direction])).sum())
    values = []
    for step in (1e-5, -1e-5):
        with torch.no_grad():
            for p, d in zip(parameters, direction, strict=True):
                p += step * d
            values.append(float(model.negative_bound(x, eps=eps)["bound"].mean()))
            for p, d in zip(parameters, direction, strict=True):
                p -= step * d
    assert_close((values[0] - values[1]) / 2e-5, along, rtol=1e-6, atol=0)


@pytest.mark.parametrize("draws", [2, 8])
def test_the_doubly_reparameterised_gradient_is_the_plain_one_in_expectation_with_less_variance(draws: int):
    encoder, decoder = players()
    plain, doubly = (kind(encoder, decoder, LATENT, draws=draws) for kind in (IWAE, DReG))

    def difference(seed: int) -> Tensor:
        x, eps = repeated(500, seed, draws)
        return gradients(doubly, encoder, doubly.negative_bound(x, eps=eps)["doubly"]) - gradients(
            plain, encoder, plain.negative_bound(x, eps=eps)["bound"]
        )

    mean, error = spread_of(difference)
    assert bool((mean.abs() < 5 * error).all())

    def single(model: Model, term: str) -> tuple[Tensor, Tensor]:
        found = [
            gradients(model, encoder, model.negative_bound(X, eps=randn(ROWS, draws, LATENT, seed=s))[term])
            for s in range(200)
        ]
        return torch.stack(found).mean(0), torch.stack(found).std(0)

    (signal, with_density), (_, without) = single(plain, "bound"), single(doubly, "doubly")
    assert float(signal.norm()) > 0
    assert float(without.norm()) < 0.7 * float(with_density.norm())


def test_the_doubly_reparameterised_gradient_vanishes_at_the_exact_posterior_draw_by_draw():
    encoder, decoder = players(0.0)
    eps = randn(ROWS, 6, LATENT)
    plain, doubly = (kind(encoder, decoder, LATENT, draws=6) for kind in (IWAE, DReG))
    still = gradients(doubly, encoder, doubly.negative_bound(X, eps=eps)["doubly"])
    assert_close(still, torch.zeros_like(still), rtol=0, atol=1e-10)
    moving = gradients(plain, encoder, plain.negative_bound(X, eps=eps)["bound"])
    assert float(moving.norm()) > 1e-2
    # The decoder's own gradient is the plain one, in both.
    for model in (plain, doubly):
        found = gradients(model, decoder, model.negative_bound(X, eps=eps)["bound"])
        exact = gradients(model, decoder, -LinearVAE(encoder, decoder, LATENT).log_prob(X))
        x, many = repeated(2000, 6, 6)
        mean = gradients(model, decoder, model.negative_bound(x, eps=many)["bound"])
        assert_close(mean, exact, rtol=0.05, atol=0.05)
        assert_close(found, gradients(plain, decoder, plain.negative_bound(X, eps=eps)["bound"]))


@pytest.mark.parametrize("name", ["vae", "iwae", "dreg"])
def test_no_draws_are_refused(name: str):
    with pytest.raises(ReparamError, match="draws=0: a bound on the likelihood needs at least one draw"):
        reparam.build(name, load(X.float().numpy().repeat(10, 0)), draws=0, width=16)
