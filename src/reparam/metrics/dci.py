"""Disentanglement, completeness, informativeness: Eastwood & Williams 2018, section 2."""

from collections.abc import Callable
from typing import Any

import numpy as np

from reparam.errors import ReparamError
from reparam.metrics.arrays import Array
from reparam.metrics.bootstrap import interval, mean, resampled
from reparam.metrics.factors import Factors, listed, split
from reparam.metrics.measure import Measure

Predictor = tuple[str, Callable[[int], Any]]
"""The words for a classifier, and seed → one with `fit`, `predict` and `feature_importances_`."""


def _ensemble() -> Any:
    try:
        import sklearn.ensemble
    except ImportError as missing:
        raise ReparamError('dci needs scikit-learn: pip install "reparam[measures]".') from missing
    return sklearn.ensemble


def _forest(seed: int) -> Any:
    # All dimensions at every split: a choice among a random few would give importance to those that know
    # nothing. Leaves of 5: grown to the last example a tree splits on noise.
    return _ensemble().RandomForestClassifier(
        n_estimators=20, max_features=None, min_samples_leaf=5, random_state=seed
    )


FOREST: Predictor = ("random forests (20 trees, leaves of 5 and more)", _forest)
BOOSTED: Predictor = (
    "gradient-boosted trees (scikit-learn's defaults)",
    lambda seed: _ensemble().GradientBoostingClassifier(random_state=seed),
)


def concentration(importance: np.ndarray) -> float:
    """Mean over rows of 1 − entropy of the row over its largest value, rows weighted by their sums: → [0, 1].

    Of importances (d, factors), not negative: the disentanglement; of their transpose: the completeness.
    """
    sums = importance.sum(1)
    if sums.sum() == 0:
        return 0.0
    p = importance / np.where(sums > 0, sums, 1)[:, None]
    entropy = -(p * np.log(np.where(p > 0, p, 1))).sum(1) / np.log(importance.shape[1])
    return float(((1 - entropy) * sums).sum() / sums.sum())


def dci(
    train: Array,
    train_factors: Factors,
    test: Array,
    test_factors: Factors,
    *,
    predictor: Predictor = FOREST,
    seed: int = 0,
) -> dict[str, Measure]:
    """Three measures of codes (n, d), (m, d) with factors (n,), (m,) each, by one predictor a factor.

    Disentanglement: does a dimension tell of one factor alone? Completeness: is a factor told by one
    dimension alone? Informativeness: accuracy of the predictors on the test codes, mean over factors; chance
    is not 0. `FOREST` is what the authors take where codes are not linear in the factors, `BOOSTED` what
    Locatello et al. 2019 take (minutes for factors of 40 values). The first two have no interval: every
    resample would need its predictors fitted anew. Raises ReparamError if codes and factors do not match, or
    scikit-learn is missing.
    """
    x, y, z, t = split(train, train_factors, test, test_factors)
    importance, right = np.zeros((x.shape[1], len(y))), np.zeros((len(z), len(y)))
    for j, name in enumerate(y):
        model = predictor[1](seed).fit(x, y[name])
        importance[:, j] = model.feature_importances_
        right[:, j] = model.predict(z) == t[name]
    how = (
        f"{{}} of {x.shape[1]} code dimensions and {len(y)} factors, {predictor[0]}, seed {seed}, fitted to "
        f"{len(x)} codes{{}}."
    )
    accuracies = listed(dict(zip(y, right.mean(0).tolist(), strict=True)))
    tested = f", accuracy on {len(z)} others: {accuracies}; {resampled(seed)}"
    low, high = interval(mean, right.mean(1), seed=seed)
    return {
        "disentanglement": Measure(
            concentration(importance),
            None,
            None,
            len(x),
            "share",
            "higher",
            how.format("Disentanglement", ""),
        ),
        "completeness": Measure(
            concentration(importance.T), None, None, len(x), "share", "higher", how.format("Completeness", "")
        ),
        "informativeness": Measure(
            float(right.mean()), low, high, len(z), "share", "higher", how.format("Informativeness", tested)
        ),
    }
