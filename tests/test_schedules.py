"""Schedules: their values at the points that define them."""

import math

import pytest
from torch.testing import assert_close

import reparam
from reparam.schedules import Cosine, Cycle, Ramp, at


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


def test_cosine_ends_where_it_is_told():
    assert_close(Cosine(10, 1e-3, 1e-5)(10), 1e-5)


@pytest.mark.parametrize(
    ("step", "value"),
    [(0, 0.0), (25, 0.5), (50, 1.0), (99, 1.0), (100, 0.0), (125, 0.5), (10_050, 1.0)],
)
def test_cycle(step: int, value: float):
    assert_close(Cycle(100)(step), value)


def test_cycle_rises_over_its_part_and_holds():
    cycle = Cycle(8, rising=0.25, end=4.0)
    assert [cycle(step) for step in range(8)] == [0.0, 2.0, 4.0, 4.0, 4.0, 4.0, 4.0, 4.0]


@pytest.mark.parametrize("name", ["vae", "aae"])
def test_decay_steps_brings_every_rate_of_a_recipe_to_zero(name: str):
    rates = [rule.lr for rule in reparam.build(name, "8gaussians", decay_steps=10).recipe.optimisers.values()]
    assert all(at(rate, 0) > 0 and at(rate, 10) == 0 for rate in rates)


def test_the_discriminator_of_an_aae_may_have_a_rate_of_its_own():
    rules = reparam.build("aae", "8gaussians", adversarial_lr=1e-4, discriminator_lr=3e-3).recipe.optimisers
    assert (rules["deception"].lr, rules["discrimination"].lr) == (1e-4, 3e-3)
