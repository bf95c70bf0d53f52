"""The minibatch test of Metropolis–Hastings: its law, what it accepts, and where its chains end."""

import math

import numpy as np
import pytest
import torch
from scipy.special import expit
from scipy.stats import norm
from torch import Tensor

from reparam.barker import accepts, correction, transition
from reparam.errors import ReparamError


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("std", "error"), [(1.0, 2e-4), (1.1, 6e-4)])
def test_a_normal_and_its_correction_make_a_logistic(std: float, error: float):
    law = correction(std)
    x, width = np.linspace(-12, 12, 2001), float(law.points[1] - law.points[0])
    within = np.linspace(-0.5, 0.5, 11) * width
    sums = [norm.cdf((x[:, None] - law.points.numpy() - w) / std) @ law.mass.numpy() for w in within]
    assert np.abs(np.mean(sums, 0) - expit(x)).max() < error
    assert law.variance == pytest.approx(math.pi**2 / 3 - std**2, abs=5e-3)
    assert float(law.mass.min()) >= 0
    assert float(law.mass.sum()) == pytest.approx(1)


def test_draws_of_the_correction_have_its_variance():
    draws = correction(1.0).draw(100_000, generator())
    assert draws.mean().item() == pytest.approx(0, abs=0.02)
    assert draws.var().item() == pytest.approx(2.29, abs=0.04)


@pytest.mark.parametrize("delta", [-3.0, -1.0, 0.0, 0.5, 2.0])
def test_a_proposal_is_accepted_with_the_sigmoid_of_its_gain(delta: float):
    draw = generator(1)
    ratios = torch.randn(2000, generator=draw, dtype=torch.float64)
    ratios = (ratios - ratios.mean()) * 0.004 + delta / 2000  # of a batch of 100 the error is 0.8
    trials = [accepts(lambda rows: ratios[rows], 2000, draw, batch=100) for _ in range(2000)]
    share = sum(t.accepted for t in trials) / len(trials)
    assert share == pytest.approx(expit(delta), abs=4 * math.sqrt(0.25 / len(trials)))
    assert max(t.used for t in trials) < 2000


def test_the_batch_grows_until_its_error_is_small_enough_and_to_all_examples_at_most():
    draw = generator(2)
    looked: list[int] = []

    def ratio(of: Tensor, rows: Tensor) -> Tensor:
        looked.append(len(rows))
        return of[rows]

    flat, wild = torch.zeros(1000), torch.randn(1000, generator=draw)
    assert accepts(lambda rows: ratio(flat, rows), 1000, draw, batch=50).used == 50
    looked.clear()
    assert accepts(lambda rows: ratio(wild, rows), 1000, draw, batch=50).used == 1000
    assert looked == [50, 50, 100, 200, 400, 1000]  # rows are kept, until all are looked at


def test_a_chain_has_the_posterior_of_a_gaussian_mean():
    draw = generator(3)
    x = 0.7 + torch.randn(400, generator=draw, dtype=torch.float64)
    precision = 400 + 1.0  # N(0, 1) prior, N(µ, 1) data
    centre, at, kept = float(x.sum()) / precision, torch.zeros(1, dtype=torch.float64), []
    for i in range(4000):
        at, _ = transition(
            lambda p, rows: -0.5 * (x[rows] - p).square(), lambda p: -0.5 * p.square().sum(),
            at, 0.1, 400, draw,
        )  # fmt: skip
        if i >= 500:
            kept.append(at.item())
    assert np.mean(kept) == pytest.approx(centre, abs=0.015)
    assert np.std(kept) == pytest.approx(precision**-0.5, rel=0.15)


def test_a_tempered_mixture_of_a_million_takes_few_examples():
    """Seita et al. 2017, §6.1: two modes, of which a mean and a sum of means are sampled."""
    draw, n = generator(4), 10**6
    first = torch.rand(n, generator=draw) < 0.5
    x = torch.where(first, 0.0, 1.0) + math.sqrt(2) * torch.randn(n, generator=draw)

    def log_likelihood(p: Tensor, rows: Tensor) -> Tensor:
        means = torch.stack([p[0], p[0] + p[1]])
        return (-0.25 * (x[rows, None] - means).square()).logsumexp(1)

    def log_prior(p: Tensor) -> Tensor:
        return -0.5 * (p[0].square() / 10 + p[1].square())

    at, used, means = torch.tensor([0.0, 1.0]), [], []
    for _ in range(1000):
        at, decision = transition(log_likelihood, log_prior, at, 0.15, n, draw, temperature=10**4)
        used.append(decision.used)
        means.append(float(at[0] + at[1] / 2))
    assert np.mean(used) <= 300
    assert np.mean(means[200:]) == pytest.approx(0.5, abs=0.08)  # both modes have this centre


@pytest.mark.parametrize("options", [{"batch": 1}, {"temperature": 0.0}, {"std": 1.3}, {"std": 0.0}])
def test_what_cannot_be_tested_is_refused(options: dict[str, float]):
    with pytest.raises(ReparamError, match=r"batch=|std="):
        accepts(lambda rows: rows.double(), 100, generator(), **options)  # pyright: ignore[reportArgumentType]


def test_an_infinite_ratio_is_refused():
    with pytest.raises(ReparamError, match="infinite"):
        accepts(lambda rows: rows.double() / 0, 100, generator())
