"""Randomness: laws by tests of fit, streams stateless and independent, and what a user may hold still."""

import contextlib
import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

import reparam
from reparam import noise
from reparam.data import load
from reparam.engine import Engine
from reparam.errors import ReparamError
from reparam.noise import (
    Around,
    Bernoulli,
    Categorical,
    Chain,
    Choosing,
    Control,
    Dirac,
    Everywhere,
    GaussianRing,
    Gumbel,
    Normal,
    Permutation,
    SharedUniform,
    Source,
    Sphere,
    Streams,
    SwissRoll,
    Uniform,
)
from reparam.trainer import Trainer

N = 20_000
# One test in a hundred thousand fails by chance alone, shared among fewer than 100 tests (Bonferroni);
# the seeds are fixed, so in truth it is a level for whoever changes the code.
LEVEL = 1e-5 / 100
WHERE = ("host", "device")


def draws(source: Source, where: str, n: int = N, seed: int = 11) -> np.ndarray:
    return Streams(seed, "cpu", where).draw("source", source, n, 0).double().numpy()


def fits(values: np.ndarray, distribution: Callable) -> None:
    """Kolmogorov–Smirnov against a distribution function."""
    assert stats.kstest(values.ravel(), distribution).pvalue > LEVEL


def counted(observed: np.ndarray, expected: np.ndarray | None = None) -> None:
    """χ² of counts; against equal ones if none are given."""
    assert stats.chisquare(observed, expected).pvalue > LEVEL


# Laws


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize(
    ("source", "distribution"),
    [
        (Normal((2,)), stats.norm.cdf),
        (Uniform((2,)), stats.uniform.cdf),
        (Uniform((), -2.0, 5.0), stats.uniform(-2, 7).cdf),
        (Gumbel((2,)), stats.gumbel_r.cdf),
    ],
    ids=lambda value: getattr(value, "law", None),
)
def test_continuous_laws(source: Source, distribution: Callable, where: str):
    x = draws(source, where)
    assert x.shape == (N, *source.shape)
    assert np.isfinite(x).all()
    fits(x, distribution)


@pytest.mark.parametrize("where", WHERE)
def test_a_shared_uniform_is_one_draw_for_the_batch(where: str):
    source = SharedUniform((N,), -1.0, 3.0)
    x = draws(source, where, n=5)
    assert x.shape == (N,)
    fits(x, stats.uniform(-1, 4).cdf)
    assert (x == draws(source, where, n=50)).all()
    held = Streams(Control(0, {}, ("u",), {"v": 0.5}), "cpu", where)
    assert torch.equal(held.draw("u", source, 5, 1), held.draw("u", source, 7, 2))
    assert torch.equal(held.draw("v", source, 5, 1), torch.full((N,), 0.5))


@pytest.mark.parametrize("where", WHERE)
def test_dimensions_and_neighbours_are_independent(where: str):
    x = draws(Normal((2,)), where)
    fits(x[:, 0] * x[:, 1] / np.hypot(*x.T), stats.norm(0, 0.5).cdf)  # the product of two over their length
    assert stats.pearsonr(x[:, 0], x[:, 1]).pvalue > LEVEL
    assert stats.pearsonr(x[1:, 0], x[:-1, 0]).pvalue > LEVEL


def test_a_gumbel_of_zero_is_finite():
    class Zero(noise.HostRng):
        def uniform(self, shape: noise.Shape) -> Tensor:
            return torch.zeros(shape)

    assert torch.isfinite(Gumbel((3,)).draw(Zero(torch.device("cpu")), 2)).all()


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("p", [0.5, 0.03])
def test_bernoulli(where: str, p: float):
    x = draws(Bernoulli((2,), p), where)
    assert set(np.unique(x)) == {0.0, 1.0}
    counted(np.array([(x == 0).sum(), (x == 1).sum()]), np.array([1 - p, p]) * x.size)


@pytest.mark.parametrize(("p", "value"), [(0.0, 0), (1.0, 1)])
def test_a_certain_bernoulli(p: float, value: int):
    assert (draws(Bernoulli((), p), "host") == value).all()


@pytest.mark.parametrize("where", WHERE)
def test_categorical(where: str):
    x = Streams(1, "cpu", where).draw("source", Categorical((3,), 7), N, 0)
    assert x.dtype == torch.int64
    assert x.shape == (N, 3)
    counted(np.bincount(x.numpy().ravel(), minlength=7))


