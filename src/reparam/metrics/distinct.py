"""Distinct-n: different n-grams over all n-grams of generated lines (Li et al. 2016, section 5)."""

from collections.abc import Hashable, Sequence

import numpy as np

from reparam.errors import ReparamError
from reparam.metrics.bootstrap import recentred, resampled, weights
from reparam.metrics.measure import Measure

TIMES = 200


def distinct(lines: Sequence[Sequence[Hashable]], *, n: int = 2, seed: int = 0) -> Measure:
    """Different n-grams over n-grams of `lines`, each a sequence of tokens; no n-gram crosses lines.

    A string is a sequence of characters, right for Chinese verse: split it for words. The value falls with
    the number of lines, since n-grams run out: compare as many lines, and quote as many lines of the data
    beside it, for more than the data's is no merit (words at random are the most distinct). The interval
    resamples lines. Raises ReparamError if no line has n tokens.
    """
    if n < 1:
        raise ReparamError(f"distinct: n is {n}, expected at least 1.")
    number: dict[tuple[Hashable, ...], int] = {}
    grams = [
        [number.setdefault(tuple(line[i : i + n]), len(number)) for i in range(len(line) - n + 1)]
        for line in lines
    ]
    counts = np.array([len(g) for g in grams])
    if not counts.sum():
        raise ReparamError(f"distinct: none of {len(lines)} lines has {n} tokens.")
    of_line, gram = (
        np.repeat(np.arange(len(grams)), counts),
        np.concatenate([np.array(g, int) for g in grams]),
    )
    drawn = []
    for w in weights(len(grams), seed=seed, times=TIMES).numpy():
        kept = np.zeros(len(number), bool)
        kept[gram[w[of_line] > 0]] = True
        drawn.append(kept.sum() / max((w * counts).sum(), 1))
    value = len(number) / int(counts.sum())
    how = (
        f"Different {n}-grams over all {int(counts.sum())} of {len(lines)} lines; {resampled(seed, TIMES)}, "
        "recentred, for a resample repeats lines."
    )
    return Measure(value, *recentred(np.array(drawn), value, 0, 1), len(lines), "share", "higher", how)
