"""Models of text: their likelihoods by hand, what they write, and the commands that print it."""

from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

import reparam
from reparam import verse
from reparam.cli import main
from reparam.data import load
from reparam.data.text import END, PAD, SPECIALS, UNKNOWN
from reparam.distributions import Tokens
from reparam.errors import ReparamError
from reparam.evaluate import yardstick_for
from reparam.nets.text import RecurrentReader, RecurrentWriter, TransformerWriter

VERSES = load(
    [f"{who} {does} {n}" for who in "abcdefgh" for does in ("sees", "has not") for n in "123456"], min_count=1
)
SQUARE = load([f"{a} {b} {c}" for a in "abcd" for b in "efgh" for c in "ijkl"], min_count=1)


def system(name: str, data=VERSES, **settings):
    return reparam.build(name, data, latent=4, width=16, **settings)


def test_tokens_are_independent_choices():
    logits = torch.randn(3, 5, 7, generator=torch.Generator().manual_seed(0))
    x = torch.arange(15).view(3, 5) % 7
    law = Tokens(logits)
    by_hand = [sum(logits[i, j].log_softmax(0)[x[i, j]] for j in range(5)) for i in range(3)]
    assert_close(law.log_prob(x), torch.stack([torch.as_tensor(v) for v in by_hand]))
    assert_close(law.mean, logits.argmax(2))


def test_the_inverse_distribution_function_draws_tokens_by_their_shares():
    share = torch.tensor([0.5, 0.2, 0.3])
    u = (torch.arange(3000) + 0.5).view(3000, 1) / 3000
    drawn = Tokens(share.log().expand(3000, 1, 3)).at(u)
    assert_close(drawn.flatten().bincount().double(), 3000 * share.double(), atol=2, rtol=0)
    assert int(Tokens(share.log().expand(1, 1, 3)).at(torch.ones(1, 1))) == 2


def test_a_sentence_ends_once_and_its_pads_cost_nothing():
    """log p(x|z) is the sum over the words and the end, each given those before; by hand, word by word."""
    made = system("sentence-vae", word_dropout=0.0)
    x = VERSES.batch(VERSES.train, torch.arange(6))["x"]
    assert bool((x == PAD).any())
    z = torch.zeros(6, 4)
    found = made.model._log_likelihood(x, z)
    for i in range(6):
        words, total = [2], 0.0
        for word in [*x[i][x[i] != PAD].tolist(), END]:
            law = made.model.decoder(z[:1], torch.tensor([words])).logits[0, -1].log_softmax(0)
            total += law[word].item()
            words.append(word)
        assert found[i].item() == pytest.approx(total, rel=1e-5)


@pytest.mark.parametrize("writer", ["recurrent", "transformer"])
def test_a_writer_sees_no_word_before_its_time(writer: str):
    net = RecurrentWriter(3, 9, 8) if writer == "recurrent" else TransformerWriter(3, 9, 6, 8)
    words = torch.randint(4, 9, (2, 6), generator=torch.Generator().manual_seed(0))
    other = words.clone()
    other[:, 4] = (other[:, 4] - 3) % 5 + 4
    z = torch.randn(2, 3, generator=torch.Generator().manual_seed(1))
    a, b = net(z, words).logits, net(z, other).logits
    assert_close(a[:, :4], b[:, :4])
    assert not torch.allclose(a[:, 4], b[:, 4])


def test_a_reader_does_not_see_how_far_a_line_is_padded():
    net = RecurrentReader(9, 8)
    x = torch.tensor([[4, 5, 6], [7, 8, 0]])
    assert_close(net(x), net(torch.nn.functional.pad(x, (0, 4))))
    assert not torch.allclose(net(x)[1], net(torch.tensor([[8, 7, 0]]))[0])


def test_what_is_written_has_no_end_and_only_pads_behind_it():
    made = system("sentence-vae").sample(50, seed=1)
    assert made.shape == (50, *VERSES.shape)
    assert not bool((made == END).any())
    pads = (made == PAD).int()
    assert bool((pads.diff(dim=1) >= 0).all())


