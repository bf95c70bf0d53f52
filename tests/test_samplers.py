"""Moves that sample: the laws of their chains, on few examples and many, with and without noise."""

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import reparam
from _recipes import assert_same_run, built
from reparam.data import Data, Split, load
from reparam.engine import Engine
from reparam.errors import ReparamError
from reparam.model import Model, Move, Terms, Turn
from reparam.nets.weighed import NormalWeights
from reparam.noise import Control, Normal, Permutation, Source, Streams
from reparam.optimisers import SGD
from reparam.samplers import Langevin, MetropolisHastings, RandomWalk
from reparam.trainer import Trainer


class Mean(nn.Module):
    """A mean µ of two numbers, whatever is given."""

    def __init__(self) -> None:
        super().__init__()
        self.at = nn.Parameter(torch.zeros(2))

    def forward(self, x: Tensor) -> Tensor:
        return self.at.expand_as(x)


class Normals(Model):
    """µ ~ N(0, I);  x ~ N(µ, I)"""

    name, paper = "normals", "Nobody 2024"

    def __init__(self, examples: int, noise: float = 0.0) -> None:
        super().__init__()
        self.player, self.examples, self.std = Mean(), examples, noise

    def turns(self) -> list[Turn]:
        loss = self.noisy if self.std else self.surprise
        return [Turn(self.player, lowers=loss, weights={"surprise": 1.0, "prior": 1 / self.examples})]

    def surprise(self, x: Tensor) -> Terms:
        mean = self.player(x)
        return {"surprise": 0.5 * (x - mean).square().sum(1), "prior": 0.5 * mean.square().sum(1)}

    def noisy(self, x: Tensor, *, eps: Tensor) -> Terms:
        """The same on average over eps, up to a constant."""
        return self.surprise(x + self.std * eps) | {"prior": 0.5 * self.player(x).square().sum(1)}

    def noise(self) -> dict[str, Source]:
        return {"eps": Normal((2,))} if self.std else {}


class Rows:
    """Numbers as data to train on, whole."""

    def __init__(self, x: Tensor) -> None:
        self.train = Split(x, None)

    def noise(self) -> dict[str, Source]:
        return {}

    def batch(self, split: Split, rows: Tensor) -> dict[str, Tensor]:
        return {"x": split.x[rows]}


def played(model: Model, x: Tensor, rule: Any, batch: int = 100, **engine: Any) -> Trainer:
    data: Any = Rows(x)
    return Trainer(
        model, data, {"default": rule}, batch_size=batch, streams=Streams(0),
        engine=Engine(torch.device("cpu"), **engine),
    )  # fmt: skip


def chain(trainer: Trainer, steps: int) -> tuple[Tensor, dict[str, float]]:
    """The weights (steps, d) after each step, and the means of what was logged."""
    points, logs = [], []
    for _ in range(steps):
        logs.append(trainer.take_step())
        points.append(torch.cat([p.detach().flatten().clone() for p in trainer.model.parameters()]))
    return torch.stack(points), {k: float(torch.stack([log[k] for log in logs]).mean()) for k in logs[0]}


def normals(n: int) -> Tensor:
    return torch.tensor([0.7, -0.3]) + torch.randn(n, 2, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("rule", "noise", "used"),
    [
        (MetropolisHastings(0.02, RandomWalk()), 0.0, (80, 250)),
        (MetropolisHastings(0.06, RandomWalk()), 0.0, (350, 450)),
        (MetropolisHastings(0.02, Langevin()), 0.0, (80, 250)),
        (MetropolisHastings(0.05, Langevin()), 0.0, (350, 450)),
        (MetropolisHastings(0.02, Langevin()), 1.0, (150, 500)),
        (MetropolisHastings(0.04, RandomWalk(), temperature=4.0), 0.0, (60, 250)),
    ],
    ids=["walk", "long walk", "langevin", "long langevin", "noisy langevin", "tempered walk"],
)
def test_the_stationary_law_of_a_gaussian_mean(rule: MetropolisHastings, noise: float, used: tuple[int, int]):
    x = normals(400)
    points, logs = chain(played(Normals(400, noise), x, rule), 2000)
    kept, std = points[200:], math.sqrt(rule.temperature / 401)
    torch.testing.assert_close(kept.mean(0), x.sum(0) / 401, atol=0.4 * std, rtol=0)
    torch.testing.assert_close(kept.std(0), torch.full((2,), std), atol=0, rtol=0.2)
    name = "noisy" if noise else "surprise"
    assert 0.1 < logs[f"{name}.accepted"] < 0.6
    assert used[0] < logs[f"{name}.examples"] < used[1]


