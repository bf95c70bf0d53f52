"""The likelihood family of `reparam evaluate`: what each kind of system is measured by, and exact values."""

import math

import numpy as np
import pytest
import torch
from torch.testing import assert_close

import reparam
from reparam import evaluate_likelihood
from reparam.data import Data, load
from reparam.errors import ReparamError
from reparam.evaluate import evaluate
from reparam.models.ppca import affine
from reparam.system import System

DRAW = np.random.default_rng(0)
PICTURES = DRAW.integers(0, 256, (60, 1, 8, 8)).astype(np.uint8)
GREY, BITS = load(PICTURES), load((PICTURES > 127).astype(np.uint8))
VECTORS = load((DRAW.normal(size=(200, 3)) @ DRAW.normal(size=(3, 5))).astype(np.float32))


def batch(data: Data, n: int = 20) -> torch.Tensor:
    return data.batch(data.train, torch.arange(n))["x"]


def exact_linear_vae() -> System:
    """A linear VAE whose encoder is its decoder's posterior, diagonal because W's columns are orthogonal."""
    system = reparam.build("linear-vae", VECTORS, latent=2, std=1.0)
    model, x = system.model.to(torch.float64), batch(VECTORS).double()
    linear, code = model.decoder[0], model.encoder[1]  # pyright: ignore
    with torch.no_grad():
        linear.weight.copy_(torch.linalg.qr(linear.weight).Q * 1.3)
        w, mean, log_std = affine(model.decoder, 2, x)  # pyright: ignore
        precision = w.square().sum(1) * torch.exp(-2 * log_std) + 1
        code.linear.weight.copy_(w * torch.exp(-2 * log_std) / precision[:, None])
        code.linear.bias.copy_(-code.linear.weight @ mean)
        code.log_std.copy_(-0.5 * precision.log())
    return system


def test_the_linear_vae_is_exact_in_every_measure():
    system, x = exact_linear_vae(), batch(VECTORS).double()
    truth = float(system.model.log_prob(x).mean().detach())  # pyright: ignore
    found = evaluate_likelihood.likelihoods(system, x, draws=50) | evaluate_likelihood.parts(system, x)
    assert set(found) == {"likelihood", "elbo", "rate", "distortion"}  # real vectors have no bits
    assert found["likelihood"].how.startswith("Exact log p(x)")
    assert_close(found["likelihood"].value, truth)
    assert_close(found["elbo"].value, truth)
    assert_close(-found["rate"].value - found["distortion"].value, truth)


def test_annealing_the_linear_vae():
    system, x = exact_linear_vae(), batch(VECTORS).double()
    found = evaluate_likelihood.annealed(system, x, draws=50, temperatures=10)
    truth = float(system.model.log_prob(x[: evaluate_likelihood.ANNEALED_OF]).mean().detach())  # pyright: ignore
    # From the exact posterior there is nothing to be annealed.
    assert_close(found["annealed"].value, truth)
    assert abs(found["annealed_error"].value) < 1e-6
    assert found["annealed"].n == evaluate_likelihood.ANNEALED_OF
    assert_close(found["refined"].value, truth)
    for part in ("refinement", "gap", "approximation", "amortisation"):
        assert abs(found[part].value) < 1e-6


def test_annealing_from_an_encoder_that_is_off():
    system, x = exact_linear_vae(), batch(VECTORS).double()
    with torch.no_grad():
        system.model.encoder[1].linear.bias += 0.5  # pyright: ignore
    found = evaluate_likelihood.annealed(system, x, draws=50, temperatures=60)
    truth = float(system.model.log_prob(x[: evaluate_likelihood.ANNEALED_OF]).mean().detach())  # pyright: ignore
    assert_close(found["annealed"].value, truth, rtol=0, atol=0.05)
    assert -0.05 < found["annealed_error"].value < 0.05
    assert found["refined"].value < truth + 0.02
    assert found["refinement"].value > 0.01
    assert "by the closed form" in found["gap"].how
    assert found["gap"].value > 0.1
    assert_close(found["amortisation"].value, found["gap"].value, rtol=0, atol=1e-3)


def test_the_bound_of_many_draws_is_above_that_of_one():
    system, x = reparam.build("vae", VECTORS, latent=2, width=16), batch(VECTORS)
    found = evaluate_likelihood.likelihoods(system, x, draws=50) | evaluate_likelihood.parts(system, x)
    assert found["likelihood"].how.startswith("Importance-weighted bound, K = 50")
    assert found["likelihood"].value > found["elbo"].value
    q = system.model.encoder(x)  # pyright: ignore
    assert_close(found["rate"].value, float(q.kl().mean().detach()), rtol=1e-4, atol=1e-5)
    assert_close(found["elbo"].value, -found["rate"].value - found["distortion"].value, rtol=1e-6, atol=0)
    assert found == evaluate_likelihood.likelihoods(system, x, draws=50) | evaluate_likelihood.parts(
        system, x
    )


