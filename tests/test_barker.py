"""Barker's test on a few examples: its law, what it accepts, and how many it asks for."""

import math

import numpy as np
import pytest
import torch
from scipy.special import expit
from scipy.stats import norm
from torch import Tensor

from reparam.barker import Decision, accepts, correction
from reparam.errors import ReparamError


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def tried(ratios: Tensor, draw: torch.Generator, exact: bool = True, **options: float) -> Decision:
    """A test of these log ratios, a row an example; a column at random each time where they are noisy."""

    def of(rows: Tensor) -> Tensor:
        noise = torch.randint(ratios.shape[1], (len(rows),), generator=draw)
        return ratios[rows, noise]

    def every() -> Tensor:
        return of(torch.arange(len(ratios)))

    u = torch.stack([torch.rand((), generator=draw), torch.randn((), generator=draw)])
    return accepts(
        lambda n: of(torch.randint(len(ratios), (n,), generator=draw)),
        len(ratios),
        u,
        every=every if exact else None,
        **options,  # pyright: ignore[reportArgumentType]
    )


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


def test_draws_of_the_correction_have_its_law():
    law = correction(1.0)
    draws = law.at(torch.rand(200_000, generator=generator()))
    assert draws.mean().item() == pytest.approx(0, abs=0.02)
    assert draws.var().item() == pytest.approx(2.29, abs=0.04)
    edges = law.points + (law.points[1] - law.points[0]) / 2
    shares = (draws[:, None] < edges[::40]).double().mean(0)
    torch.testing.assert_close(shares, law.mass.cumsum(0)[::40], atol=4e-3, rtol=0)
    assert float(law.at(torch.tensor(0.0))) >= -12.1
    assert float(law.at(torch.tensor(1 - 2.0**-24))) <= 12.1


def shifted(delta: float, spread: float, noise: float = 0.0) -> Tensor:
    """Log ratios of 2,000 examples whose sum is delta."""
    draw = generator(1)
    ratios = spread * torch.randn(2000, 1, generator=draw, dtype=torch.float64)
    noisy = noise * torch.randn(2000, 50, generator=draw, dtype=torch.float64)
    return ratios - ratios.mean() + noisy - noisy.mean() + delta / 2000


@pytest.mark.parametrize("delta", [-3.0, -1.0, 0.0, 0.5, 2.0])
@pytest.mark.parametrize(
    ("spread", "noise", "used"),
    [
        (0.004, 0.0, (100, 250)),  # of a batch of 100 the error is 0.8
        (0.01, 0.0, (200, 1500)),  # batches grow
        (0.05, 0.0, (2000, 2500)),  # all are looked at, after the first batch
        (0.005, 0.03, (2000, 9000)),  # and over and over, where each is an estimate
    ],
)
def test_a_proposal_is_accepted_with_the_sigmoid_of_its_gain(
    delta: float, spread: float, noise: float, used: tuple[int, int]
):
    draw, ratios, trials = generator(2), shifted(delta, spread, noise), []
    for _ in range(1000):
        trials.append(tried(ratios, draw, exact=not noise, batch=100))
    share = sum(t.accepted for t in trials) / len(trials)
    assert share == pytest.approx(expit(delta), abs=4 * math.sqrt(0.25 / len(trials)))
    assert used[0] <= np.mean([t.used for t in trials]) <= used[1]


def test_what_the_proposal_gains_and_the_temperature_are_counted():
    draw, ratios = generator(3), shifted(2.0, 0.004)
    for options, delta in (({"gain": -1.5}, 0.5), ({"temperature": 4.0}, 0.5)):
        accepted = [tried(ratios, draw, batch=100, **options).accepted for _ in range(1000)]
        assert np.mean(accepted) == pytest.approx(expit(delta), abs=0.063)


def test_examples_seen_are_kept_and_as_many_more_are_asked_for_as_the_error_needs():
    asked, draw = [], generator(4)
    ratios = 0.01 * torch.randn(10_000, generator=draw, dtype=torch.float64)  # wants 10,000² · 0.01² = 10,000

    def some(n: int) -> Tensor:
        asked.append(n)
        return ratios[torch.randint(10_000, (n,), generator=draw)] / 3

    used = accepts(some, 10_000, torch.zeros(2), every=lambda: ratios, batch=50).used
    assert used == sum(asked) < 3000
    assert asked[0] == 50
    assert used > 1111


def test_a_hopeless_proposal_is_refused_at_a_glance():
    wild = 1000 * torch.randn(10_000, 1, generator=generator(5)).abs().neg()
    assert tried(wild, generator()) == Decision(False, 50)
    assert tried(-wild, generator()) == Decision(True, 50)


@pytest.mark.parametrize("value", [math.nan, -math.inf, math.inf])
def test_a_ratio_that_is_no_number_refuses(value: float):
    assert tried(torch.full((100, 1), value), generator()) == Decision(False, 50)


@pytest.mark.parametrize("options", [{"batch": 1}, {"temperature": 0.0}])
def test_what_cannot_be_tested_is_refused(options: dict[str, float]):
    with pytest.raises(ReparamError, match="batch="):
        tried(torch.zeros(100, 1), generator(), **options)


@pytest.mark.parametrize("std", [0.0, 1.3])
def test_a_correction_that_is_none_is_refused(std: float):
    with pytest.raises(ReparamError, match="std="):
        correction(std)


def test_noise_that_no_number_of_draws_overcomes_is_an_error():
    with pytest.raises(ReparamError, match="smaller steps"):
        tried(shifted(0.0, 0.0, 1.0), generator(), exact=False)