def test_dropped_words_are_hidden_from_the_decoder_alone():
    made = system("sentence-vae", word_dropout=0.5)
    x = VERSES.batch(VERSES.train, torch.arange(4))["x"]
    eps, no, yes = torch.zeros(4, 1, 4), torch.zeros(4, *VERSES.shape), torch.ones(4, *VERSES.shape)
    plain, hidden = (made.model.negative_elbo(x, eps=eps, dropped=d) for d in (no, yes))
    assert_close(plain["rate"], hidden["rate"])
    assert not torch.allclose(plain["distortion"], hidden["distortion"])


def test_free_bits_of_zero_are_the_rate():
    made = system("sentence-vae")
    x = VERSES.batch(VERSES.train, torch.arange(4))["x"]
    draws = made.draw(("eps", "dropped"), 4, reparam.noise.Control(0))
    terms = made.model.negative_elbo(x, **draws)
    assert_close(terms["paid"], terms["rate"])


# Uses


def test_an_acrostic_begins_as_told_and_repeats_nothing():
    made = system("poem-free-bits", SQUARE)
    lines = SQUARE.text(verse.lines(made, starts="d a c", no_repeats=True))
    assert [line[0] for line in lines] == ["d", "a", "c"]
    many = verse.lines(made, 40, no_repeats=True)
    assert all(len(set(row)) == len(row) for row in many.tolist())
    assert not bool(torch.isin(many, torch.tensor([UNKNOWN, END])).any())
    with pytest.raises(ReparamError, match="zebra: not in the vocabulary"):
        verse.lines(made, starts="zebra")
    with pytest.raises(ReparamError, match="not write every place"):
        verse.lines(system("sentence-vae"), starts="a")


def test_free_lines_are_the_likeliest_tokens_but_for_specials():
    made = system("poem-free-bits", SQUARE)
    made.model.decoder.logits.bias.data[: len(SPECIALS)] = -50
    assert_close(verse.lines(made, 10, seed=4), made.sample(10, seed=4))


def test_text_has_its_own_measures():
    found = yardstick_for(VERSES, split="validation", n=9).measure(system("sentence-vae"))
    assert {"token_accuracy", "perplexity", "distinct", "copied", "mutual_information"} <= set(found)
    assert not {"mse", "kernel_distance", "mmd", "frechet"} & set(found)
    assert found["perplexity"].value is not None
    # An untrained model is about as uncertain as the vocabulary is large, the end of a line included.
    assert 5 < found["perplexity"].value < 200


def test_commands_print_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "lines.txt"
    file.write_text("\n".join(2 * SQUARE.text(SQUARE.train.x)))
    run = str(tmp_path / "run")
    options = ["--min-count", "1", "--set", "latent=4", "width=8", "--steps", "3", "--out", run]
    assert main(["train", "poem-vae", "--data", str(file), *options]) == 0
    capsys.readouterr()
    assert main(["sample", run, "--n", "3"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
    out = tmp_path / "made.txt"
    assert main(["sample", run, "--n", "3", "--out", str(out)]) == 0
    assert len(out.read_text().splitlines()) == 3
    assert main(["interpolate", run, "--rows", "1", "--steps", "4"]) == 0
    assert main(["nearest", run, "a e i", "--n", "2"]) == 0
    assert "a e i" in capsys.readouterr().out
    assert main(["sample", run, "--out", str(tmp_path / "made.png")]) == 2
    assert main(["nearest", run, "zebra"]) == 2
    assert "none of the 1 tokens" in capsys.readouterr().err
    assert main(["compare", run, "--n", "6", "--out", str(tmp_path / "report")]) == 0
    assert "plain lines" in (tmp_path / "report" / "index.html").read_text()
    assert main(["diagnose", run]) == 0
    assert main(["card", run]) == 0
