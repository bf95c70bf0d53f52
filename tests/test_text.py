"""Measures of text against closed forms and second implementations; broken models rank below good ones."""

import json
import math
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from reparam.data.named import shared_file
from reparam.errors import ReparamError
from reparam.metrics.alignment import alignment_error_rate
from reparam.metrics.bootstrap import pooled, share
from reparam.metrics.copied import copied, plain
from reparam.metrics.dictionary import precision, read_dictionary
from reparam.metrics.distinct import distinct
from reparam.metrics.measure import Measure
from reparam.metrics.perplexity import perplexity
from reparam.metrics.token_accuracy import token_accuracy
from reparam.metrics.translation import bleu, chrf

WORDS = [f"{a}{b}" for a in "bdfgklmnprst" for b in "aeiou"]


def data(name: str) -> Path:
    try:
        return shared_file(name)
    except ReparamError:
        pytest.skip(f"{name} is not in REPARAM_DATA or shared/data")


def lines(n: int, *, seed: int = 0, words: int = len(WORDS)) -> list[str]:
    """Sentences of 4 to 9 words, the first words the most frequent."""
    rng = np.random.default_rng(seed)
    law = 1 / np.arange(1, words + 1)
    return [" ".join(rng.choice(WORDS[:words], rng.integers(4, 10), p=law / law.sum())) for _ in range(n)]


def below(worse: Measure, good: Measure) -> bool:
    """The intervals are apart, the good one ahead."""
    sign = -1 if good.better == "lower" else 1
    ends = [(m.low if sign > 0 else m.high, m.high if sign > 0 else m.low) for m in (good, worse)]
    (end, _), (_, start) = ends
    assert end is not None
    assert start is not None
    return sign * start < sign * end


# the interval of pooled sums


def test_pooled_is_the_delta_methods_interval() -> None:
    rng = np.random.default_rng(0)
    counts = rng.integers(1, 30, 3000).astype(float)
    right = rng.binomial(counts.astype(int), rng.beta(6, 4, 3000)).astype(float)  # sentences differ
    value = right.sum() / counts.sum()
    half = 1.96 * math.sqrt(np.square(right - value * counts).sum()) / counts.sum()
    assert_close(pooled(right, counts, times=4000), (value - half, value + half), atol=0.08 * half, rtol=0)
    naive = 1.96 * math.sqrt(value * (1 - value) / counts.sum())
    assert (
        half > 1.5 * naive
    )  # words of one sentence are dependent: an interval over words would be too narrow


# perplexity


def test_perplexity_of_a_uniform_model_is_the_vocabulary() -> None:
    tokens = torch.tensor([3, 7, 12, 1])
    m = perplexity(-tokens * math.log(50), tokens, draws=1, end=True)
    assert_close([m.value, m.low, m.high], [50.0] * 3)
    assert "end token counted" in m.how
    assert "K = 1," in m.how


def test_perplexity_is_over_tokens_and_says_whether_the_end_counts() -> None:
    bounds, tokens = torch.tensor([-2.0, -30.0]), torch.tensor([2, 10])
    assert_close(perplexity(bounds, tokens, draws=5, end=True).value, math.exp(32 / 12))
    without = perplexity(bounds, tokens - 1, draws=5, end=False)
    assert_close(without.value, math.exp(32 / 10))
    assert "end token not counted" in without.how


def test_perplexity_of_a_bigram_model_against_its_entropy_rate_and_broken_models() -> None:
    # A chain that knows its law has the perplexity exp(entropy rate); one that ignores the past has a larger.
    step = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]])  # uniform in the long run
    rng = np.random.default_rng(0)
    text = np.zeros((600, 20), int)
    text[:, 0] = rng.integers(3, size=600)
    for t in range(1, 20):
        text[:, t] = (step[text[:, t - 1]].cumsum(1) < rng.random((600, 1))).sum(1)
    logs = np.log(step[text[:, :-1], text[:, 1:]]).sum(1)
    tokens = np.full(600, 19)
    good = perplexity(logs, tokens, draws=1, end=False)
    rate = math.exp(-0.8 * math.log(0.8) - 0.2 * math.log(0.1))
    assert good.low is not None
    assert good.high is not None
    assert good.low < rate < good.high
    blind = perplexity(np.full(600, -19 * math.log(3)), tokens, draws=1, end=False)
    shuffled = np.log(step[text[:, :-1], rng.permuted(text[:, 1:], axis=1)]).sum(1)
    assert below(blind, good)
    assert below(perplexity(shuffled, tokens, draws=1, end=False), blind)  # sure and wrong


