"""Text as data: vocabularies, ids and lines, aligned pairs, and errors that name file and line."""

from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from reparam.data import load
from reparam.data.text import SPECIALS, UNKNOWN
from reparam.errors import ReparamError
from reparam.registry import DataFacts
from reparam.system import facts

LINES = [f"the {animal} sees {n} birds." for animal in ("cat", "dog", "fox", "owl") for n in range(10)]


def written(path: Path, lines: list[str]) -> str:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def test_a_file_of_lines_becomes_ids_and_lines_again(tmp_path: Path):
    data = load(written(tmp_path / "a.txt", LINES), min_count=1)
    assert (data.kind, data.levels, data.shape) == ("tokens", "tokens", (6,))
    assert data.vocabulary is not None
    assert data.vocabulary[:4] == SPECIALS
    assert list(data.vocabulary[4:]) == sorted(data.vocabulary[4:])
    batch = data.batch(data.train, torch.arange(data.train.n))
    assert batch["x"].dtype == torch.int64
    assert set(data.text(batch["x"])) <= set(LINES)
    assert_close(facts(data).tokens(data.text(batch["x"])), batch["x"])


def test_the_same_file_gives_the_same_vocabulary_and_fingerprint(tmp_path: Path):
    one, two = (load(written(tmp_path / "a.txt", LINES)) for _ in range(2))
    assert (one.vocabulary, one.fingerprint) == (two.vocabulary, two.fingerprint)
    assert load(one.spec).fingerprint == one.fingerprint


def test_rare_tokens_are_unknown_and_a_size_keeps_the_commonest(tmp_path: Path):
    lines = [*LINES, "the zebu sees 1 birds."]
    small = load(written(tmp_path / "a.txt", lines), vocabulary_size=8, min_count=1)
    assert small.vocabulary is not None
    assert set(small.vocabulary[4:]) == {"the", "sees", "birds", "."}
    assert bool((small.train.x == UNKNOWN).any())


def test_other_text_is_read_with_the_vocabulary_of_the_first(tmp_path: Path):
    data = load(written(tmp_path / "a.txt", LINES), min_count=1)
    other = load(written(tmp_path / "b.txt", LINES[:20]), like=facts(data))
    assert (other.vocabulary, other.shape) == (data.vocabulary, data.shape)
    foreign = written(tmp_path / "c.txt", [f"zwei hunde sehen {n}" for n in range(20)])
    with pytest.raises(ReparamError, match=r"c.txt: .* of 80 tokens are not in the run's vocabulary"):
        load(foreign, like=facts(data))
    ratings = {"user": torch.arange(60).repeat_interleave(7), "item": torch.arange(420) % 13}
    with pytest.raises(ReparamError, match="text is needed"):
        load(ratings, like=facts(data))


def test_empty_lines_are_named_as_they_stand_in_the_file(tmp_path: Path):
    table = tmp_path / "a.csv"
    table.write_text("label,text\n" + "".join(f"1,{line}\n" for line in LINES[:11]) + "\n1,\n")
    for path, line in ((table, 14), (written(tmp_path / "a.txt", [*LINES[:11], "", "the end"]), 12)):
        with pytest.raises(ReparamError, match=f"{path}, line {line}: it is empty"):
            load(path, min_count=1)
    with pytest.raises(ReparamError, match=r"a.csv, line 14: it is empty"):
        load(written(tmp_path / "b.txt", LINES[:12]), to=table, aligned=True, min_count=1)


def test_long_lines_are_left_out_and_counted(tmp_path: Path):
    data = load(written(tmp_path / "a.txt", LINES + 10 * ["a b c d e f g h"]), length=6)
    assert data.shape == (6,)
    assert "without 10 lines" in data.source


def test_units_and_jsonl_with_labels(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(f'{{"text": "ab{i % 3}", "label": "{"xy"[i % 2]}"}}' for i in range(40)))
    data = load(path, units="characters", min_count=1)
    assert data.shape == (3,)
    assert data.classes == ("x", "y")
    assert data.text(data.train.x[:1])[0].startswith("ab")


def test_couplets_are_without_their_comma_and_written_with_it():
    data = load("tang5")
    assert data.shape == (10,)
    assert all(len(line) == 11 and line[5] == "，" for line in data.text(data.test.x[:20]))
    assert data.train.n + data.validation.n + data.test.n == 20_000