@pytest.mark.parametrize("where", WHERE)
def test_permutation(where: str):
    streams, times, size = Streams(1, "cpu", where), 6000, 4
    p = np.stack([streams.draw("source", Permutation(size=size), 1, i).numpy() for i in range(times)])
    assert (np.sort(p, 1) == np.arange(size)).all()
    place = p.argsort(1)
    for i, j in itertools.combinations(range(size), 2):
        before = int((place[:, i] < place[:, j]).sum())
        assert stats.binomtest(before, times).pvalue > LEVEL
    _, counts = np.unique(p @ 10 ** np.arange(size), return_counts=True)
    assert len(counts) == math.factorial(size)
    counted(counts)


@pytest.mark.parametrize("where", WHERE)
def test_a_shared_source_has_one_draw_for_the_batch(where: str):
    assert draws(Permutation(size=9), where, n=5).shape == (9,)


@pytest.mark.parametrize("where", WHERE)
def test_dirac_is_zero(where: str):
    assert not draws(Dirac((3,)), where, n=4).any()


@pytest.mark.parametrize("where", WHERE)
def test_gaussian_ring_by_its_leaves(where: str):
    ring = GaussianRing()
    x = draws(ring, where)
    turn = 2 * np.pi / ring.components
    # A leaf is known by its angle but for the few draws near the centre, where the leaves meet.
    leaf = np.round(np.arctan2(x[:, 1], x[:, 0]) / turn).astype(int) % ring.components
    far = np.hypot(*x.T) > 0.7
    counted(np.bincount(leaf[far], minlength=ring.components))
    angle = leaf * turn
    along, across = (
        x[:, 0] * np.cos(angle) + x[:, 1] * np.sin(angle),
        -x[:, 0] * np.sin(angle) + x[:, 1] * np.cos(angle),
    )
    fits(across[far], stats.norm(0, ring.tangential_std).cdf)
    low = (0.7 - ring.radius) / ring.radial_std
    kept = along[far & (along > 0.7)]
    fits(kept, stats.truncnorm(low, np.inf, ring.radius, ring.radial_std).cdf)


@pytest.mark.parametrize("where", WHERE)
def test_gaussian_ring_by_its_marginal(where: str):
    # E‖x‖² = radius² + both variances: no choice of leaves enters.
    ring = GaussianRing(components=7, radius=2.0, radial_std=0.3, tangential_std=0.1)
    x = draws(ring, where)
    angles = 2 * np.pi * np.arange(7) / 7
    spread = np.hypot(0.3 * np.cos(angles), 0.1 * np.sin(angles))
    mixture = [stats.norm(2 * np.cos(a), s) for a, s in zip(angles, spread, strict=True)]
    fits(x[:, 0], lambda t: np.mean([component.cdf(t) for component in mixture], 0))
    squared = (x**2).sum(1)
    assert stats.ttest_1samp(squared, 4 + 0.09 + 0.01).pvalue > LEVEL


@pytest.mark.parametrize("where", WHERE)
def test_swiss_roll_is_uniform_in_squared_radius_and_on_the_spiral(where: str):
    roll = SwissRoll()
    x = draws(roll, where)
    radius = np.hypot(*x.T)
    fits((radius / roll.radius) ** 2, stats.uniform.cdf)
    theta = 2 * np.pi * roll.turns * radius / roll.radius
    on = radius[:, None] * np.stack([np.cos(theta), np.sin(theta)], 1)
    torch.testing.assert_close(torch.from_numpy(x), torch.from_numpy(on), rtol=0, atol=1e-4)


def on_the_sphere(x: np.ndarray) -> None:
    """Each coordinate of a uniform point: (1 + x)/2 ~ Beta((m − 1)/2, (m − 1)/2); directions have no bias."""
    m = x.shape[1]
    np.testing.assert_allclose(np.linalg.norm(x, axis=1), 1, rtol=0, atol=1e-6)
    tilted = x @ np.full(m, m**-0.5)
    for coordinate in (*x.T, tilted):
        fits((1 + coordinate) / 2, stats.beta((m - 1) / 2, (m - 1) / 2).cdf)


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("m", [2, 3, 7])
def test_sphere_is_uniform(m: int, where: str):
    on_the_sphere(draws(Sphere((m,)), where))