@pytest.mark.parametrize(
    ("bounds", "tokens", "message"),
    [
        ([-1.0, -2.0], [1], "bounds of 2 sentences and token counts of 1"),
        ([-1.0], [0], "at least 1"),
        ([-1.0], [1.5], "whole numbers"),
        ([3.0], [2], r"not above 0; were negative bounds \(a loss\) given"),
        ([math.nan], [2], "NaN"),
    ],
)
def test_perplexity_names_wrong_input(bounds: list, tokens: list, message: str) -> None:
    with pytest.raises(ReparamError, match=message):
        perplexity(torch.tensor(bounds), torch.tensor(tokens), draws=1, end=True)


# token accuracy


def test_token_accuracy_by_hand() -> None:
    target = torch.tensor([[5, 6, 7, 0, 0], [5, 0, 0, 0, 0], [0, 0, 0, 0, 0]])
    predicted = torch.tensor([[5, 6, 0, 0, 0], [4, 0, 0, 0, 0], [0, 0, 0, 0, 0]])
    m = token_accuracy(predicted, target, padding=0)
    assert_close(m.value, 2 / 4)  # padding that comes back counts for nothing, a place left empty is missed
    assert m.n == 2
    assert_close(token_accuracy(predicted, target, padding=None).value, 13 / 15)


def test_token_accuracy_of_all_does_not_prove_it() -> None:
    target = torch.ones(200, 30, dtype=torch.long)
    assert token_accuracy(target, target, padding=0).low == share(np.ones(200))[0] < 1
    assert token_accuracy(2 * target, target, padding=0).high == share(np.zeros(200))[1] > 0


def test_token_accuracy_falls_with_broken_decoders() -> None:
    generator = torch.Generator().manual_seed(0)
    target = torch.randint(1, 20, (300, 12), generator=generator)
    target[torch.arange(12) >= torch.randint(3, 13, (300, 1), generator=generator)] = 0
    wrong = torch.rand(300, 12, generator=generator) < 0.1
    good = token_accuracy(torch.where(wrong, 1, target), target, padding=0)
    collapsed = token_accuracy(target[:1].expand(300, -1), target, padding=0)
    shifted = token_accuracy(target.roll(1, 1), target, padding=0)
    empty = token_accuracy(torch.zeros_like(target), target, padding=0)
    assert all(below(m, good) for m in (collapsed, shifted, empty))
    assert token_accuracy(torch.zeros_like(target), target, padding=None).value > 0.3  # the mask matters


def test_token_accuracy_names_wrong_input() -> None:
    target = torch.ones(2, 3, dtype=torch.long)
    with pytest.raises(ReparamError, match=r"\(2, 4\).*expected whole numbers of one shape"):
        token_accuracy(torch.ones(2, 4, dtype=torch.long), target, padding=0)
    with pytest.raises(ReparamError, match="of logits take the argmax"):
        token_accuracy(torch.ones(2, 3), target, padding=0)
    with pytest.raises(ReparamError, match="every target is padding"):
        token_accuracy(target, target, padding=1)


# distinct-n


def test_distinct_by_hand() -> None:
    text = [["a", "b", "a", "b"], ["a", "b"], ["c"]]
    assert_close(distinct(text, n=1).value, 3 / 7)
    assert_close(distinct(text, n=2).value, 2 / 4)  # ab ba ab | ab
    assert distinct(["春眠不觉晓"], n=1).value == 1  # a string is its characters
    text = [line.split() for line in lines(200)]
    grams = [tuple(line[i : i + 3]) for line in text for i in range(len(line) - 2)]
    assert_close(distinct(text, n=3).value, len(set(grams)) / len(grams))