@pytest.mark.parametrize(
    ("law", "data", "saying"),
    [
        ("gaussian", GREY, "dequantised uniformly over 256 levels, K = 8"),
        ("continuous-bernoulli", GREY, "dequantised uniformly over 256 levels"),
        ("discretised-logistic", GREY, "Probability of the levels themselves, K = 8"),
        ("bernoulli", BITS, "Probability of the levels themselves"),
        ("gaussian", BITS, None),
    ],
)
def test_bits_of_discrete_data(law: str, data: Data, saying: str | None):
    system = reparam.build("vae", data, latent=2, width=16, likelihood=law)
    found = evaluate_likelihood.likelihoods(system, batch(data), draws=8)
    if saying is None:
        assert "bits" not in found
        return
    assert saying in found["bits"].how
    if "levels themselves" in saying:
        assert_close(found["bits"].value, -found["likelihood"].value / (64 * math.log(2)))
    else:
        # The density of pixels on [0, 1] lacks the 8 bits of the levels.
        density = -found["likelihood"].value / (64 * math.log(2)) + 8
        assert_close(found["bits"].value, density, rtol=0, atol=0.2)
    # Uniform noise holds 8 bits a pixel (1 where it is black and white), and no model can do with less.
    assert found["bits"].value > (1 if data is BITS else 8) - 0.05


def test_the_same_dequantisation_serves_an_exact_likelihood():
    system = reparam.build("ppca", GREY, latent=2)
    found = evaluate_likelihood.likelihoods(system, batch(GREY), draws=8)
    assert set(found) == {"likelihood", "bits"}
    assert "dequantised" in found["bits"].how


@pytest.mark.parametrize("law", ["gaussian", "discretised-logistic"])
def test_bits_of_codes_without_noise(law: str):
    """The codes cost N log K nats; a learned prior over them changes that alone."""
    first = reparam.build("vqvae", GREY, size=8, dim=4, width=16, likelihood=law)
    second = reparam.build("vq-prior", GREY, stage1=first, width=8, layers=1)
    found = [evaluate_likelihood.likelihoods(each, batch(GREY), draws=8) for each in (first, second)]
    for bounds in found:
        words = "dequantised" if law == "gaussian" else "levels themselves"
        assert words in bounds["bits"].how
        assert bounds["bits"].value > 8 - 0.05
    rates = [found[0]["likelihood"].value - found[1]["likelihood"].value]
    terms = second.model.cross_entropy(batch(GREY))  # pyright: ignore
    n = math.prod(first.model.grid)  # pyright: ignore
    assert_close(rates[0], terms["rate"].mean().item() - n * math.log(8), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("name", ["spherical-vae", "miwae", "ladder-vae", "pixel-vae"])
def test_every_model_with_weights_is_measured(name: str):
    system = reparam.build(name, BITS, width=16)
    found = evaluate_likelihood.likelihoods(system, batch(BITS), draws=3)
    assert found["likelihood"].how.startswith("Importance-weighted bound, K = 3")
    assert_close(found["bits"].value, -found["likelihood"].value / (64 * math.log(2)))


@pytest.mark.parametrize("name", ["gan", "aae", "autoencoder", "sigma-vae"])
def test_systems_without_a_bound_have_none(name: str):
    system = reparam.build(name, GREY, latent=2, width=16)
    assert not evaluate_likelihood.bounded(system)
    assert evaluate_likelihood.parts(system, batch(GREY)) == {}
    with pytest.raises(ReparamError, match=f"{name} cannot be annealed"):
        evaluate_likelihood.annealed(system, batch(GREY), draws=2)


def test_a_run_that_cannot_be_annealed_is_refused_before_it_is_measured(tmp_path, monkeypatch):
    system = reparam.build("gan", VECTORS, latent=2, width=16)
    reparam.train(system, tmp_path / "run", steps=2)
    monkeypatch.setattr("reparam.evaluate.Yardstick", None)
    with pytest.raises(ReparamError, match="gan cannot be annealed"):
        evaluate(tmp_path / "run", data=VECTORS, ais=True)


def test_annealing_is_a_part_of_evaluate_on_demand(tmp_path, monkeypatch):
    system = reparam.build("iwae", VECTORS, latent=2, width=16, draws=3)
    reparam.train(system, tmp_path / "run", steps=5)
    monkeypatch.setattr(evaluate_likelihood, "ANNEALED_OF", 3)
    monkeypatch.setattr(
        evaluate_likelihood.annealed, "__kwdefaults__", {"temperatures": 4, "chains": 2, "seed": 0}
    )
    found = evaluate(tmp_path / "run", data=VECTORS, ais=True).measures
    assert {"likelihood", "elbo", "rate", "distortion"} <= set(found)
    assert {"annealed", "annealed_error", "gap", "approximation", "amortisation"} <= set(found)
    assert {"refined", "refinement"} <= set(found)
    assert found["likelihood"].importance_samples == 50
    assert found["annealed"].question == "likelihood"