def test_a_sphere_of_two_points_is_refused():
    with pytest.raises(ReparamError, match="at least 2 dimensions"):
        Sphere((1,))


@pytest.mark.parametrize("where", WHERE)
def test_around_is_uniform_numbers_and_a_bearing(where: str):
    x = draws(Around.of(4, 2), where)
    assert x.shape == (N, 5)
    fits(x[:, :2], stats.uniform.cdf)
    on_the_sphere(x[:, 2:])
    assert set(np.unique(draws(Around.of(2, 1), where)[:, 1])) == {-1.0, 1.0}  # the circle's two bearings


@pytest.mark.parametrize("where", WHERE)
def test_what_chooses_is_uniform_and_the_rest_normal(where: str):
    found = draws(Choosing.of(2), where)
    assert stats.kstest(found[:, 0], "uniform").pvalue > LEVEL
    for column in found[:, 1:].T:
        assert stats.kstest(column, "norm").pvalue > LEVEL


@pytest.mark.parametrize("where", WHERE)
def test_a_chain_is_normal_and_its_neighbours_correlated(where: str):
    found = draws(Chain((3,), 0.6), where)
    for column in found.T:
        assert stats.kstest(column, "norm").pvalue > LEVEL
    for apart, expected in ((1, 0.6), (2, 0.36)):
        seen = np.corrcoef(found[:, 0], found[:, apart])[0, 1]
        # Fisher's transformation: normal, with variance 1 / (n − 3).
        z = (np.arctanh(seen) - np.arctanh(expected)) * np.sqrt(len(found) - 3)
        assert 2 * stats.norm.sf(abs(z)) > LEVEL


LAWS: list[Source] = [
    Normal((2, 3)),
    Uniform((2,)),
    Bernoulli(()),
    Gumbel((4,)),
    Categorical((), 3),
    Permutation(size=5),
    Dirac((2,)),
    GaussianRing(),
    SwissRoll(),
    SharedUniform((3,)),
    Sphere(),
    Around.of(4, 2),
    Everywhere(),
    Choosing.of(2),
    Chain((3,), 0.6),
]


def test_every_law_is_tested_here():
    known = {cls for cls in vars(noise).values() if isinstance(cls, type) and issubclass(cls, Source)}
    assert known - {Source} == {type(law) for law in LAWS}


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("source", LAWS, ids=lambda law: law.law)
def test_shape_type_and_law(source: Source, where: str):
    one = Streams(0, "cpu", where).draw("a", source, 6, 1)
    each = (source.size,) if isinstance(source, Permutation) else source.shape
    assert one.shape == (each if source.shared else (6, *each))
    integer = isinstance(source, (Categorical, Permutation, Everywhere))
    assert one.dtype == (torch.int64 if integer else torch.float32)
    assert source.law
    assert source == type(source)(**vars(source))  # plain values, so that a card can be compared


# Streams


def sequence(streams: Streams, name: str, steps: int = 400, n: int = 16) -> np.ndarray:
    return torch.stack([streams.draw(name, Normal(), n, i) for i in range(steps)]).double().numpy()


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("source", LAWS, ids=lambda law: law.law)
def test_streams_are_stateless(source: Source, where: str):
    fresh = Streams(3, "cpu", where).draw("a", source, 8, 5, 0)
    used = Streams(3, "cpu", where)
    for i, law in enumerate(LAWS):
        used.draw("other", law, 7, i)
    used.draw("a", Uniform((3,)), 1, 4)  # an odd number of half-words, were they kept
    used.draw("a", Categorical((), 3), 1, 4)
    assert torch.equal(used.draw("a", source, 8, 5, 0), fresh)
    assert torch.equal(used.draw("a", source, 8, 5, 0), fresh)


