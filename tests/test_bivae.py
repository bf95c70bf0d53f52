"""Bags of words and their sampled normaliser; BiVAE's loss, its hidden language, and its words."""

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

import reparam
from reparam.bags import Bag, SampledBag
from reparam.cli import main
from reparam.data import load
from reparam.errors import ReparamError
from reparam.models.bivae import BiVAE
from reparam.nets.bags import BagDecoder, PairEncoder, SampledBagDecoder

X = torch.tensor([[1, 3, 3, 0], [2, 0, 0, 0], [5, 4, 2, 1]])


def bags(words: int = 6, sampled: int = 0) -> Bag | SampledBag:
    draw = torch.Generator().manual_seed(0)
    decoder = SampledBagDecoder(4, range(words), sampled) if sampled else BagDecoder(4, range(words))
    with torch.no_grad():
        for p in decoder.parameters():
            p.copy_(torch.randn(p.shape, generator=draw))
    return decoder(torch.randn(3, 4, generator=draw))


def test_a_bag_is_a_law_of_single_words():
    bag = bags()
    assert_close(bag.mean.sum(1), torch.ones(3))
    assert_close(bag.mean[:, 0], torch.zeros(3))
    by_hand = [sum(torch.log(bag.mean[i, w]) for w in row if w) for i, row in enumerate(X)]
    assert_close(bag.log_prob(X), torch.stack(by_hand))  # pyright: ignore[reportArgumentType]
    assert_close(bag.log_prob(X.flip(1)), bag.log_prob(X))


def test_words_are_drawn_with_their_probability_and_never_padding():
    bag = bags()
    drawn = bag.at(torch.rand(3, 10_000, generator=torch.Generator().manual_seed(1)))
    shares = torch.stack([row.bincount(minlength=6) / len(row) for row in drawn])
    assert_close(shares, bag.mean.detach(), atol=0.02, rtol=0)
    assert drawn.min() > 0


def test_the_estimated_normaliser_is_unbiased():
    bag = bags(sampled=3)
    assert isinstance(bag, SampledBag)
    draw, real = torch.Generator().manual_seed(2), X != 0
    own = bag.logits.gather(1, X).masked_fill(~real, 0).sum(1)
    uniform = torch.rand(3_000, 3, generator=draw)
    # estimate = Σ logits − words · log Z: solved for Z, whose mean is the exact one.
    z = torch.stack([torch.exp((own - bag.estimate(X, u)) / real.sum(1)) for u in uniform])
    exact = bag.logits[:, 1:].exp().sum(1)
    assert_close(z.mean(0), exact, rtol=0.06, atol=0)
    assert z.std(0).max() > 0.1


def test_with_many_negatives_the_gradient_is_the_exact_one():
    few, many = (bags(sampled=k) for k in (4, 50_000))
    assert isinstance(many, SampledBag)
    u = torch.rand(50_000, generator=torch.Generator().manual_seed(3))
    estimated = torch.autograd.grad(many.estimate(X, u).sum(), many.weight)[0]
    exact = torch.autograd.grad(few.log_prob(X).sum(), few.weight)[0]
    assert_close(estimated, exact, atol=0.05, rtol=0.05)


def model(hide: float) -> BiVAE:
    decoders = BagDecoder(4, range(6)), BagDecoder(4, range(6))
    return BiVAE(
        PairEncoder(6, 6, 4, 8), *decoders, 4, noise=(decoders[0].source, decoders[1].source), hide=hide
    )


def terms(m: BiVAE, x: Tensor, other: Tensor, drop: float) -> dict[str, Tensor]:
    nothing, drops = torch.zeros(len(x)), torch.full((len(x),), drop)
    return m.negative_elbo(
        x, other, eps=torch.ones(len(x), 4), drop=drops, negatives=nothing, negatives_other=nothing
    )


@pytest.mark.parametrize(("drop", "x_seen", "other_seen"), [(0.1, 0, 1), (0.3, 1, 0), (0.7, 1, 1)])
def test_a_hidden_language_is_not_seen_and_is_still_told(drop: float, x_seen: int, other_seen: int):
    m, other = model(0.5), X.flip(0)
    told = terms(m, X, other, drop)
    q = m.encoder(X * x_seen, other * other_seen)
    z = q.at(torch.ones(3, 4))
    assert_close(told["rate"], q.kl())
    assert_close(told["distortion"], -m.decoder(z).log_prob(X))
    assert_close(told["distortion_other"], -m.other_decoder(z).log_prob(other))


def test_one_language_suffices_to_encode():
    m = model(0.5)
    assert_close(m.encode(X), m.encoder(X, 0 * X).mean)
    assert_close(m.encode_other(X), m.encoder(0 * X, X).mean)


def test_words_of_two_languages_find_each_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    data = load("reorder")
    system = reparam.build("bivae", data, latent=24, width=24, lr=0.05, steps=60)
    system = reparam.train(system, tmp_path / "run", data=data, steps=60)
    words = system.word_vectors("one")[0]
    found = [system.nearest(word, 1)[0][0] for word in words]
    assert sum(near == word.upper() for near, word in zip(found, words, strict=True)) >= 30  # of 32
    assert main(["nearest", str(tmp_path / "run"), "n3", "--to", "two", "--n", "2"]) == 0
    assert "N3" in capsys.readouterr().out
    assert main(["export", str(tmp_path / "run"), "--out", str(tmp_path / "v.txt")]) == 0
    header, first, *rest = (tmp_path / "v.two.txt").read_text().splitlines()
    assert (header, len(rest), len(first.split(" "))) == ("32 24", 31, 25)
    assert main(["nearest", str(tmp_path / "run"), "elephant"]) == 2
    with pytest.raises(ReparamError, match="unknown language"):
        system.nearest("n3", to="three")


def test_pairs_are_needed():
    with pytest.raises(ReparamError, match="pairs of lines"):
        reparam.build("bivae", "tang5")
