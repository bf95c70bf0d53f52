"""β-VAE score: can a linear map tell which factor pairs of examples share? Higgins et al. 2017, section 3."""

from dataclasses import replace

import numpy as np

from reparam.metrics.arrays import Array
from reparam.metrics.factors import Factors, alike, beside
from reparam.metrics.measure import Measure
from reparam.metrics.probes import probe_accuracy

CHUNK = 500  # differences whose examples are held at once


def beta_vae_score(
    codes: Array,
    factors: Factors,
    *,
    points: tuple[int, int] = (10_000, 5_000),
    batch: int = 64,
    seed: int = 0,
) -> Measure:
    """Accuracy of a linear classifier: codes (n, d), factors (n,) each; numbers of Locatello et al. 2019.

    A point is the mean over `batch` pairs of |z − z′|, where the two of each pair share the value of one
    factor (drawn with replacement from the examples given); the class is the factor. Rotated codes can score
    well: the score asks for less than the others. Chance is 1 / number of factors. The interval is over
    points, so over the draws, not the examples. Raises ReparamError on other shapes, fewer than 2 dimensions
    or 2 varying factors.
    """
    x, known = beside(codes, factors)
    rng = np.random.default_rng(seed)
    shared = rng.integers(len(known), size=sum(points))
    differences = np.zeros((len(shared), x.shape[1]))
    for j, values in enumerate(known.values()):
        mine = np.flatnonzero(shared == j)
        for part in np.split(mine, range(CHUNK, len(mine), CHUNK)):
            rows = rng.integers(len(x), size=(len(part), batch))
            differences[part] = np.abs(x[rows] - x[alike(values, rows, rng)]).mean(1)
    n = points[0]
    found = probe_accuracy(differences[:n], shared[:n], differences[n:], shared[n:], seed=seed)
    how = (
        f"Which of {', '.join(known)} the pairs of a point share, mean |z − z′| of {batch} pairs each from "
        f"{len(x)} codes: {found.how[0].lower()}{found.how[1:]}"
    )
    return replace(found, n=len(x), how=how)
