"""Mutual information gap: is each factor held by one code dimension alone? Chen et al. 2018, eq. 6."""

import numpy as np

from reparam.errors import ReparamError
from reparam.metrics.arrays import Array
from reparam.metrics.bootstrap import recentred, resampled
from reparam.metrics.factors import Factors, beside, listed
from reparam.metrics.measure import Measure

TIMES = 200  # resamples; each counts every table anew


def _entropy(counts: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    p = counts / counts.sum(axes, keepdims=True)
    return -(p * np.log(np.where(p > 0, p, 1))).sum(axes)


def _gap(tables: np.ndarray) -> float:
    """The two largest mutual informations' difference over the entropy: (d, bins, values) counts → one."""
    factor = _entropy(tables[:1].sum(1), (1,))
    shared = _entropy(tables.sum(2), (1,)) + factor - _entropy(tables, (1, 2))
    second, first = np.sort(shared)[-2:]
    return float((first - second) / factor[0]) if factor[0] > 0 else 0.0


def mig(codes: Array, factors: Factors, *, bins: int = 20, seed: int = 0) -> Measure:
    """Mean over factors of (largest − second largest I(zⱼ; v)) / H(v): codes (n, d), factors (n,) each.

    As Locatello et al. 2019 compute it: each code dimension (posterior mean) in `bins` equal intervals from
    its smallest to its largest value, mutual information of counts. It is biased up by about (bins − 1)
    (values − 1) / 2n nats, alike for both of a gap. 1: each factor in a dimension of its own; 0: spread, or
    nowhere. Raises ReparamError on other shapes, fewer than 2 dimensions or 2 varying factors.
    """
    x, known = beside(codes, factors)
    if bins < 2:
        raise ReparamError(f"mig: {bins} bins; expected at least 2.")
    n, d = x.shape
    reach = np.ptp(x, axis=0)
    binned = ((x - x.min(0)) / np.where(reach > 0, reach, 1) * bins).astype(np.int64).clip(max=bins - 1)
    rng = np.random.default_rng(seed)
    resamples = rng.integers(n, size=(TIMES, n))
    scores, draws = {}, np.zeros(TIMES)
    for name, values in known.items():
        v = int(values.max()) + 1
        cells = (np.arange(d) * bins + binned) * v + values[:, None]

        def gap(cells: np.ndarray, v: int = v) -> float:
            return _gap(np.bincount(cells.ravel(), minlength=d * bins * v).reshape(d, bins, v))

        scores[name] = gap(cells)
        draws += [gap(cells[rows]) / len(known) for rows in resamples]
    value = float(np.mean(list(scores.values())))
    how = (
        f"Mutual information gap, {bins} equal bins a dimension, {n} codes of {d} dimensions; "
        f"{listed(scores)}; {resampled(seed, TIMES)}, recentred."
    )
    return Measure(value, *recentred(draws, value, 0, 1), n, "share of entropy", "higher", how)