def test_distinct_sees_a_generator_that_repeats_itself() -> None:
    good = distinct([line.split() for line in lines(300)])
    collapsed = distinct([line.split() for line in lines(10)] * 30)
    poor = distinct([line.split() for line in lines(300, words=8)])
    assert below(collapsed, good)
    assert below(poor, good)
    assert good.low is not None
    assert good.high is not None
    fresh = [distinct([line.split() for line in lines(300, seed=s)]).value for s in range(1, 21)]
    assert sum(good.low < value < good.high for value in fresh) >= 13  # two draws: wider than one's interval


def test_distinct_names_wrong_input() -> None:
    with pytest.raises(ReparamError, match="none of 2 lines has 3 tokens"):
        distinct([["a", "b"], ["c"]], n=3)
    with pytest.raises(ReparamError, match="n is 0"):
        distinct([["a"]], n=0)


# copied lines


def test_plain_keeps_what_makes_another_line() -> None:
    assert plain("  The  LORD said: “Let there be!”") == plain("the lord said let there be")
    assert plain("春眠不觉晓，处处闻啼鸟") == plain("春眠不觉晓 处处闻啼鸟。") == "春眠不觉晓处处闻啼鸟"
    assert plain("ＡＢＣ") == "abc"  # full width
    assert plain("x + 1") != plain("x 1")  # a sign is no punctuation
    assert plain("naïve") != plain("naive")


def test_copied_by_hand() -> None:
    training = ["In the beginning.", "And it was so.", "Thus saith the king"]
    got = copied(["And it was so.", "and it was  so", "in the beginning, so", "A new line"], training)
    assert got["copied"].value == 1 / 4
    assert got["copied_plain"].value == 2 / 4
    assert "3 training lines" in got["copied"].how


def test_copied_sees_a_model_that_memorises() -> None:
    training, fresh = lines(500), lines(200, seed=1)
    good, memorised = copied(fresh, training), copied(training[:200], training)
    hidden = copied([line.upper() + " !" for line in training[:200]], training)  # copies, slightly retouched
    assert below(memorised["copied"], good["copied"])
    assert below(hidden["copied_plain"], good["copied_plain"])
    assert not below(hidden["copied"], good["copied"])
    assert good["copied"].high is not None
    assert good["copied"].value == 0 < good["copied"].high  # 200 lines prove no zero


def test_copied_names_wrong_input() -> None:
    with pytest.raises(ReparamError, match="0 lines against 1"):
        copied([], ["a"])
    with pytest.raises(ReparamError, match="split it first"):
        copied("a line", ["a"])
    with pytest.raises(ReparamError, match="line 1 is '…', nothing but punctuation"):
        copied(["a", "…"], ["a"])


# BLEU and chrF


def slow_bleu(hypotheses: list[str], references: list[str]) -> float:
    """Corpus BLEU of words split at spaces, no smoothing: Papineni et al. 2002, section 2.3."""
    logs = []
    for n in range(1, 5):
        right = total = 0
        for h, r in zip(hypotheses, references, strict=True):
            a, b = (Counter(zip(*(x.split()[i:] for i in range(n)), strict=False)) for x in (h, r))
            right, total = right + sum((a & b).values()), total + sum(a.values())
        logs.append(math.log(right / total))
    long, short = (sum(len(x.split()) for x in text) for text in (hypotheses, references))
    return 100 * min(1.0, math.exp(1 - short / long)) * math.exp(sum(logs) / 4)