@pytest.mark.parametrize("where", WHERE)
def test_streams_are_independent_across_names_steps_and_seeds(where: str):
    a, b = sequence(Streams(0, "cpu", where), "a"), sequence(Streams(0, "cpu", where), "b")
    c, d = sequence(Streams(1, "cpu", where), "a"), sequence(Streams(-1, "cpu", where), "a")
    for x, y in itertools.combinations([a, b, c, d], 2):
        assert stats.pearsonr(x.ravel(), y.ravel()).pvalue > LEVEL
        assert stats.pearsonr(x.ravel() ** 2, y.ravel() ** 2).pvalue > LEVEL
        assert len(np.intersect1d(x[:, 0], y[:, 0])) < 3  # of 400 float32 draws each
    for lag in (1, 2, 7):
        assert stats.pearsonr(a[lag:].ravel(), a[:-lag].ravel()).pvalue > LEVEL
    # Whole draws never recur.
    assert len(np.unique(np.concatenate([a, b, c, d]), axis=0)) == 4 * len(a)
    # And over the steps, at one place, the law is the law.
    fits(a[:, 0], stats.norm.cdf)


def test_names_that_could_run_together_do_not():
    streams = Streams(Control(1, {"x": 1}))
    keys = [
        ("a", (1, 2)),
        ("a", (12,)),
        ("a", (1,)),
        ("a1", ()),
        ("a", ()),
        ("1/a", ()),
        ("a/(1,)", ()),
        ("a", (-1,)),
        ("a", (1, 0)),
    ]
    found = {tuple(streams.draw(name, Normal((4,)), 1, *step)[0].tolist()) for name, step in keys}
    assert len(found) == len(keys)


def test_the_global_generators_are_never_touched():
    torch.manual_seed(0)
    before, other = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    for where, law in itertools.product(WHERE, LAWS):
        Streams(0, "cpu", where).draw("a", law, 3, 0)
    assert torch.equal(torch.get_rng_state(), before)
    assert (np.random.get_state()[1] == other).all()  # noqa: NPY002


def test_more_rows_leave_the_first_as_they_are():
    # What lets several processes take their own rows of one draw of the whole batch is not this, but
    # the whole batch's size; a larger evaluation batch need not agree. Only normal draws are looked at.
    few, many = (Streams(0).draw("a", Uniform((3,)), n, 0) for n in (4, 8))
    assert torch.equal(few, many[:4])


# Control

NAMES = ("eps", "z", "order")


def drawn(control: Control, where: str) -> dict[str, Tensor]:
    streams = Streams(control, "cpu", where)
    return {name: torch.stack([streams.draw(name, Normal((2,)), 4, i) for i in range(3)]) for name in NAMES}


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize(
    "control",
    [
        Control(0, seeds={"eps": 5}),
        Control(0, freeze=("eps",)),
        Control(0, pin={"eps": 1.5}),
        Control(0, pin={"eps": [1.0, -1.0]}),
        Control(0, seeds={"eps": 5}, freeze=("eps",)),
    ],
    ids=str,
)
def test_control_acts_on_one_source_and_leaves_the_others(control: Control, where: str):
    plain, held = drawn(Control(0), where), drawn(control, where)
    assert not torch.equal(plain["eps"], held["eps"])
    assert torch.equal(plain["z"], held["z"])
    assert torch.equal(plain["order"], held["order"])


@pytest.mark.parametrize("where", WHERE)
def test_a_seed_of_ones_own_equal_to_the_run_s_changes_nothing(where: str):
    assert torch.equal(drawn(Control(7), where)["eps"], drawn(Control(7, seeds={"eps": 7}), where)["eps"])
    assert torch.equal(drawn(Control(7), where)["eps"], drawn(Control(0, seeds={"eps": 7}), where)["eps"])


@pytest.mark.parametrize("where", WHERE)
def test_frozen_is_one_draw_for_every_example_and_step(where: str):
    eps = drawn(Control(0, freeze=("eps",)), where)["eps"]
    assert torch.equal(eps, eps[:1, :1].expand_as(eps))
    assert not torch.equal(eps[0, 0, :1], eps[0, 0, 1:])  # one draw, not one number
    permutation = Streams(Control(0, freeze=("p",))).draw("p", Permutation(size=6), 4, 3)
    assert sorted(permutation.tolist()) == list(range(6))


def test_pinned_is_a_constant_of_the_source_s_type():
    streams = Streams(Control(0, pin={"a": [1.0, 2.0], "b": 2, "c": [2, 0, 1]}))
    assert torch.equal(streams.draw("a", Normal((2,)), 3, 0), torch.tensor([[1.0, 2.0]] * 3))
    assert torch.equal(streams.draw("b", Categorical((), 5), 3, 0), torch.tensor([2, 2, 2]))
    assert torch.equal(streams.draw("c", Permutation(size=3), 3, 0), torch.tensor([2, 0, 1]))


