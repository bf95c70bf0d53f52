"""Perplexity from bounds on log p(x) of sentences: exp of the nats that a token costs."""

import math

import numpy as np

from reparam.errors import ReparamError
from reparam.metrics.arrays import Array, vector
from reparam.metrics.bootstrap import pooled, resampled
from reparam.metrics.measure import Measure


def perplexity(bounds: Array, tokens: Array, *, draws: int, end: bool, seed: int = 0) -> Measure:
    """exp(−Σ bounds / Σ tokens), of bounds (n,) in nats and token counts (n,), at least 1, of n sentences.

    `bounds` are those of `importance_weighted` with K = `draws`; as they are lower bounds, this is an upper
    bound of the perplexity, and falls with K: two models compare only at one K and one tokeniser. `end` says
    whether `tokens` count the end token. Its cost is in the bound either way, so leaving it out of the count
    gives a larger number, and the two are not to be set side by side. Sentences weigh by their length (nats
    over all tokens, not the mean of sentences' perplexities); the interval resamples sentences. Raises
    ReparamError on other shapes, counts below 1, or bounds whose mean is above 0.
    """
    nats, counts = vector(bounds, "bounds"), vector(tokens, "token counts")
    if nats.shape != counts.shape:
        raise ReparamError(f"perplexity: bounds of {len(nats)} sentences and token counts of {len(counts)}.")
    if counts.min() < 1 or (counts != counts.round()).any():
        raise ReparamError("perplexity: token counts must be whole numbers of at least 1.")
    if nats.sum() > 0:
        raise ReparamError(
            f"perplexity: the bounds' mean is {nats.mean():.4g} nats, but log p(x) of a text is not above 0; "
            "were negative bounds (a loss) given?"
        )
    value = math.exp(-(nats.sum() / counts.sum()).item())
    low, high = np.exp(pooled(-nats, counts, seed=seed))
    how = (
        f"Perplexity per token, the end token {'counted' if end else 'not counted'}, from the "
        f"importance-weighted bound with K = {draws}, {len(nats)} sentences of {int(counts.sum())} tokens; "
        f"{resampled(seed)}."
    )
    return Measure(value, float(low), float(high), len(nats), "perplexity", "lower", how)