class Modes(Model):
    """θ ~ N(0, diag(10, 1));  x ~ ½ N(θ₁, 2) + ½ N(θ₁ + θ₂, 2);  Seita et al. 2017, §6.1"""

    name, paper = "modes", "Seita et al. 2017, arXiv:1610.06848"

    def __init__(self, examples: int) -> None:
        super().__init__()
        self.player, self.examples = Mean(), examples
        self.player.at.data = torch.tensor([0.0, 1.0])

    def turns(self) -> list[Turn]:
        return [
            Turn(self.player, lowers=self.surprise, weights={"surprise": 1.0, "prior": 1 / self.examples})
        ]

    def surprise(self, x: Tensor) -> Terms:
        at = self.player(x.expand(-1, 2))
        means = torch.stack([at[:, 0], at.sum(1)], 1)
        return {
            "surprise": -(-0.25 * (x - means).square()).logsumexp(1),
            "prior": 0.5 * (at[:, 0].square() / 10 + at[:, 1].square()),
        }

    def noise(self) -> dict[str, Source]:
        return {}


def test_a_tempered_mixture_of_a_million_takes_few_examples():
    draw, n = torch.Generator().manual_seed(0), 10**6
    x = (torch.rand(n, generator=draw) < 0.5).float() + math.sqrt(2) * torch.randn(n, generator=draw)
    rule = MetropolisHastings(0.15, RandomWalk(), temperature=1e4)
    points, logs = chain(played(Modes(n), x[:, None], rule, batch=8), 1000)
    assert logs["surprise.examples"] <= 300
    centre = points[200:, 0] + points[200:, 1] / 2  # the same of both modes
    assert float(centre.mean()) == pytest.approx(0.5, abs=0.08)


# Beside moves that lower, and on models that are there


def test_one_player_is_sampled_while_another_learns(tmp_path: Path):
    """The decoder of a VAE, its encoder by gradients."""
    system = built("vae")
    model: Any = system.model

    def turns() -> list[Turn]:
        moves = (Move(model.encoder), Move(model.decoder, weights={"distortion": 1.0}))
        return [Turn(*moves, lowers=model.negative_elbo)]

    model.turns = turns
    rules = {"default": SGD(1e-3), "negative_elbo.decoder": MetropolisHastings(1e-3)}
    assert system.training_data is not None
    trainer = Trainer(
        model, system.training_data, rules, batch_size=16, streams=Streams(0),
        engine=Engine(torch.device("cpu")),
    )  # fmt: skip
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    logs = [trainer.take_step() for _ in range(20)]
    assert 0 < sum(float(log["negative_elbo.decoder.accepted"]) for log in logs) <= 20
    assert all(not torch.equal(p, before[name]) for name, p in model.named_parameters())
    assert not any(key.startswith("optimiser/negative_elbo.decoder") for key in trainer.tensors())


def test_a_refused_proposal_leaves_every_weight_as_it_was():
    model = Normals(100)
    trainer = played(model, normals(100), MetropolisHastings(1e3, RandomWalk()))
    before = model.player.at.detach().clone()
    assert float(trainer.take_step()["surprise.accepted"]) == 0
    assert torch.equal(model.player.at, before)


def test_a_condition_holds_for_a_chain_too():
    model = Normals(100)
    move = Move(model.player, weights={"surprise": 1.0}, when=lambda values: values["surprise"] < 0)
    model.turns = lambda: [Turn(move, lowers=model.surprise)]
    log = played(model, normals(100), MetropolisHastings(1e-3)).take_step()
    assert (float(log["surprise.accepted"]), float(log["surprise.examples"])) == (0, 0)
    assert float(model.player.at.detach().abs().sum()) == 0


