"""Devices, precisions, compilation: from outside, and told in words where they are not there."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import reparam
from _recipes import NAMES, assert_same_run, built, datasets, resumed, rows, tensors
from reparam import ReparamError, engine
from reparam.data import Data, load
from reparam.engine import Engine
from reparam.evaluate import examples
from reparam.model import Average, Model, Move, Replace, Rule, Terms, Turn
from reparam.noise import Normal, Permutation, Source, Streams
from reparam.optimisers import SGD, Adam, Optimiser
from reparam.system import System
from reparam.trainer import Order, Trainer

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is to be seen here")
BATCH = {"batch_size": 16, "device": "cpu"}


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "meta", "mps", "", "cuda:99", "cpu0"])
def test_a_wrong_device_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(ReparamError, match="device"):
        reparam.train(built("vae"), tmp_path / "run", steps=2, device=name)
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is here")
def test_cuda_where_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(ReparamError, match="no CUDA device"):
        Engine.start("cuda")
    assert Engine.start("auto").device == torch.device("cpu")


@pytest.mark.parametrize(
    "options", [{"precision": "float16"}, {"draw_on": "moon"}, {"average": 1.0}], ids=str
)
def test_wrong_options_are_named(options: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ReparamError, match=next(iter(options))):
        reparam.train(built("vae"), tmp_path / "run", steps=2, **options)
    assert not (tmp_path / "run").exists()


def _made(system: System, data: Data | None = None) -> torch.Tensor:
    """Samples; of what makes none, translations, codes, ranks or scores of a few examples."""
    if system.can("sample"):
        return system.sample(3)
    data = data or system.training_data
    assert data is not None
    x: Any = examples(data, data.train, 3)
    if system.can("translate"):
        return system.translate(x)
    if system.can("rank"):
        with torch.inference_mode():
            return system.model.rank(x)  # pyright: ignore[reportCallIssue]
    y = data.train.y[:3] if data.train.y is not None else None
    return system.encode(x, y)


@pytest.mark.parametrize("name", NAMES)
def test_precisions_agree(name: str, tmp_path: Path, record_testsuite_property: Any) -> None:
    terms = {}
    for precision in ("float32", "float64", "bf16"):
        out = tmp_path / precision
        system = reparam.train(built(name), out, steps=10, precision=precision, **BATCH)
        terms[precision] = rows(out)[-1][1]
        expected = torch.float64 if precision == "float64" else torch.float32
        weights = [t for key, t in tensors(out).items() if key.startswith("weights/")]
        assert {t.dtype for t in weights if t.is_floating_point()} == {expected}
        made = _made(system)
        text = system.data.kind == "tokens" and (system.can("sample") or system.can("translate"))
        assert made.dtype == (torch.int64 if text else torch.float32)  # users meet one precision
        assert torch.equal(_made(reparam.load(out), system.training_data), made)
    for term, value in terms["float32"].items():
        assert terms["float64"][term] == pytest.approx(value, rel=1e-4, abs=1e-4)
        assert terms["bf16"][term] == pytest.approx(value, rel=0.05, abs=0.05)
        record_testsuite_property(f"{name} {term} bf16 − float32", terms["bf16"][term] - value)


@pytest.mark.parametrize("precision", ["float64", "bf16"])
def test_other_precisions_resume_to_the_bit(precision: str, tmp_path: Path) -> None:
    system = built("vae-gan")
    reparam.train(system, tmp_path / "whole", steps=9, precision=precision, average=0.9, **BATCH)
    reparam.train(built("vae-gan"), tmp_path / "parts", steps=4, precision=precision, average=0.9, **BATCH)
    resumed(system, tmp_path / "parts", steps=9)
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_losses_are_added_in_float32_under_bf16() -> None:
    system = built("vae")
    place = Engine(torch.device("cpu"), "bf16")
    place.place(system.model)
    (turn,) = system.model.turns()
    x = datasets()[0].train.x
    terms = place.loss(turn)(x, eps=torch.zeros(len(x), 1, 4))
    assert {term.dtype for term in terms.values()} == {torch.float32}


def test_draws_on_either_side_are_the_same_on_the_cpu(tmp_path: Path) -> None:
    for where in ("host", "device"):
        reparam.train(built("vae"), tmp_path / where, steps=5, draw_on=where, **BATCH)
    assert_same_run(tmp_path / "host", tmp_path / "device")


@pytest.mark.long
@pytest.mark.skipif(not (shutil.which("c++") or shutil.which("g++")), reason="compiling takes a C++ compiler")
@pytest.mark.parametrize("name", ["vae", "wgan-gp"])
def test_compiled_is_the_same_model(name: str, tmp_path: Path) -> None:
    reparam.train(built(name), tmp_path / "plain", steps=10, **BATCH)
    reparam.train(built(name), tmp_path / "compiled", steps=10, compile=True, **BATCH)
    for (_, plain), (_, compiled) in zip(rows(tmp_path / "plain"), rows(tmp_path / "compiled"), strict=True):
        assert compiled == pytest.approx(plain, rel=1e-3, abs=1e-4)


@needs_cuda
@pytest.mark.parametrize("name", NAMES)
def test_draws_of_the_host_make_cuda_the_same_run(name: str, tmp_path: Path) -> None:
    for device in ("cpu", "cuda"):
        options = {"steps": 10, "batch_size": 16, "draw_on": "host", "device": device}
        reparam.train(built(name), tmp_path / device, **options)
    for (_, ours), (_, theirs) in zip(rows(tmp_path / "cpu"), rows(tmp_path / "cuda"), strict=True):
        assert theirs == pytest.approx(ours, rel=1e-2, abs=1e-3)


@needs_cuda
@pytest.mark.parametrize("name", NAMES)
def test_cuda_resumes_to_the_bit(name: str, tmp_path: Path) -> None:
    options = {"batch_size": 16, "average": 0.9, "device": "cuda"}
    system = built(name)
    reparam.train(system, tmp_path / "whole", steps=9, **options)
    reparam.train(built(name), tmp_path / "parts", steps=4, **options)
    reparam.resume(tmp_path / "parts", data=system.training_data, device="cuda", steps=9)
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


# One process's part


def test_rows_are_shared_out_without_rest() -> None:
    parts = [Engine(torch.device("cpu"), rank=rank, world=4).rows(12) for rank in range(4)]
    assert [i for part in parts for i in range(12)[part]] == list(range(12))
    with pytest.raises(ReparamError, match="multiple of 4"):
        Engine(torch.device("cpu"), world=4).rows(10)


def test_alone_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "dist", None)  # any use of it would fail
    alone = Engine(torch.device("cpu"))
    x = torch.ones(3)
    alone.average([x, None])
    alone.share(x)
    assert alone.agree(True)
    assert not alone.agree(False)
    with alone.first() as writes:
        assert writes
    assert torch.equal(x, torch.ones(3))


def test_the_order_holds_every_example_once_an_epoch() -> None:
    order = Order(10, 4, Streams(1))
    seen = torch.cat([order.rows(batch) for batch in range(5)])
    assert sorted(seen[:10].tolist()) == sorted(seen[10:].tolist()) == list(range(10))
    assert seen[:10].tolist() != seen[10:].tolist()
    again = Order(10, 4, Streams(1))
    assert torch.equal(again.rows(3), order.rows(3))  # from anywhere, without what came before
    assert torch.equal(Order(3, 7, Streams(1)).rows(0)[:3].sort().values, torch.arange(3))
    assert Permutation(size=3).shared


# The trainer against autograd by hand


class Shifted(Model):
    """A game whose gradients are expanded and transposed views: what fused optimisers cannot read."""

    def __init__(self) -> None:
        super().__init__()
        self.shift, self.turned = nn.ParameterList([torch.zeros(7)]), nn.Linear(6, 5, bias=False)
        self.allowed = True

    def turns(self) -> list[Turn]:
        move = Move(self.shift, self.turned, when=lambda means: self.allowed)
        return [Turn(move, lowers=self.sums)]

    def sums(self, x: Tensor, *, z: Tensor) -> Terms:
        both = self.shift[0].sum() + (self.turned.weight.t() * torch.arange(30.0).view(6, 5)).sum()
        return {"sums": both + 0 * x.sum(1)}

    def noise(self) -> dict[str, Source]:
        return {"z": Normal(())}

    def sample(self, *, z: Tensor) -> Tensor:
        return z


def trainer(model: Model, rule: Optimiser) -> Trainer:
    place = Engine(torch.device("cpu"))
    data = load(torch.arange(360.0).view(60, 6))
    return Trainer(model, data, {"default": rule}, batch_size=8, streams=Streams(), engine=place)


@pytest.mark.parametrize("rule", [Adam(0.1), SGD(0.1, momentum=0.9)], ids=["adam", "sgd"])
def test_gradients_of_any_layout_move_as_torch_moves(rule: Optimiser) -> None:
    model = Shifted()
    theirs = [p.detach().clone().requires_grad_() for p in model.parameters()]
    playing, optimiser = trainer(model, rule), rule.make(theirs)
    for _ in range(3):
        playing.take_step()
        (theirs[0].sum() + (theirs[1].t() * torch.arange(30.0).view(6, 5)).sum()).backward()
        optimiser.step()
        optimiser.zero_grad()
    for ours, other in zip(model.parameters(), theirs, strict=True):
        torch.testing.assert_close(ours, other)


def test_a_move_that_is_not_allowed_moves_nobody() -> None:
    model = Shifted()
    playing = trainer(model, Adam(0.1))
    model.allowed = False
    before = [p.detach().clone() for p in model.parameters()]
    playing.take_step()
    assert all(torch.equal(p, b) for p, b in zip(model.parameters(), before, strict=True))


def test_each_rule_moves_its_state_once_a_step() -> None:
    class Counting(Shifted):
        counted: Tensor
        mean: Tensor

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("counted", torch.zeros(2))
            self.register_buffer("mean", torch.zeros(6))

        def state(self) -> dict[str, Rule]:
            return {"counted": Replace(), "mean": Average(0.75)}

        def sums(self, x: Tensor, *, z: Tensor) -> Terms:
            return {**super().sums(x, z=z), "counted": self.counted + 1, "mean": x}

    model = Counting()
    playing, mean = trainer(model, Adam(0.1)), torch.zeros(6)
    for step in range(3):
        mean = 0.75 * mean + 0.25 * playing._batch(0, {})["x"].mean(0)
        terms = playing.take_step()
        assert list(terms) == ["sums.sums"]
        torch.testing.assert_close(model.counted, torch.full((2,), step + 1.0))
        torch.testing.assert_close(model.mean, mean)


def test_one_name_for_two_turns_is_refused() -> None:
    class Twice(Shifted):
        def turns(self) -> list[Turn]:
            return super().turns() * 2

    with pytest.raises(TypeError, match="two turns lower the same loss"):
        trainer(Twice(), Adam(0.1))


def test_no_gradient_is_left_behind() -> None:
    system = built("aae")
    place = Engine(torch.device("cpu"))
    data, rules = datasets()[0], system.recipe.optimisers
    Trainer(system.model, data, rules, batch_size=8, streams=Streams(), engine=place).take_step()
    assert all(p.grad is None for p in system.model.parameters())
