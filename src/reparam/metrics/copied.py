"""Copied lines: share of generated lines that stand in the training text."""

import unicodedata
from collections.abc import Iterable, Sequence

import numpy as np

from reparam.errors import ReparamError
from reparam.metrics.bootstrap import resampled, share
from reparam.metrics.measure import Measure


def plain(line: str) -> str:
    """`line` without what does not make it another line: case, width (NFKC), punctuation, white space."""
    folded = unicodedata.normalize("NFKC", line).casefold()
    return "".join(c for c in folded if unicodedata.category(c)[0] not in "PZC")


def copied(lines: Sequence[str], training: Iterable[str], *, seed: int = 0) -> dict[str, Measure]:
    """`copied`: share of `lines` that stand in `training` to the character; `copied_plain`: after `plain`.

    Short or formulaic lines recur by themselves: quote the share of held-out lines beside it, which is what a
    model that copies nothing would show. Raises ReparamError if either text is empty, a string instead of
    lines, or a line has no letter left after `plain`.
    """
    if isinstance(lines, str) or isinstance(training, str):
        raise ReparamError("copied: a string was given, expected lines; split it first.")
    train = set(training)
    if not lines or not train:
        raise ReparamError(f"copied: {len(lines)} lines against {len(train)} different training lines.")
    blank = next((i for i, line in enumerate(lines) if not plain(line)), None)
    if blank is not None:
        raise ReparamError(
            f"copied: line {blank} is {lines[blank]!r}, nothing but punctuation; leave it out."
        )
    loose = {plain(line) for line in train}
    flags = {
        "copied": ([line in train for line in lines], "to the character"),
        "copied_plain": (
            [plain(line) in loose for line in lines],
            "case, width, punctuation and spaces aside",
        ),
    }
    return {
        key: Measure(
            float(np.mean(same)),
            *share(np.array(same, float), seed=seed),
            len(lines),
            "share",
            "lower",
            f"Share of {len(lines)} lines that are one of {len(train)} training lines, {words}; "
            f"{resampled(seed)}.",
        )
        for key, (same, words) in flags.items()
    }
