"""Alignment error rate of word alignments against sure and possible links (Och & Ney 2003, eq. 21)."""

from collections.abc import Collection, Sequence

import numpy as np

from reparam.errors import ReparamError
from reparam.metrics.bootstrap import pooled, resampled, share
from reparam.metrics.measure import Measure

Links = Collection[tuple[int, int]]
"""Links (source place, target place) of one pair of sentences."""


def _counts(a: Links, s: Links, p: Links, *, pair: int) -> tuple[int, int]:
    """(|A| + |S| − |A ∩ S| − |A ∩ P|, |A| + |S|) of one pair of sentences."""
    try:
        found, sure, possible = ({(int(i), int(j)) for i, j in links} for links in (a, s, p))
    except (TypeError, ValueError) as wrong:
        raise ReparamError(
            f"alignment_error_rate: pair {pair} has a link that is no (source, target): {wrong}."
        ) from wrong
    total = len(found) + len(sure)
    return total - len(found & sure) - len(found & (possible | sure)), total


def alignment_error_rate(
    found: Sequence[Links],
    sure: Sequence[Links],
    possible: Sequence[Links] | None = None,
    *,
    seed: int = 0,
) -> Measure:
    """1 − (|A ∩ S| + |A ∩ P|) / (|A| + |S|), links summed over n pairs of sentences.

    A are the links `found`, S the `sure` ones, P the `possible` ones; every sure link is possible, whether
    `possible` lists it or not, and without `possible` P = S and the rate is 1 − F₁. It is 0 where A holds all
    of S and nothing outside P. The interval resamples pairs of sentences. Raises ReparamError if the
    counts of pairs differ, a link is no pair of places, or nothing is linked at all.
    """
    possible = sure if possible is None else possible
    if not found or not len(found) == len(sure) == len(possible):
        raise ReparamError(
            f"alignment_error_rate: links of {len(found)} pairs of sentences, sure ones of {len(sure)}, "
            f"possible ones of {len(possible)}; expected as many, at least 1."
        )
    rows = [_counts(*links, pair=i) for i, links in enumerate(zip(found, sure, possible, strict=True))]
    missed, linked = np.array([row for row in rows if row[1]] or [(0, 0)], float).T
    if not linked.sum():
        raise ReparamError("alignment_error_rate: no pair of sentences has a link, found or sure.")
    value = missed.sum() / linked.sum()
    # Resamples of nothing but 0 or 1 have no spread, and n pairs do not prove it.
    low, high = share(missed / linked, seed=seed) if value in (0, 1) else pooled(missed, linked, seed=seed)
    how = (
        f"Alignment error rate of {int(sum(map(len, found)))} links over {len(linked)} pairs of sentences, "
        f"{'sure links alone' if possible is sure else 'sure and possible links'}; {resampled(seed)}."
    )
    return Measure(float(value), low, high, len(linked), "share", "lower", how)
