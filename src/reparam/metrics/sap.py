"""Separated attribute predictability: Kumar et al. 2018, section 3."""

from collections.abc import Collection
from typing import Any

import numpy as np

from reparam.errors import ReparamError, unknown
from reparam.metrics.arrays import Array
from reparam.metrics.bootstrap import TIMES, recentred, resampled, weights
from reparam.metrics.factors import Factors, listed, split
from reparam.metrics.measure import Measure


def _classifier() -> Any:
    try:
        from sklearn.svm import LinearSVC
    except ImportError as missing:
        raise ReparamError('sap needs scikit-learn: pip install "reparam[measures]".') from missing
    return LinearSVC(C=0.01, class_weight="balanced", random_state=0)


def sap(
    train: Array,
    train_factors: Factors,
    test: Array,
    test_factors: Factors,
    *,
    ordered: Collection[str] = (),
    seed: int = 0,
) -> Measure:
    """Mean over factors of the best dimension's score less the second best's: codes (n, d), (m, d).

    The score of one code dimension for a factor is the test accuracy of a linear support vector machine (C =
    0.01, balanced classes, as Locatello et al. 2019 set it); for factors named in `ordered` it is the squared
    correlation over the test codes, as the authors take for continuous factors. Machines of one dimension
    find the middle values of a factor with many hardly at all: name such factors in `ordered`. Raises
    ReparamError if codes and factors do not match, or scikit-learn is missing.
    """
    x, y, z, t = split(train, train_factors, test, test_factors)
    if strange := [name for name in ordered if name not in train_factors]:
        raise unknown("factor", strange[0], train_factors)
    w = weights(len(z), seed=seed).numpy() / len(z)
    scores, draws = {}, np.zeros(TIMES)
    for name, values in y.items():
        if name in ordered:
            ones = np.ones((1, len(z))) / len(z)
            value, redrawn = (_squared_correlation(z, t[name].astype(float), v) for v in (ones, w))
        else:
            right = np.stack([_accuracies(x[:, i], values, z[:, i], t[name]) for i in range(x.shape[1])], 1)
            value, redrawn = right.mean(0, keepdims=True), w @ right
        second, first = np.sort(value[0])[-2:]
        scores[name] = float(first - second)
        ranked = np.sort(redrawn, axis=1)
        draws += (ranked[:, -1] - ranked[:, -2]) / len(y)
    squared = f", squared correlation for {', '.join(n for n in y if n in ordered)}" if ordered else ""
    how = (
        f"Gap between the two best dimensions of {x.shape[1]} in telling each factor, accuracy of linear "
        f"support vector machines{squared}, fitted to {len(x)} codes, on {len(z)} others; {listed(scores)}; "
        f"{resampled(seed)}, recentred."
    )
    value = float(np.mean(list(scores.values())))
    return Measure(value, *recentred(draws, value, 0, 1), len(z), "share", "higher", how)


def _accuracies(x: np.ndarray, y: np.ndarray, z: np.ndarray, t: np.ndarray) -> np.ndarray:
    return (_classifier().fit(x[:, None], y).predict(z[:, None]) == t).astype(float)


def _squared_correlation(z: np.ndarray, t: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Of codes (m, d) and values (m,) under weights (r, m) that sum to 1: (r, d); 0 of a constant."""
    z, t = z - z.mean(0), t - t.mean()
    mean_z, mean_t = w @ z, (w @ t)[:, None]
    shared = w @ (z * t[:, None]) - mean_z * mean_t
    spread = (w @ z**2 - mean_z**2) * ((w @ t**2)[:, None] - mean_t**2)
    return np.where(spread > 1e-24, shared**2 / np.where(spread > 1e-24, spread, 1), 0)
