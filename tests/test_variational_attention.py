"""Latent alignment: exact, enumerated and sampled bounds and gradients agree; known alignments are found."""

import itertools
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

import reparam
from reparam.cli import main
from reparam.data import load
from reparam.data.reorder import links, translation
from reparam.data.text import BEGIN, END
from reparam.metrics.alignment import alignment_error_rate
from reparam.models import variational_attention as attention
from reparam.nets.alignment import Aligner, Speaker, Translator, before, ended

X, OTHER = torch.tensor([[4, 5, 6], [5, 4, 0]]), torch.tensor([[5, 4], [6, 0]])
WORDS, SOURCE, LENGTH = 7, 3, 2


def networks() -> tuple[Translator, Speaker, Aligner]:
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        made = Translator(WORDS, WORDS, 4), Speaker(4, WORDS), Aligner(WORDS, WORDS, 4)
        for p in itertools.chain(*(net.parameters() for net in made)):
            torch.nn.init.normal_(p, std=0.7)
    return tuple(net.double() for net in made)  # pyright: ignore[reportReturnType]


def gumbel(*shape: int, seed: int = 1) -> Tensor:
    u = torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return -torch.log(-torch.log(u.clamp_min(1e-9)))


def choosing(alignment: Tensor) -> Tensor:
    """Gumbel noise that makes argmax take an alignment (n, T)."""
    return 1e6 * torch.nn.functional.one_hot(alignment, SOURCE).double()


def variational(nets: tuple[Translator, Speaker, Aligner]) -> attention.VariationalAttention:
    return attention.VariationalAttention(*nets, LENGTH, WORDS)


def test_sentences_get_a_begin_and_an_end():
    assert ended(OTHER).tolist() == [[5, 4, END], [6, END, 0]]
    assert before(ended(OTHER)).tolist() == [[BEGIN, 5, 4], [BEGIN, 6, END]]


def test_the_marginal_is_a_sum_over_all_alignments_of_a_sentence():
    model = variational(networks())
    target = ended(OTHER)
    seen = model.translator(X, before(target))
    for i, (words, sources) in enumerate(((3, 3), (2, 2))):
        total = []
        for alignment in itertools.product(range(sources), repeat=words):
            log_p = [
                seen.log_prior[i, t, s]
                + model.speaker(seen.states[i, t], seen.memory[i, s]).log_probs[target[i, t]]
                for t, s in enumerate(alignment)
            ]
            total.append(torch.stack(log_p).sum())
        assert_close(model.log_conditional(X, OTHER)[i], torch.stack(total).logsumexp(0))


def test_the_words_of_a_place_have_a_law_that_sums_to_one_without_padding():
    nets = networks()
    for model in (variational(nets), attention.SoftAttention(*nets[:2], LENGTH, WORDS)):
        law = model.log_words(model.translator(X, before(ended(OTHER)))).exp()
        assert_close(law.sum(2), torch.ones(2, 3, dtype=torch.float64))
        assert not law[..., 0].any()


def test_the_bound_is_below_the_marginal_by_the_posteriors_divergence():
    model = variational(networks())
    terms = model.negative_elbo(X, OTHER)
    gap = model.log_conditional(X, OTHER) + terms["distortion"] + terms["rate"]
    target = ended(OTHER)
    log_q, exact = model.aligner(X, target), model.align(X, OTHER).clamp_min(1e-300).log()
    apart = (log_q.exp() * (log_q - exact).clamp_max(1e3)).sum(2).masked_fill(target == 0, 0).sum(1)
    assert_close(gap, apart)
    assert bool((gap > 0).all())


def test_the_sampled_gradient_is_the_enumerated_one_in_expectation():
    """The expectation by enumeration: every alignment of one word, weighed by q, the baseline's part too."""
    nets = networks()
    x, other = X[:1], OTHER[:1]
    exact = variational(nets)
    sampled = attention.SampledAttention(*nets, LENGTH, WORDS, SOURCE)
    parameters = [p for p in sampled.parameters() if p.requires_grad]
    q = sampled.aligner(x, ended(other))[0].exp().detach()
    expected: list[Tensor] = [torch.zeros_like(p) for p in parameters]
    for alignment in itertools.product(range(SOURCE), repeat=LENGTH + 1):
        terms = sampled.negative_elbo(x, other, g=choosing(torch.tensor([alignment])))
        weight = torch.stack([q[t, s] for t, s in enumerate(alignment)]).prod()
        for sum_, g in zip(expected, torch.autograd.grad(sum(terms.values()).sum(), parameters), strict=True):  # pyright: ignore[reportAttributeAccessIssue]
            sum_ += weight * g
    wanted = torch.autograd.grad(sum(exact.negative_elbo(x, other).values()).sum(), parameters)  # pyright: ignore[reportAttributeAccessIssue]
    for ours, theirs in zip(expected, wanted, strict=True):
        assert_close(ours, theirs)


