"""Errors of ratings: root mean square and mean absolute, over the ratings of users."""

import numpy as np

from reparam.errors import ReparamError
from reparam.metrics.arrays import Array, vector
from reparam.metrics.bootstrap import pooled, resampled
from reparam.metrics.measure import Measure


def rating_error(predicted: Array, given: Array, users: Array, *, seed: int = 0) -> dict[str, Measure]:
    """`rmse` and `mae` of predicted ratings (m,) against those given (m,), in their units.

    users (m,) are whole numbers that say whose each rating is: the ratings of one user are dependent, so the
    interval resamples users; the means are over ratings. Raises ReparamError on other shapes, no rating, or
    numbers that are not finite.
    """
    p, g, who = vector(predicted, "predicted ratings"), vector(given, "ratings"), np.asarray(users)
    if not len(p) or p.shape != g.shape or who.shape != tuple(p.shape):
        raise ReparamError(f"rating_error: {len(p)} predictions of {len(g)} ratings of {len(who)} users.")
    _, row, counts = np.unique(who, return_inverse=True, return_counts=True)
    missed = (p - g).abs().numpy()
    found = {}
    for key, power, word in (("rmse", 2, "Root of the mean square"), ("mae", 1, "Mean absolute")):
        sums = np.bincount(row, missed**power)
        value, bounds = sums.sum() / counts.sum(), pooled(sums, counts, seed=seed)
        value, low, high = (float(each ** (1 / power)) for each in (value, *bounds))
        how = (
            f"{word} error of {len(p)} held-out ratings of {len(counts)} users, in the data's units; "
            f"{resampled(seed)}."
        )
        found[key] = Measure(value, low, high, len(counts), "ratings", "lower", how)
    return found
