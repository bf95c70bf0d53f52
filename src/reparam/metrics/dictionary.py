"""Precision@k of an induced bilingual dictionary: a listed word among the first k (Lample et al. 2018)."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from reparam.errors import ReparamError
from reparam.metrics.bootstrap import resampled, share
from reparam.metrics.measure import Measure


def read_dictionary(path: str | Path) -> dict[str, set[str]]:
    """Word → its translations, of a table with one `word<TAB>translation` a line (UTF-8).

    Raises ReparamError that names the line where there are not two columns.
    """
    listed: dict[str, set[str]] = {}
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            columns = line.rstrip("\n").split("\t")
            if len(columns) != 2 or not all(columns):
                raise ReparamError(f"{path}, line {number}: expected word<TAB>translation, got {line!r}.")
            listed.setdefault(columns[0], set()).add(columns[1])
    return listed


def precision(
    induced: Mapping[str, Sequence[str]],
    listed: Mapping[str, Collection[str]],
    *,
    ks: Sequence[int] = (1, 5, 10),
    seed: int = 0,
) -> dict[str, Measure]:
    """`precision@k` for each k: share of words with a listed translation among their first k candidates.

    `induced`: word → candidates, best first; `listed`: word → translations, any of which counts. Words that
    are not listed cannot be judged and are left out; `how` says how many. Fewer than k candidates, or none,
    are a miss where none of them is listed. Words are compared as they are written: fold case in both, or in
    neither. The interval resamples words. Raises ReparamError if no word is listed, candidates are a
    string, or k is below 1.
    """
    if not ks or min(ks) < 1:
        raise ReparamError(f"precision: ks are {list(ks)}, expected numbers of at least 1.")
    words = [w for w in induced if w in listed]
    if not words:
        raise ReparamError(
            f"precision: none of {len(induced)} induced words is among {len(listed)} listed ones; are both "
            "in one language and one case?"
        )
    if isinstance(induced[words[0]], str):
        raise ReparamError("precision: candidates are a string, expected a list, best first.")
    # The place of the first candidate that is listed; infinity where none is.
    places = np.array(
        [next((i for i, c in enumerate(induced[w]) if c in listed[w]), np.inf) for w in words], float
    )
    result = {}
    for k in ks:
        right = (places < k).astype(float)
        how = (
            f"Precision@{k} of {len(words)} words, any listed translation counts; {len(words)} of "
            f"{len(induced)} induced words are listed, the others left out; {resampled(seed)}."
        )
        result[f"precision@{k}"] = Measure(
            right.mean().item(), *share(right, seed=seed), len(words), "share", "higher", how
        )
    return result