def slow_chrf(hypotheses: list[str], references: list[str]) -> float:
    """Corpus chrF, characters without spaces up to 6, β = 2: Popović 2015, eq. 1, of summed counts."""
    precisions, recalls = [], []
    for n in range(1, 7):
        right = made = asked = 0
        for h, r in zip(hypotheses, references, strict=True):
            a, b = (
                Counter(x[i : i + n] for i in range(len(x) - n + 1))
                for x in (h.replace(" ", ""), r.replace(" ", ""))
            )
            right += sum((a & b).values())
            made, asked = made + sum(a.values()), asked + sum(b.values())
        precisions.append(right / made)
        recalls.append(right / asked)
    p, r = np.mean(precisions), np.mean(recalls)
    return float(100 * 5 * p * r / (4 * p + r))


def pairs(n: int = 120) -> tuple[list[str], list[str]]:
    """References, and hypotheses in which some words are others."""
    references, rng = lines(n), np.random.default_rng(5)
    hypotheses = [
        " ".join(w if rng.random() < 0.8 else str(rng.choice(WORDS)) for w in line.split())
        for line in references
    ]
    return hypotheses, references


def library() -> None:
    pytest.importorskip("sacrebleu", reason="sacrebleu, of the extra `text`, is not installed")


def test_bleu_and_chrf_against_second_implementations() -> None:
    library()
    hypotheses, references = pairs()
    assert_close(bleu(hypotheses, references).value, slow_bleu(hypotheses, references))
    assert_close(bleu(hypotheses, references, tokenize="none").value, slow_bleu(hypotheses, references))
    assert_close(chrf(hypotheses, references).value, slow_chrf(hypotheses, references))
    assert_close(bleu(references, references).value, 100.0)
    assert_close(chrf(references, references).value, 100.0)


def test_bleu_and_chrf_say_their_signature_and_are_the_librarys_own_score() -> None:
    library()
    from sacrebleu import BLEU, CHRF  # pyright: ignore[reportMissingImports]

    hypotheses, references = pairs()
    many: list[list[str]] = [
        [r, h] if i % 2 else [r] for i, (h, r) in enumerate(zip(hypotheses, references, strict=True))
    ]
    streams = [references, [h if i % 2 else None for i, h in enumerate(hypotheses)]]
    for ours, theirs in (
        (bleu(hypotheses, many), BLEU(force=True)),
        (bleu(hypotheses, many, tokenize="char"), BLEU(force=True, tokenize="char")),
        (chrf(hypotheses, many), CHRF()),
        (chrf(hypotheses, many, words=2), CHRF(word_order=2)),
    ):
        assert_close(ours.value, theirs.corpus_score(hypotheses, streams).score)
        assert str(theirs.get_signature()) in ours.how
        assert ours.low is not None
        assert ours.high is not None
        assert ours.low < ours.value < ours.high
    assert "tok:char" in bleu(hypotheses, references, tokenize="char").how


def test_bleu_interval_is_the_librarys_bootstrap() -> None:
    library()
    from sacrebleu import BLEU  # pyright: ignore[reportMissingImports]

    hypotheses, references = pairs(300)
    m = bleu(hypotheses, references)
    theirs = BLEU(force=True).corpus_score(hypotheses, [references], n_bootstrap=1000)
    assert m.low is not None
    assert m.high is not None
    assert_close((m.high - m.low) / 2, theirs._ci, rtol=0.15, atol=0)


def test_broken_translations_rank_below_the_good_ones() -> None:
    library()
    hypotheses, references = pairs()
    rng = np.random.default_rng(0)
    broken = {
        "another sentence's": hypotheses[1:] + hypotheses[:1],
        "cut short": [" ".join(h.split()[:3]) for h in hypotheses],
        "one for all": [hypotheses[0]] * len(hypotheses),
        "words in any order": [" ".join(rng.permutation(h.split())) for h in hypotheses],
    }
    for name, text in broken.items():
        assert below(bleu(text, references), bleu(hypotheses, references)), name
        assert below(chrf(text, references), chrf(hypotheses, references)), name