def test_a_schedule_of_steps_is_followed():
    model = Normals(100)
    trainer = played(model, normals(100), MetropolisHastings(lambda step: 0.01 * (step == 0), RandomWalk()))
    points, _ = chain(trainer, 5)
    assert torch.equal(points[0], points[-1])


# What holds for every run


def test_a_chain_s_draws_are_sources_like_any_other(tmp_path: Path):
    options: dict[str, Any] = {"steps": 8, "batch_size": 8, "device": "cpu"}
    runs = {
        "plain": Control(3),
        "seeded": Control(3, {"proposal": 7}),
        "frozen": Control(3, freeze=("proposal",)),
        "again": Control(3),
    }
    for name, control in runs.items():
        reparam.train(built("bayesian-decoder"), tmp_path / name, control=control, **options)
    assert_same_run(tmp_path / "plain", tmp_path / "again")
    for name in ("seeded", "frozen"):
        with pytest.raises(AssertionError):
            assert_same_run(tmp_path / "plain", tmp_path / name)
    for control, saying in (
        (Control(0, {"proposals": 1}), "did you mean 'proposal'"),
        (Control(0, pin={"proposal": [1.0, 2.0]}), "cannot be pinned"),
    ):
        with pytest.raises(ReparamError, match=saying):
            reparam.train(built("bayesian-decoder"), tmp_path / "odd", control=control)
    assert not (tmp_path / "odd").exists()


class Coupled(Normals):
    couples_batch = True


class Sloped(Normals):
    def turns(self) -> list[Turn]:
        return [Turn(self.player, lowers=self.surprise, second_order=True)]


class Permuted(Normals):
    def turns(self) -> list[Turn]:
        return [Turn(self.player, lowers=self.shuffled, weights={"surprise": 1.0})]

    def shuffled(self, x: Tensor, *, order_of: Tensor) -> Terms:
        return self.surprise(x[order_of])

    def noise(self) -> dict[str, Source]:
        return {"order_of": Permutation(size=100)}


@pytest.mark.parametrize(
    ("model", "saying"),
    [
        (Coupled(100), "whole batch"),
        (Permuted(100), "whole batch shares"),
        (Sloped(100), "holds a gradient"),
    ],
    ids=["coupled", "shared noise", "second order"],
)
def test_what_cannot_be_sampled_is_refused(model: Model, saying: str):
    with pytest.raises(ReparamError, match=saying):
        played(model, normals(100), MetropolisHastings())


def test_a_network_that_draws_by_itself_is_refused():
    model = Normals(100)
    model.player = nn.Sequential(nn.Dropout(0.5), model.player)  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(ReparamError, match="dropout"):
        played(model, normals(100), MetropolisHastings()).take_step()


@pytest.mark.parametrize("world", [2, 3])
def test_examples_are_shared_by_processes_and_none_is_counted_twice(
    world: int, monkeypatch: pytest.MonkeyPatch
):
    """What each process looks at, put together as `gather` does, is what one alone looks at."""
    from reparam import trainer as module

    def looked(rank: int, of: int) -> list[Tensor]:
        parts: list[Tensor] = []

        def gather(x: Tensor) -> Tensor:
            parts.append(x)
            return x.repeat(of)

        monkeypatch.setattr(module, "gather", gather)
        monkeypatch.setattr(Engine, "average", lambda *_: None)
        trainer = played(
            Normals(100),
            normals(100),
            MetropolisHastings(1e-3, RandomWalk(), batch=50),
            6,
            rank=rank,
            world=of,
        )
        trainer.take_step()
        return parts

    alone = looked(0, 1)
    each = [looked(rank, world) for rank in range(world)]
    for k, whole in enumerate(alone):
        joint = torch.cat([parts[k] for parts in each])
        torch.testing.assert_close(joint[: len(whole)], whole)


# The Bayesian decoder