@pytest.mark.parametrize(
    ("source", "value"),
    [(Normal((2,)), [1.0, 2.0, 3.0]), (Normal(()), [1.0, 2.0]), (Normal((2, 3)), [1.0, 2.0])],
)
def test_a_pin_of_the_wrong_shape_says_so(source: Source, value: list[float]):
    with pytest.raises(ReparamError, match=r"'eps' cannot be pinned.*one draw has shape"):
        Streams(Control(0, pin={"eps": value})).draw("eps", source, 5, 0)


@pytest.mark.parametrize(
    "control", [Control(seeds={"esp": 1}), Control(freeze=("esp",)), Control(pin={"esp": 0.0})], ids=str
)
def test_an_unknown_source_is_named_with_the_nearest(control: Control):
    with pytest.raises(ReparamError, match="unknown noise source 'esp'; did you mean 'eps'"):
        control.check(NAMES)


def test_ambient_seeds_and_restores_the_global_generator():
    streams = Streams(0)
    torch.manual_seed(4)
    before = torch.get_rng_state()
    with streams.ambient("weights"):
        first = torch.randn(3)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    with contextlib.suppress(KeyError), Streams(0).ambient("weights"):
        assert torch.equal(torch.randn(3), first)
        raise KeyError
    assert torch.equal(torch.get_rng_state(), before)
    with streams.ambient("weights", 1):
        assert not torch.equal(torch.randn(3), first)
    with Streams(Control(0, seeds={"weights": 1})).ambient("weights"):
        assert not torch.equal(torch.randn(3), first)


# End to end


def trained(monkeypatch: pytest.MonkeyPatch, control: Control) -> tuple[dict, dict[str, Tensor]]:
    """Every draw of five steps of a VAE-GAN, by (name, step), and the weights after them."""
    x = np.random.default_rng(0).integers(0, 256, (40, 1, 5, 5)).astype(np.uint8)
    data = load({"x": x}, mirror=True, binarise="dynamic")
    system = reparam.build("vae-gan", data, width=8, latent=2)
    seen: dict[tuple, Tensor] = {}
    draw = Streams.draw

    def spy(self: Streams, name: str, source: Source, n: int, *step: int) -> Tensor:
        seen[name, *step] = draw(self, name, source, n, *step)
        return seen[name, *step]

    with monkeypatch.context() as patch:
        patch.setattr(Streams, "draw", spy)
        engine, streams = Engine(torch.device("cpu")), Streams(control)
        rules = system.recipe.optimisers
        trainer = Trainer(system.model, data, rules, batch_size=10, streams=streams, engine=engine)
        for _ in range(5):
            trainer.take_step()
    return seen, {name: p.detach().clone() for name, p in system.model.named_parameters()}


@pytest.mark.parametrize(
    ("control", "acted_on"),
    [
        (Control(seeds={"order": 5}), {"order"}),
        (Control(freeze=("eps",)), {"eps"}),
        (Control(pin={"z": 0.5}), {"z"}),
        (
            Control(seeds={"order": 5, "flip": 1}, freeze=("eps",), pin={"z": 0.5}),
            {"order", "flip", "eps", "z"},
        ),
    ],
    ids=("seed", "freeze", "pin", "all of them"),
)
def test_a_run_s_other_draws_are_bitwise_as_they_were(
    monkeypatch: pytest.MonkeyPatch, control: Control, acted_on: set[str]
):
    plain, plain_weights = trained(monkeypatch, Control())
    held, held_weights = trained(monkeypatch, control)
    assert plain.keys() == held.keys()
    assert {name for name, *_ in plain} == {"order", "flip", "binarise", "eps", "z"}
    for key, value in plain.items():
        assert torch.equal(value, held[key]) == (key[0] not in acted_on), key
    assert not all(torch.equal(plain_weights[name], held_weights[name]) for name in plain_weights)


def test_a_run_is_a_function_of_its_seed(monkeypatch: pytest.MonkeyPatch):
    torch.manual_seed(0)
    _, first = trained(monkeypatch, Control(3))
    torch.manual_seed(1)
    _, second = trained(monkeypatch, Control(3))
    for name, p in first.items():
        assert torch.equal(p, second[name]), name