def test_translation_names_wrong_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    for measure in (bleu, chrf):
        with pytest.raises(
            ReparamError, match=r'need the package .sacrebleu.: pip install "reparam\[text\]"'
        ):
            measure(["a"], ["a"])
    monkeypatch.undo()
    library()
    with pytest.raises(ReparamError, match="2 hypotheses and references of 1 sentences"):
        bleu(["a", "b"], ["a"])
    with pytest.raises(ReparamError, match="sentence 1 has no reference"):
        chrf(["a", "b"], [["a"], []])
    with pytest.raises(ReparamError, match="a string was given"):
        bleu("a b", ["a b"])


# an induced dictionary


def test_precision_by_hand() -> None:
    listed = {"house": {"Haus", "Heim"}, "dog": {"Hund"}, "tree": {"Baum"}, "sun": {"Sonne"}}
    induced: dict[str, list[str]] = {
        "house": ["Tür", "Heim", "Haus"], "dog": ["Hund"], "tree": ["Ast", "Blatt"], "sun": [], "x": ["Hund"],
    }  # fmt: skip
    got = precision(induced, listed, ks=[1, 2, 3])
    assert [got[f"precision@{k}"].value for k in (1, 2, 3)] == [1 / 4, 2 / 4, 2 / 4]
    assert got["precision@1"].n == 4
    assert "4 of 5 induced words are listed" in got["precision@1"].how


def test_precision_names_wrong_input(tmp_path: Path) -> None:
    with pytest.raises(ReparamError, match="none of 1 induced words is among 1"):
        precision({"Dog": ["Hund"]}, {"dog": {"Hund"}})
    with pytest.raises(ReparamError, match="a string, expected a list"):
        precision({"dog": "Hund"}, {"dog": {"Hund"}})
    with pytest.raises(ReparamError, match="at least 1"):
        precision({"dog": ["Hund"]}, {"dog": {"Hund"}}, ks=[0])
    table = tmp_path / "words.tsv"
    table.write_text("dog\tHund\ncat Katze\n", encoding="utf-8")
    with pytest.raises(
        ReparamError, match=r"words.tsv, line 2: expected word<TAB>translation, got 'cat Katze"
    ):
        read_dictionary(table)


def test_a_dictionary_induced_from_real_pairs_of_sentences() -> None:
    """Words that stand together (Dice) against a printed dictionary, and with the pairs shuffled."""
    table, text = data("dictionary_en_de.tsv"), data("en_de.parquet")
    parquet = pytest.importorskip(
        "pyarrow.parquet", reason="pyarrow, of the extra `tables`, is not installed"
    )
    rows = parquet.read_table(text, columns=["en", "de"]).slice(0, 12_000).to_pydict()
    listed: dict[str, set[str]] = {}
    for word, translations in read_dictionary(table).items():
        listed.setdefault(word.casefold(), set()).update(t.casefold() for t in translations)
    assert "hund" in listed["dog"]

    def incidence(sentences: list[str], size: int) -> tuple[list[str], torch.Tensor]:
        split = [set(plainly(s)) for s in sentences]
        words = [w for w, _ in Counter(w for s in split for w in s).most_common(size)]
        place = {w: i for i, w in enumerate(words)}
        table = torch.zeros(len(sentences), size)
        for row, s in enumerate(split):
            table[row, [place[w] for w in s if w in place]] = 1
        return words, table

    def plainly(sentence: str) -> list[str]:
        return [w.strip(".,:;!?()\"'") for w in sentence.casefold().split()]

    english, x = incidence(rows["en"], 300)
    german, y = incidence(rows["de"], 600)

    def induced(y: torch.Tensor) -> dict[str, list[str]]:
        dice = 2 * (x.T @ y) / (x.sum(0)[:, None] + y.sum(0))
        best = dice.topk(5, 1).indices.tolist()
        return {word: [german[i] for i in row] for word, row in zip(english, best, strict=True)}

    good = precision(induced(y), listed, ks=[1, 5])
    shuffled = precision(induced(y.roll(1, 0)), listed, ks=[1, 5])
    assert good["precision@1"].value > 0.3
    assert good["precision@5"].value > good["precision@1"].value
    for key in good:
        assert below(shuffled[key], good[key])


# word alignment


