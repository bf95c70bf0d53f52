"""Pairs of sentences in two made-up languages, whose word alignments are known."""

import numpy as np

from reparam.data.raw import Part, Raw

NOUNS, VERBS, LONGEST = 24, 8, 10  # words of the first language of either sort, and words in a sentence


def reorder() -> Raw:
    """Each word has one translation; nouns keep their order, and verbs go to the end, the last one first.

    No word stands twice in a sentence, so that its one possible alignment can be read off: `links`.
    """
    draw = np.random.Generator(np.random.PCG64(0))
    words = [f"n{i}" for i in range(NOUNS)] + [f"v{i}" for i in range(VERBS)]
    x, other = [], []
    for _ in range(10_000):
        line = [words[i] for i in draw.permutation(len(words))[: draw.integers(3, LONGEST + 1)]]
        x.append(" ".join(line))
        other.append(" ".join(translation(line)))
    x, other = np.array(x, dtype=object), np.array(other, dtype=object)
    rows = {"train": slice(0, 8000), "validation": slice(8000, 9000), "test": slice(9000, None)}
    parts = {split: Part(x[part], None, other[part]) for split, part in rows.items()}
    return Raw("reorder", "reorder", parts, domains=("one", "two"), other_where="reorder")


def translation(line: list[str]) -> list[str]:
    """The words of a sentence in the second language, in its order."""
    nouns, verbs = ([word for word in line if word[0] == sort] for sort in "nv")
    return [word.upper() for word in nouns + verbs[::-1]]


def links(line: list[str], other: list[str]) -> set[tuple[int, int]]:
    """The alignment of a pair: (place in the sentence, place in its translation)."""
    return {(line.index(word.lower()), place) for place, word in enumerate(other)}
