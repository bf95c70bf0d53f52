"""Recommendation: the multinomial by hand and in blocks, losses by hand, EASE against its closed form."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.testing import assert_close

import reparam
from reparam import titles
from reparam.data import Bags, load
from reparam.distributions import Multinomial, log_normaliser
from reparam.engine import Engine
from reparam.errors import ReparamError
from reparam.evaluate import evaluate
from reparam.models.ease import fit
from reparam.models.rec_vae import joint, per_dimension
from reparam.noise import Control, Everywhere, Streams
from reparam.schedules import at
from reparam.trainer import Trainer

TASTES = load("tastes")


def _drawn(*shape: int) -> torch.Tensor:
    draw = torch.Generator().manual_seed(sum(shape))
    return torch.randn(shape, generator=draw, dtype=torch.float64).requires_grad_()


def test_the_multinomial_is_that_of_dense_logits():
    hidden, weight, bias = _drawn(3, 4), _drawn(7, 4), _drawn(7)
    x = Bags.of([[0, 6], [], [2, 3, 4]], 7).double()
    law = Multinomial(hidden, weight, bias)
    by_hand = (x.dense() * torch.log_softmax(hidden @ weight.T + bias, 1)).sum(1)
    assert_close(law.log_prob(x), by_hand)
    assert_close(law.mean.sum(1), torch.ones(3).double())
    ours = torch.autograd.grad(law.log_prob(x).sum(), (hidden, weight, bias))
    assert_close(ours, torch.autograd.grad(by_hand.sum(), (hidden, weight, bias)))


@pytest.mark.parametrize("at_once", [1, 6, 9, 20])
def test_blocks_of_the_catalogue_change_nothing(at_once: int):
    hidden, weight, bias = _drawn(3, 4), _drawn(7, 4), _drawn(7)
    whole, blocks = (log_normaliser(hidden, weight, bias, k) for k in (10**6, at_once))
    assert_close(blocks, whole)
    parts, all_ = (
        torch.autograd.grad((v * torch.arange(3.0).double()).sum(), (hidden, weight, bias))
        for v in (blocks, whole)
    )
    assert_close(parts, all_)
    torch.autograd.gradcheck(lambda h, w, b: log_normaliser(h, w, b, at_once), (hidden, weight, bias))


def test_large_logits_stay_finite_in_blocks():
    hidden = torch.full((2, 1), 300.0)
    weight = torch.tensor([[1.0], [-1.0], [0.5]])
    assert_close(log_normaliser(hidden, weight, torch.zeros(3), 2), torch.full((2,), 300.0))


def test_mult_vae_by_hand():
    model: Any = reparam.build("mult-vae", TASTES, latent=3, width=5, anneal=100).model.double()
    x: Any = TASTES.train.x[:4].double()  # pyright: ignore[reportAttributeAccessIssue]
    drop, eps = Streams(0).draw("drop", Everywhere(), 4, 0), _drawn(4, 3).detach()
    terms = model.negative_elbo(x, drop=drop, eps=eps)
    dense, (first, _, head), (second, _, last) = x.dense(), model.encoder, model.decoder
    u = torch.ones(4, 300).double()
    u[x.rows, x.items.long()] = Everywhere.at(drop, x.rows, x.items)
    seen = torch.nn.functional.normalize(dense) * (u >= 0.5) * 2
    mean, log_variance = head.linear(torch.tanh(seen @ first.weight + first.bias)).chunk(2, 1)
    z = mean + (0.5 * log_variance).exp() * eps
    logits = torch.tanh(second(z)) @ last.weight.T + last.bias
    assert_close(terms["distortion"], -(dense * logits.log_softmax(1)).sum(1))
    assert_close(terms["rate"], 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1))
    (weights,) = (move.weights for move in model.turns()[0].moves)
    assert weights is not None
    assert [at(weights["rate"], step) for step in (0, 50, 100, 1000)] == [0.0, 0.1, 0.2, 0.2]
    # Without noise: what is dropped in training is there again.
    still = torch.tanh(torch.nn.functional.normalize(dense) @ first.weight + first.bias)
    assert_close(model.encode(x), head.linear(still)[:, :3])


def test_mult_dae_by_hand():
    model: Any = reparam.build("mult-dae", TASTES, latent=3, dropout=0.0).model.double()
    x: Any = TASTES.train.x[:4].double()  # pyright: ignore[reportAttributeAccessIssue]
    terms = model.denoising(x, drop=torch.zeros(4, 4, dtype=torch.int64))
    first, last, dense = model.encoder[0], model.decoder, x.dense()
    code = torch.tanh(torch.nn.functional.normalize(dense) @ first.weight + first.bias)
    logits = code @ last.weight.T + last.bias
    assert_close(terms["distortion"], -(dense * logits.log_softmax(1)).sum(1))
    size = first.weight.square().sum() + last.weight.square().sum()
    assert_close(terms["size"], size.expand(4))


def test_autorec_by_hand():
    rows = torch.arange(12).repeat_interleave(6)
    stars = load({"user": rows, "item": torch.arange(72) * 5 % 13, "rating": 1 + rows % 5}, rated=True)
    model: Any = reparam.build("autorec", stars, latent=3, penalty=2.0).model.double()
    x: Any = stars.train.x[:4].double()  # pyright: ignore[reportAttributeAccessIssue]
    terms = model.squared_error(x)
    first, last, dense, given = model.encoder[0], model.decoder, x.dense(), x.dense() > 0
    made = torch.sigmoid(dense @ first.weight + first.bias) @ last.weight.T + last.bias
    assert_close(terms["error"], ((made - dense).square() * given).sum(1))
    assert_close(terms["size"], (first.weight.square().sum() + last.weight.square().sum()).expand(4))
    assert_close(model.rank(x), made)
    (weights,) = (move.weights for move in model.turns()[0].moves)
    assert weights == {"error": 1.0, "size": 1.0 / stars.train.n}
    # What is liked without a rating counts as rated highest.
    assert_close(model.rank(Bags.of([[2, 5]], 13)), model.rank(Bags.of([[2, 5]], 13).double()))


def test_cdae_by_hand():
    model: Any = reparam.build("cdae", TASTES, latent=3, dropout=0.0).model.double()
    x: Any = TASTES.train.x[:4].double()  # pyright: ignore[reportAttributeAccessIssue]
    user, u = (
        torch.tensor([0, 7, 7, -1]),
        torch.rand(4, 100, generator=torch.Generator().manual_seed(0)).double(),
    )
    terms = model.denoising(x, user, drop=torch.zeros(4, 4, dtype=torch.int64), u=u)
    first, last, dense = model.encoder, model.decoder, x.dense()
    nodes = torch.cat([first.user.weight[[1, 8, 8]], torch.zeros(1, 3).double()])
    hidden = torch.sigmoid(dense @ first.bag.weight + first.bag.bias + nodes)
    logits = hidden @ last.weight.T + last.bias
    assert_close(terms["chosen"], -(dense * torch.nn.functional.logsigmoid(logits)).sum(1))
    for i in range(4):
        items = [j for j in (u[i] * 300).long().tolist() if not dense[i, j]]
        assert 0 < len(items) < 100
        loss = -torch.nn.functional.logsigmoid(-logits[i, items]).mean()
        assert_close(terms["others"][i], 5 * dense[i].sum() * loss)
    size = sum(w.square().sum() for w in (first.bag.weight, first.user.weight, last.weight))
    assert_close(terms["size"], size.expand(4))
    assert_close(model.rank(x)[3], logits[3])


def test_ease_is_stationary_at_its_closed_form_and_nowhere_lower():
    x: Any = TASTES.train.x
    best = fit(x, penalty=50.0).double()
    users = x.double()

    def objective(model: Any) -> torch.Tensor:
        terms = model.squared_error(users)
        return terms["error"].mean() + 50.0 / len(x) * terms["size"].mean()

    (slope,) = torch.autograd.grad(objective(best), [best.weights.b])
    assert slope.abs().max() < 1e-5  # of float32 weights
    assert_close(best.weights.b.diag(), torch.zeros(300).double())
    with pytest.raises(ReparamError, match="must be above 0"):
        fit(x, penalty=0.0)


@pytest.mark.parametrize("mixture", [joint, per_dimension])
def test_the_composite_prior_by_hand(mixture: Any):
    law: Any = torch.distributions
    z, mean, std = _drawn(4, 3).detach(), _drawn(4, 3).detach(), _drawn(3, 4).detach().T.exp()
    laws = [law.Normal(0.0, 1.0), law.Normal(mean, std), law.Normal(0.0, torch.tensor(5.0).double().exp())]
    each = [p.log_prob(z) for p in laws]
    shares = torch.tensor([0.15, 0.75, 0.10]).double()
    if mixture is joint:
        wanted = torch.stack([s * d.sum(1).exp() for s, d in zip(shares, each, strict=True)]).sum(0).log()
    else:
        wanted = torch.stack([s * d.exp() for s, d in zip(shares, each, strict=True)]).sum(0).log().sum(1)
    assert_close(mixture(torch.stack(each)), wanted)


def test_the_old_posterior_is_the_encoder_of_a_period_ago():
    system = reparam.build("rec-vae", TASTES, latent=3, width=5)
    model: Any = system.model
    model.period = 3  # as many encoder's steps as one step of all has
    first = {name: t.clone() for name, t in model.encoder.state_dict().items()}
    engine = Engine(torch.device("cpu"))
    rules = system.recipe.optimisers
    trainer = Trainer(model, TASTES, rules, batch_size=20, streams=Streams(0), engine=engine)
    assert all(torch.equal(t, first[name]) for name, t in model.old.named_buffers())
    trainer.take_step()
    assert model.age == 0
    assert not any(torch.equal(t, first[name]) for name, t in model.old.named_buffers())


def test_frozen_dropout_hides_the_same_items_from_all():
    drop = Streams(Control(0, freeze=("drop",))).draw("drop", Everywhere(), 3, 5)
    same = Bags.of([[1, 2, 3, 4, 5, 6]] * 3, 9).dropout(0.5, drop).dense()
    assert_close(same[0], same[1])
    assert_close(same[0], same[2])


NAMES = (
    "Alien (1979)",
    "Aliens (1986)",
    "Brazil (1985)",
    "Good, The Bad, The (1966)",
    "Alien 3 (1992)",
    "Crash",
    "Crash (2)",
)


def test_titles():
    assert titles.find("Alien,brazil", NAMES) == [0, 2]
    assert titles.find("Good, The Bad, The, ALIENS (1986), braz", NAMES) == [3, 1, 2]
    for words, saying in (
        ("Brasil", "did you mean 'Brazil"),
        ("lien", "said of 3 items: 'Alien"),
        ("qqqqq", "none is like it"),
        ("Alien,,Brazil", "without a name"),
        ("Alien, alien (1979)", "given twice"),
    ):
        with pytest.raises(ReparamError, match=saying):
            titles.find(words, NAMES)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "mult-dae"
    system = reparam.build("mult-dae", TASTES, latent=16, lr=1e-2)
    reparam.train(system, out, steps=120, device="cpu")
    return out


def test_a_run_recommends_what_goes_with_what(run: Path, capsys: pytest.CaptureFixture[str]):
    from reparam.cli import main

    assert main(["recommend", str(run), "--items", "western 1,western 4", "--n", "5", "--device", "cpu"]) == 0
    printed = capsys.readouterr().out.splitlines()[2:]
    assert len(printed) == 5
    assert sum("western" in line for line in printed) >= 4
    assert not any(line.split(maxsplit=1)[1].strip() in ("western 1", "western 4") for line in printed)
    assert main(["recommend", str(run), "--items", "westren 1", "--device", "cpu"]) == 2
    assert "did you mean 'western 1'" in capsys.readouterr().err
    assert main(["recommend", str(run), "--items", "western 1", "--n", "300", "--device", "cpu"]) == 2
    assert "299 are not held yet" in capsys.readouterr().err
    rows = "".join(f"{u},{100 + i}\n" for u in range(20) for i in range(6))
    (run.parent / "else.csv").write_text("user,item\n" + rows)
    encode = ["encode", str(run), "--data", str(run.parent / "else.csv"), "--out", str(run.parent / "x.npz")]
    assert main(encode) == 2
    assert "else.csv: the items are not the 300" in capsys.readouterr().err
    assert main(["reconstruct", str(run), "--device", "cpu"]) == 2
    assert "take recommend" in capsys.readouterr().err


def test_a_run_is_measured_by_its_lists(run: Path):
    found = evaluate(run)
    assert list(found.measures) == ["ndcg@100", "recall@20", "recall@50", "map@100", "coverage@100"]
    ndcg, chance = found.measures["ndcg@100"].value, 0.2
    assert ndcg is not None
    assert ndcg > 2 * chance
    assert found.conditions.n == 300
    with pytest.raises(ReparamError, match="no extractor looks at"):
        evaluate(run, extractor="pixels")