def test_at_the_exact_posterior_the_bounds_gradient_is_the_marginals():
    """q = p(z | x, y): then the bound is tight, and the translator's gradient of both is one."""
    nets = networks()
    model = variational(nets)
    posterior = model.align(X, OTHER).clamp_min(1e-300).log().detach().clamp_min(-1e4)

    class Exact(torch.nn.Module):
        def forward(self, x: Tensor, target: Tensor) -> Tensor:
            return posterior

    tight = attention.VariationalAttention(nets[0], nets[1], Exact(), LENGTH, WORDS)
    terms = tight.negative_elbo(X, OTHER)
    assert_close(-(terms["distortion"] + terms["rate"]), tight.log_conditional(X, OTHER))
    parameters = [*nets[0].parameters(), *nets[1].parameters()]
    ours = torch.autograd.grad((terms["distortion"] + terms["rate"]).sum(), parameters)
    theirs = torch.autograd.grad(-tight.log_conditional(X, OTHER).sum(), parameters)
    for a, b in zip(ours, theirs, strict=True):
        assert_close(a, b)


def test_a_cold_relaxation_is_the_draw():
    nets = networks()
    g = gumbel(2, LENGTH + 1, SOURCE)
    cold = attention.GumbelAttention(*nets, LENGTH, WORDS, SOURCE, temperature=1e-3)
    drawn = attention.SampledAttention(*nets, LENGTH, WORDS, SOURCE).negative_elbo(X, OTHER, g=g)
    relaxed = cold.negative_relaxed_elbo(X, OTHER, g=g)
    assert_close(relaxed["distortion"], drawn["distortion"])
    assert_close(relaxed["rate"], drawn["rate"])


def test_many_draws_of_wake_sleep_near_the_marginal_and_its_gradient():
    nets = networks()
    many = attention.WakeSleepAttention(*nets, LENGTH, WORDS, SOURCE, draws=3000)
    terms = many.negative_bound(X, OTHER, g=gumbel(2, 3000, LENGTH + 1, SOURCE))
    exact = -many.log_conditional(X, OTHER)
    assert_close(terms["bound"], exact, atol=0.1, rtol=0)
    parameters = list(nets[0].parameters()) + list(nets[1].parameters())
    ours = torch.cat([g.flatten() for g in torch.autograd.grad(terms["wake"].sum(), parameters)])
    theirs = torch.cat([g.flatten() for g in torch.autograd.grad(exact.sum(), parameters)])
    assert float((ours - theirs).norm() / theirs.norm()) < 0.1


def test_a_translation_is_padded_after_its_end_and_greedy_without_noise():
    model = variational(networks())
    still = torch.zeros(2, LENGTH, WORDS, dtype=torch.float64)
    greedy = model.translate(X, gumbel=still)
    by_hand = model.log_words(model.translator(X, torch.full((2, 1), BEGIN)))[:, 0].argmax(1)
    assert_close(greedy[:, 0], by_hand.masked_fill(by_hand == END, 0))
    for row in model.translate(X, gumbel=gumbel(2, LENGTH, WORDS)).tolist():
        assert END not in row
        assert row == sorted(row, key=lambda word: word == 0)


def test_the_made_up_languages_say_how_they_are_aligned():
    line = ["v1", "n2", "v3", "n0"]
    assert translation(line) == ["N2", "N0", "V3", "V1"]
    assert links(line, translation(line)) == {(1, 0), (3, 1), (2, 2), (0, 3)}


def test_known_alignments_are_found_and_translations_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    data = load("reorder")
    system = reparam.build("variational-attention", data, width=32, lr=1e-2)
    system = reparam.train(system, tmp_path / "run", data=data, steps=150)
    batch = data.batch(data.validation, torch.arange(200))
    with torch.no_grad():
        places = system.model.align(batch["x"], batch["other"]).argmax(2)  # pyright: ignore[reportCallIssue]
    sides = ((batch["x"], data.vocabulary or ()), (batch["other"], data.other_vocabulary or ()))
    lines = [[[words[i] for i in row if i] for row in ids.tolist()] for ids, words in sides]
    found = [
        {(int(row[t]), t) for t in range(len(there))} for row, there in zip(places, lines[1], strict=True)
    ]
    sure = [links(*pair) for pair in zip(*lines, strict=True)]
    assert alignment_error_rate(found, sure).value < 0.05
    capsys.readouterr()
    command = ["translate", str(tmp_path / "run"), "--to", "two", "--n", "20", "--pin", "gumbel=0"]
    assert main(command) == 0
    printed = [line.split(":", 1) for line in capsys.readouterr().out.splitlines() if line]
    said = {name: [text.split() for key, text in printed if key == name] for name, _ in printed}
    right = [a == b for a, b in zip(said["translation"], said["in the data"], strict=True)]
    assert said["in the data"] == [translation(line) for line in said["sentence"]]
    assert sum(right) >= 10  # of 20 whole sentences
    assert main(["translate", str(tmp_path / "run"), "--to", "one"]) == 2
