"""Text: lines become rows of token ids, and token ids become lines again.

Ids 0 … 3 are pad, unknown, begin and end in every vocabulary; rows of data hold neither begin nor end.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor

from reparam.data.raw import Part, Raw, Units
from reparam.errors import ReparamError, unknown

SPECIALS = ("<pad>", "<unknown>", "<begin>", "<end>")
PAD, UNKNOWN, BEGIN, END = range(4)
BPE_SIZE = 8_000  # entries of a BPE vocabulary, where nothing else is asked for
LONGEST = 1_024  # tokens in a row; a longer line needs a decision of the user's
WORD = re.compile(r"\w+(?:['’-]\w+)*|[^\w\s]")
# Marks that stand close to the word before, and to the word after.
CLOSING, OPENING = re.compile(r" ([,.;:!?…)\]}”’%])"), re.compile(r"([(\[{“‘¿¡]) ")


@dataclass(frozen=True)
class Writing:
    """How a line is cut into tokens and put together again. JSON-able; kept with a run.

    `middle` is a mark in the middle of every line (the comma of a couplet): left out of the tokens, put back
    when they are written. `bpe` is the JSON of a tokenizer of the library `tokenizers`.
    """

    units: Units = "words"
    middle: str = ""
    lower: bool = False
    bpe: str = ""

    def cut(self, lines: Sequence[str]) -> list[list[str]]:
        """The tokens of each line."""
        if self.middle:
            lines = [line.replace(self.middle, "") for line in lines]
        if self.lower:
            lines = [line.lower() for line in lines]
        if self.units == "characters":
            return [list(line) for line in lines]
        if self.units == "words":
            return [WORD.findall(line) for line in lines]
        return [encoding.tokens for encoding in _tokenizer(self.bpe).encode_batch(list(lines))]

    def join(self, tokens: Sequence[str]) -> str:
        """The line that tokens stand for."""
        if self.units == "bpe":
            return _tokenizer(self.bpe).decoder.decode(list(tokens))
        if self.units == "words":
            return OPENING.sub(r"\1", CLOSING.sub(r"\1", " ".join(tokens)))
        tokens = ["□" if token == SPECIALS[UNKNOWN] else token for token in tokens]
        half = len(tokens) // 2
        return "".join(tokens[:half]) + self.middle + "".join(tokens[half:])


def ids(lines: Sequence[str], vocabulary: Sequence[str], writing: Writing) -> list[list[int]]:
    """The token ids of each line, of whatever length; a token that is not in the vocabulary is UNKNOWN."""
    number = {token: i for i, token in enumerate(vocabulary)}
    return [[number.get(token, UNKNOWN) for token in tokens] for tokens in writing.cut(lines)]


def padded(rows: Sequence[Sequence[int]], length: int) -> np.ndarray:
    """Rows of at most `length` ids as (n, length) int32, padded with 0."""
    sizes = np.fromiter(map(len, rows), np.int64, len(rows))
    out = np.zeros((len(rows), length), np.int32)
    out[np.arange(length) < sizes[:, None]] = np.fromiter(chain.from_iterable(rows), np.int32, sizes.sum())
    return out


def encode(lines: Sequence[str], vocabulary: Sequence[str], writing: Writing, length: int) -> Tensor:
    """The ids that a model built on this vocabulary takes: (n, length) int64.

    Raises ReparamError for a line that is empty, too long, or has no token of the vocabulary.
    """
    rows = ids(lines, vocabulary, writing)
    for line, row in zip(lines, rows, strict=True):
        if not row:
            raise ReparamError(f"the line {line!r} is empty; give at least one token.")
        if len(row) > length:
            raise ReparamError(f"{line!r} has {len(row)} tokens; the model was built for at most {length}.")
        if all(i == UNKNOWN for i in row):
            raise ReparamError(
                f"none of the {len(row)} tokens of {line!r} is among the {len(vocabulary):,} that the model "
                "knows; is it text of another language, or cut in other units?"
            )
    return torch.from_numpy(padded(rows, length)).long()


def decode(tokens: Tensor, vocabulary: tuple[str, ...], writing: Writing) -> list[str]:
    """A line for each row of ids (n, length): up to the first end, without pads and begins."""
    lines = []
    for row in tokens.tolist():
        row = row[: row.index(END)] if END in row else row
        lines.append(writing.join([vocabulary[i] for i in row if i not in (PAD, BEGIN)]))
    return lines


def side(about: Any, other: bool) -> tuple[tuple[str, ...], Writing]:
    """The vocabulary and writing of one side of data, or of facts about data."""
    vocabulary = about.other_vocabulary if other else about.vocabulary
    writing = about.other_writing if other else about.writing
    if vocabulary is None or writing is None:
        what = "no other side in tokens" if other else f"{about.kind}s and no tokens"
        raise ReparamError(f"{about.name} holds {what}, so that no text can be made of it.")
    return vocabulary, writing


def learn(
    lines: Sequence[str], writing: Writing, min_count: int, size: int | None, where: str
) -> tuple[tuple[str, ...], Writing]:
    """The vocabulary of training lines: the specials, then every token in order; and how to write with it.

    The `size` most frequent tokens among those that occur `min_count` times, specials included. A BPE
    vocabulary is learned, and stays in the order of its merges.
    """
    if size is not None and size <= len(SPECIALS):
        raise ReparamError(f"vocabulary_size={size}: {len(SPECIALS)} entries are specials; ask for more.")
    if writing.units == "bpe":
        return _learn_bpe(lines, writing, min_count, size or BPE_SIZE)
    counts = Counter(chain.from_iterable(writing.cut(lines)))
    found = [token for token, n in counts.items() if n >= min_count and token not in SPECIALS]
    if not found:
        raise ReparamError(f"{where}: no token occurs min_count={min_count} times; lower it.")
    if size is not None:
        found = sorted(found, key=lambda token: (-counts[token], token))[: size - len(SPECIALS)]
    return (*SPECIALS, *sorted(found)), writing


# Readers


def from_txt(path: Path) -> Raw:
    """UTF-8, one example a line."""
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise ReparamError(f"{path} cannot be read as UTF-8 ({error}); save it again.") from error
    return _raw(path, lines[:-1] if lines[-1] == "" else lines)


def from_jsonl(path: Path) -> Raw:
    """One JSON object a line, the text in its field `text`; a field `label` in all of them is the label."""
    found = []
    try:
        content = path.read_text(encoding="utf-8-sig").rstrip("\n").split("\n")
    except UnicodeDecodeError as error:
        raise ReparamError(f"{path} cannot be read as UTF-8 ({error}); save it again.") from error
    for number, line in enumerate(content, 1):
        try:
            found.append(json.loads(line))
        except ValueError as error:
            raise ReparamError(f"{path}, line {number}: no JSON ({error}); correct or drop it.") from None
        if not isinstance(found[-1], dict) or not isinstance(found[-1].get("text"), str):
            raise ReparamError(f"{path}, line {number}: it needs an object with a string `text`.")
    labels = [each.get("label") for each in found]
    y = np.array(labels) if all(label is not None for label in labels) else None
    return _raw(path, [each["text"] for each in found], y)


def as_lines(texts: Iterable[Any]) -> np.ndarray:
    """(n,) object array of strings without line breaks and outer spaces; what is missing is empty."""
    lines = ["" if text is None else " ".join(str(text).split()) for text in texts]
    return np.array(lines, dtype=object)


def _raw(path: Path, lines: Sequence[str], y: np.ndarray | None = None) -> Raw:
    if not lines or lines == [""]:
        raise ReparamError(f"{path} is empty; it needs one example a line.")
    return Raw(path.stem, str(path), {"train": Part(as_lines(lines), y)})


def aligned(raw: Raw, other: Raw) -> Raw:
    """Two texts whose rows say the same as one. Raises ReparamError if they are not equally many."""
    for r in (raw, other):
        if r.parts["train"].x.ndim != 1:
            raise ReparamError(f"{r.where} is no text; aligned rows are those of two texts.")
    if raw.parts.keys() != other.parts.keys():
        raise ReparamError(
            f"{raw.where} has the splits {', '.join(raw.parts)} and {other.where} {', '.join(other.parts)}; "
            "aligned texts are split alike."
        )
    for split, part in raw.parts.items():
        if len(part.x) != len(there := other.parts[split].x):
            raise ReparamError(
                f"{raw.where} has {len(part.x):,} lines and {other.where} {len(there):,}; in aligned files "
                "line i of both says the same, so they must be equally many."
            )
        raw.parts[split] = part._replace(other=there)
    raw.domains, raw.other_where, raw.other_lines = (raw.name, other.name), other.where, other.lines
    raw.name = f"{raw.name} → {other.name}"
    return raw


def without_empty(raw: Raw, skip_bad: bool) -> None:
    """Drops the rows with an empty line, in place, or raises ReparamError that names file and line."""
    for split, part in raw.parts.items():
        sides = [(part.x, raw.where, raw.lines)]
        sides += [] if part.other is None else [(part.other, raw.other_where, raw.other_lines)]
        good = np.ones(len(part.x), bool)
        for lines, where, numbers in sides:
            empty = np.fromiter((not line for line in lines), bool, len(lines))
            if empty.any() and not skip_bad:
                first = int(empty.argmax())
                raise ReparamError(
                    f"{where}, line {numbers[first] if numbers else first + 1}: it is empty; fill it in, or "
                    "leave such lines out with --skip-bad (in Python, skip_bad=True)."
                )
            good &= ~empty
        if not good.all():
            raw.parts[split] = Part(*(None if a is None else a[good] for a in part))  # pyright: ignore[reportArgumentType]


def check_known(rows: Mapping[str, list[list[int]]], lines: Mapping[str, np.ndarray], where: str) -> None:
    """Raises ReparamError where more than half of the tokens of all splits are not in the vocabulary."""
    every = [pair for name in rows for pair in zip(rows[name], lines[name], strict=True)]
    strange, total = sum(row.count(UNKNOWN) for row, _ in every), sum(len(row) for row, _ in every)
    if 2 * strange > total:
        line = next(line for row, line in every if UNKNOWN in row)
        raise ReparamError(
            f"{where}: {strange:,} of {total:,} tokens are not in the run's vocabulary, as in {line!r}; is "
            "it text of another language, or cut in other units?"
        )


def check_options(units: str | None, length: int | None, min_count: int) -> None:
    """Raises ReparamError for options of `load` that no text can have."""
    if units is not None and units not in get_args(Units):
        raise unknown("units", units, get_args(Units))
    for name, value in (("length", length), ("min_count", min_count)):
        if value is not None and value < 1:
            raise ReparamError(f"{name}={value}: it must be at least 1.")


# BPE, by the library `tokenizers`


@cache
def _tokenizer(content: str) -> Any:
    return _library().Tokenizer.from_str(content)


def _library() -> Any:
    try:
        import tokenizers  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ReparamError('units="bpe" needs the package tokenizers: pip install "reparam[text]"') from error
    return tokenizers


def _learn_bpe(
    lines: Sequence[str], writing: Writing, min_count: int, size: int
) -> tuple[tuple[str, ...], Writing]:
    library = _library()
    tokenizer = library.Tokenizer(library.models.BPE(unk_token=SPECIALS[UNKNOWN]))
    tokenizer.pre_tokenizer = library.pre_tokenizers.Metaspace()
    tokenizer.decoder = library.decoders.Metaspace()
    trainer = library.trainers.BpeTrainer(
        vocab_size=size, min_frequency=min_count, special_tokens=list(SPECIALS), show_progress=False
    )
    prepared = [line.lower() for line in lines] if writing.lower else lines
    tokenizer.train_from_iterator(prepared, trainer)
    numbers = tokenizer.get_vocab()
    vocabulary = tuple(sorted(numbers, key=numbers.__getitem__))
    return vocabulary, replace(writing, bpe=tokenizer.to_str())
