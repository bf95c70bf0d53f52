"""Active units: latent dimensions whose posterior mean moves with the data (Burda et al. 2016, section 5)."""

from reparam.metrics.arrays import Array, vectors
from reparam.metrics.bootstrap import percentiles, resampled, weights
from reparam.metrics.measure import Measure


def active_units(
    means: Array, *, threshold: float = 0.01, of: str = "the given points", seed: int = 0
) -> Measure:
    """Latent dimensions whose posterior mean varies by more than `threshold` over the points: means (n, d).

    `of` names the points, for the statement. Raises ReparamError on other shapes.
    """
    x = vectors(means, "posterior means")
    x = x - x.mean(0)  # before squaring: E[x²] − E[x]² would cancel for means far from 0
    w = weights(len(x), seed=seed) / len(x)
    redrawn = (w @ x.square() - (w @ x).square()) > threshold
    low, high = percentiles(redrawn.double().sum(1).numpy())
    how = (
        f"Latent dimensions of {x.shape[1]} whose posterior mean has a variance above {threshold:g} "
        f"over {of} (n = {len(x)}); {resampled(seed)}."
    )
    value = float((x.var(0, correction=0) > threshold).sum())
    return Measure(value, low, high, len(x), "units", "higher", how)