def test_alignment_error_rate_by_hand() -> None:
    found = [{(0, 0), (1, 2), (2, 1)}, {(0, 0)}]
    sure, possible = [{(0, 0), (1, 1)}, {(0, 0)}], [{(1, 2)}, set()]
    # |A| = 4, |S| = 3, |A ∩ S| = 2, |A ∩ (P ∪ S)| = 3
    assert_close(alignment_error_rate(found, sure, possible).value, 1 - 5 / 7)
    whole = [s | p for s, p in zip(sure, possible, strict=True)]
    assert alignment_error_rate(found, sure, whole) == alignment_error_rate(found, sure, possible)


def test_alignment_error_rate_closed_forms() -> None:
    sure = [{(i, i) for i in range(5)} for _ in range(40)]
    assert alignment_error_rate(sure, sure).value == 0
    none = alignment_error_rate([set()] * 40, sure)
    assert none.value == none.high == 1
    assert none.low is not None
    assert 0 < none.low < 1
    # A possible link more is forgiven, and a sure one less is not.
    possible = [{(i, i + 1) for i in range(5)}] * 40
    assert (
        alignment_error_rate([s | p for s, p in zip(sure, possible, strict=True)], sure, possible).value == 0
    )
    # Without possible links it is 1 − F₁: 4 of 5 found, and one wrong.
    found = [{(i, i) for i in range(4)} | {(0, 4)}] * 40
    m = alignment_error_rate(found, sure)
    assert_close(m.value, 1 - 4 / 5)
    assert "sure links alone" in m.how


def test_broken_alignments_rank_below_the_good_one() -> None:
    rng = np.random.default_rng(0)
    orders = [rng.permutation(8) for _ in range(60)]
    sure = [{(i, int(j)) for i, j in enumerate(order)} for order in orders]
    good = alignment_error_rate([{link for link in links if rng.random() < 0.9} for links in sure], sure)
    broken = {
        "diagonal": [{(i, i) for i in range(8)}] * 60,
        "everything": [{(i, j) for i in range(8) for j in range(8)}] * 60,
        "turned": [{(j, i) for i, j in links} for links in sure],
        "few": [set(list(links)[:2]) for links in sure],
    }
    for name, links in broken.items():
        assert below(alignment_error_rate(links, sure), good), name


def test_alignment_error_rate_names_wrong_input() -> None:
    with pytest.raises(ReparamError, match="links of 1 pairs of sentences, sure ones of 2"):
        alignment_error_rate([{(0, 0)}], [{(0, 0)}, {(0, 0)}])
    with pytest.raises(ReparamError, match="no pair of sentences has a link"):
        alignment_error_rate([set()], [set()])
    with pytest.raises(ReparamError, match="pair 0 has a link that is no"):
        alignment_error_rate([{(0, 0, 1)}], [{(0, 0)}])  # pyright: ignore[reportArgumentType]


# every measure


def all_measures() -> dict[str, Any]:
    training, text = lines(100), lines(40, seed=1)
    tokens = torch.tensor([len(line.split()) for line in text])
    target = torch.arange(40).view(8, 5)
    links = [{(i, i), (i, 0)} for i in range(6)]
    return {
        "perplexity": perplexity(-2.0 * tokens - torch.arange(40) % 3, tokens, draws=10, end=True),
        "accuracy": token_accuracy(target // 2 * 2, target, padding=0),
        "distinct": distinct(text),
        **copied(text, training),
        **precision({"a": ["b"], "c": ["d", "e"]}, {"a": {"b"}, "c": {"e"}}, ks=[1, 2]),
        "alignment": alignment_error_rate(links, links[::-1]),
    }


def test_every_measure_is_seeded_json_and_one_sentence() -> None:
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    found = all_measures()
    assert found == all_measures()
    assert np.array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    for name, m in found.items():
        row = asdict(m)
        assert json.loads(json.dumps(row, allow_nan=False)) == row, name
        assert row["low"] <= row["value"] <= row["high"], name
        assert row["how"].endswith("."), name
        assert type(row["value"]) is float, name
        assert type(row["n"]) is int, name