def bits(n: int) -> Data:
    """Rows of one of two patterns, with noise."""
    draw = torch.Generator().manual_seed(0)
    kind = (torch.rand(n, 1, generator=draw) < 0.5).float()
    pattern = torch.tensor([1.0, 1, 1, 0, 0, 0])
    clean = kind * pattern + (1 - kind) * (1 - pattern)
    return load((clean - (torch.rand(n, 6, generator=draw) < 0.1).float()).abs())


def test_predictions_are_means_over_what_is_kept():
    system = reparam.build("bayesian-decoder", bits(100), points=8, width=4, keep=3, every=2)
    model: Any = system.model
    assert system.training_data is not None
    x = system.training_data.train.x[:5]
    trainer = Trainer(
        model,
        system.training_data,
        system.recipe.optimisers,
        batch_size=80,
        streams=Streams(0),
        engine=Engine(torch.device("cpu")),
    )
    weights = []
    for _ in range(9):
        weights.append(model.decoder.weights()["0.0.weight"].detach())
        trainer.take_step()
    kept = [network[0][0].weight for network in model.kept]
    torch.testing.assert_close(kept, [weights[6], weights[8], weights[4]], rtol=0, atol=0)
    with torch.no_grad():
        laws = [network(model.codes) for network in model.kept]
        each = torch.stack([
            torch.stack([type(law)(each.expand(5, -1)).log_prob(x) for each in law.logits]) for law in laws
        ])  # fmt: skip
        torch.testing.assert_close(model.log_prob(x), each.flatten(0, 1).logsumexp(0) - math.log(24))
        z = model.codes[:4]
        means = torch.stack([network(z).mean for network in model.kept])
        torch.testing.assert_close(system.decode(z), means.mean(0))
        torch.testing.assert_close(model.spread(z), means.std(0))
        samples = model.sample(z=torch.tensor([0, 5, 5]), theta=torch.tensor([0.0, 0.4, 0.99]))
        expected = torch.stack([laws[0].mean[0], laws[1].mean[5], laws[2].mean[5]])
        torch.testing.assert_close(samples, expected)


def test_before_there_are_weights_the_prior_predicts():
    model: Any = reparam.build("bayesian-decoder", bits(100), points=8, width=4, keep=40, std=2.0).model
    drawn = {name: torch.stack([n.get_buffer(name) for n in model.kept]) for name in model.decoder.stds}
    for name, std in (("0.0.weight", 2 / math.sqrt(2)), ("0.2.weight", 1.0), ("0.2.bias", 2.0)):
        assert float(drawn[name].std()) == pytest.approx(std, rel=0.15)
    assert len(model._known()) == 40


def test_weights_in_units_of_their_prior_s_deviation_are_the_same_network():
    network = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 3))
    z, before = torch.randn(5, 2, generator=torch.Generator().manual_seed(0)), copy.deepcopy(network)
    law, log_prior = (weighed := NormalWeights(network, 3.0))(z)
    torch.testing.assert_close(law, before(z))
    expected = sum(
        torch.distributions.Normal(0.0, 1.0).log_prob(p / std).sum()
        for (_, p), std in zip(before.named_parameters(), (3 / math.sqrt(2), 3.0, 1.5, 3.0), strict=True)
    )
    torch.testing.assert_close(log_prior, expected)
    assert list(weighed.weights()) == [name for name, _ in before.named_parameters()]


def test_doubt_falls_with_the_number_of_examples():
    spreads = []
    for n in (20, 400):
        data = bits(n)
        system = reparam.build("bayesian-decoder", data, points=16, width=4, keep=10, every=20, warm_up=50)
        assert system.training_data is not None
        trainer = Trainer(
            system.model, system.training_data, system.recipe.optimisers, batch_size=100, streams=Streams(0),
            engine=Engine(torch.device("cpu")),
        )  # fmt: skip
        for _ in range(400):
            trainer.take_step()
        with torch.no_grad():
            model: Any = system.model
            spreads.append(float(model.spread(model.codes).mean()))
    assert spreads[1] < 0.7 * spreads[0], spreads
