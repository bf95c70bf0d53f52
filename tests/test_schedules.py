"""Schedules: their values at the points that define them."""

import math
from pathlib import Path

import pytest
from torch.testing import assert_close

import reparam
from reparam.errors import ReparamError
from reparam.schedules import Cosine, Cyclical, Fade, Fall, Ramp, Weight, arrives, at


def test_a_number_is_its_own_schedule():
    assert at(0.3, 17) == 0.3
    assert at(lambda step: 2.0 * step, 17) == 34.0


@pytest.mark.parametrize(("step", "value"), [(0, 1.0), (5, 2.5), (10, 4.0), (11, 4.0), (10**9, 4.0)])
def test_ramp(step: int, value: float):
    assert_close(Ramp(10, 1.0, 4.0)(step), value)


def test_ramp_goes_from_nothing_to_one():
    assert [Ramp(4)(step) for step in range(6)] == [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]


@pytest.mark.parametrize(
    ("step", "value"), [(0, 2.0), (25, 1.0 + math.sqrt(0.5)), (50, 1.0), (100, 0.0), (101, 0.0)]
)
def test_cosine(step: int, value: float):
    assert_close(Cosine(100, 2.0)(step), value)


@pytest.mark.parametrize(("step", "value"), [(0, 2.0), (50, 2.0), (75, 0.2), (100, 0.02), (101, 0.02)])
def test_fade(step: int, value: float):
    assert_close(Fade(100, 2.0)(step), value)


def test_cosine_ends_where_it_is_told():
    assert_close(Cosine(10, 1e-3, 1e-5)(10), 1e-5)


@pytest.mark.parametrize(
    ("step", "value"),
    [(0, 0.0), (25, 0.5), (50, 1.0), (99, 1.0), (100, 0.0), (125, 0.5), (10_050, 1.0)],
)
def test_cyclical_annealing(step: int, value: float):
    assert_close(Cyclical(100, Ramp(50))(step), value)


def test_cyclical_restarts_of_a_learning_rate():
    rate = Cyclical(4, Cosine(4, 1.0))
    assert_close(
        [rate(step) for step in range(6)],
        [1.0, 0.5 + math.sqrt(0.125), 0.5, 0.5 - math.sqrt(0.125), 1.0, 0.5 + math.sqrt(0.125)],
    )


@pytest.mark.parametrize(
    ("weight", "long_enough", "too_short"),
    [
        (Ramp(10), [10, 11], [1, 9]),
        (Cosine(10, 1.0), [10], [9]),
        (Fall(10, 1.0), [10], [9]),
        (Fade(10, 1.0), [10], [9]),
        (Cyclical(10, Ramp(5)), [5, 9, 10, 18, 20], [4, 12]),
        (Cyclical(10, Cosine(10, 1.0)), [10, 30], [9, 29]),
        (0.5, [1], []),
        (lambda step: step, [1], []),
    ],
)
def test_whether_a_schedule_comes_to_its_end(weight: Weight, long_enough: list[int], too_short: list[int]):
    assert [arrives(weight, steps) for steps in long_enough] == [True] * len(long_enough)
    assert [arrives(weight, steps) for steps in too_short] == [False] * len(too_short)


def test_a_run_that_ends_while_a_weight_still_moves_is_refused_before_it_begins(tmp_path: Path):
    system = reparam.build("vae", "8gaussians", latent=2, width=8)
    system.model.beta = Ramp(10)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ReparamError, match=r"rate in negative_elbo .* after 9 steps.*Ramp\(steps=10"):
        reparam.train(system, tmp_path / "run", steps=9, device="cpu")
    assert not (tmp_path / "run").exists()
    reparam.train(system, tmp_path / "run", steps=10, device="cpu")


@pytest.mark.parametrize("name", ["vae", "aae"])
def test_decay_steps_brings_every_rate_of_a_recipe_to_zero(name: str):
    rates = [rule.lr for rule in reparam.build(name, "8gaussians", decay_steps=10).recipe.optimisers.values()]
    assert all(at(rate, 0) > 0 and at(rate, 10) == 0 for rate in rates)


def test_the_discriminator_of_an_aae_may_have_a_rate_of_its_own():
    rules = reparam.build("aae", "8gaussians", adversarial_lr=1e-4, discriminator_lr=3e-3).recipe.optimisers
    assert (rules["deception"].lr, rules["discrimination"].lr) == (1e-4, 3e-3)
