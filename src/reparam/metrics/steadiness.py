"""Steadiness: how much of its whole range a logged quantity still swings through at the end of a run."""

from reparam.metrics.arrays import Array, vector
from reparam.metrics.measure import Measure

LEAST = 8


def steadiness(series: Array) -> Measure:
    """Standard deviation of the last quarter of `series` (t,) over the range of all: 0 still, ½ at most.

    `series` holds one value for each window of the run, in order: an objective's mean, or a distance
    measured on the way. The range, not the change from first to last, is the measure of scale: an
    adversarial loss may end where it began, and the ratio would be without bound. Trend counts as swing:
    a run still falling is not steady. For scale: equal swings all along give 0.29 (uniform) to 0.35 (a
    sine). A series that never moves gives 0. It has no interval: the values of one run are not
    independent. Raises ReparamError on fewer than 8 values.
    """
    x = vector(series, "series", least=LEAST)
    last = x[-(len(x) // 4) :]
    reach = x.max() - x.min()
    value = (last.std(correction=0) / reach).item() if reach > 0 else 0.0
    how = (
        f"Standard deviation of the last {len(last)} of {len(x)} logged values over the range of all of them."
    )
    return Measure(value, None, None, len(x), "share of the range", "lower", how)