def test_facts_survive_json(tmp_path: Path):
    from dataclasses import asdict

    from reparam.system import LISTS, WRITINGS, Writing

    about = facts(load(written(tmp_path / "a.txt", LINES)))
    kept = asdict(about) | {"shape": about.shape}
    assert set(LISTS) | set(WRITINGS) <= set(kept)
    again = DataFacts(**kept | {"writing": Writing(**kept["writing"])})
    assert again == about


def test_bpe_is_kept_with_the_run(tmp_path: Path):
    pytest.importorskip("tokenizers", reason="the extra `text` is not installed")
    data = load(written(tmp_path / "a.txt", LINES), units="bpe", vocabulary_size=60, min_count=1)
    assert data.vocabulary is not None
    assert data.vocabulary[:4] == SPECIALS
    assert set(data.text(data.test.x)) <= set(LINES)
    assert_close(facts(data).tokens(data.text(data.test.x)).int(), data.test.x)


# Aligned pairs


def pair(tmp_path: Path, **options):
    a = written(tmp_path / "a.txt", LINES)
    b = written(tmp_path / "b.txt", [line.replace("the", "der") for line in LINES])
    return load(a, to=b, aligned=True, min_count=1, **options)


def test_aligned_rows_stay_together_in_every_split(tmp_path: Path):
    data = pair(tmp_path)
    assert (data.aligned, data.domains) == (True, ("a", "b"))
    assert "partner" not in data.noise()
    for split in (data.train, data.validation, data.test):
        batch = data.batch(split, torch.arange(split.n).flip(0))
        theirs = data.text(batch["other"], other=True)
        assert [line.replace("the", "der") for line in data.text(batch["x"])] == theirs
    v, w = facts(data).require_pairs("a model")
    assert (v, w) == (len(data.vocabulary or ()), len(data.other_vocabulary or ()))
    assert "der" in (data.other_vocabulary or ())
    assert load(data.spec).fingerprint == data.fingerprint


def test_a_row_too_long_on_one_side_is_left_out_on_both(tmp_path: Path):
    a = written(tmp_path / "a.txt", LINES)
    b = written(tmp_path / "b.txt", ["a b c d e f g h", *LINES[1:]])
    data = load(a, to=b, aligned=True, length=6)
    kept = data.train.n + data.validation.n + data.test.n
    assert kept == len(LINES) - 1
    assert data.train.other is not None
    assert len(data.train.other) == data.train.n


# Errors


def test_bad_text_is_told_with_file_and_line(tmp_path: Path):
    empty = written(tmp_path / "e.txt", [*LINES[:5], "", *LINES[5:]])
    with pytest.raises(ReparamError, match=r"e\.txt, line 6: it is empty"):
        load(empty)
    assert load(empty, skip_bad=True).train.n == 32
    bad = tmp_path / "b.jsonl"
    bad.write_text('{"text": "a b"}\n{"words": "c"}\n')
    with pytest.raises(ReparamError, match=r"b\.jsonl, line 2: it needs an object"):
        load(bad)
    with pytest.raises(ReparamError, match=r"e\.txt has 41 lines and .*s\.txt 39;"):
        load(empty, to=written(tmp_path / "s.txt", LINES[:39]), aligned=True)


def test_options_that_do_not_fit_are_refused(tmp_path: Path):
    path = written(tmp_path / "a.txt", LINES)
    with pytest.raises(ReparamError, match="is for images only"):
        load(path, size=8)
    with pytest.raises(ReparamError, match="is for text only"):
        load("swissroll2d", length=4)
    with pytest.raises(ReparamError, match="--aligned"):
        load(path, to=path)
    with pytest.raises(ReparamError, match="unknown units"):
        load(path, units="sentences")  # pyright: ignore[reportArgumentType]


def test_lines_that_do_not_fit_a_run_are_refused(tmp_path: Path):
    about = facts(load(written(tmp_path / "a.txt", LINES), min_count=1))
    with pytest.raises(ReparamError, match="none of the 2 tokens"):
        about.tokens(["zwei Vögel"])
    with pytest.raises(ReparamError, match="built for at most 6"):
        about.tokens(["the cat sees the dog sees the fox"])
    with pytest.raises(ReparamError, match="has none"):
        about.require_pairs("bivae")
