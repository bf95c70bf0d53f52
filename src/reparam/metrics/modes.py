"""Modes found and share of good samples on Gaussian toys: rings, grids (Srivastava et al. 2017, VEEGAN)."""

import numpy as np

from reparam.errors import ReparamError
from reparam.metrics.arrays import Array, squared_distances, two
from reparam.metrics.bootstrap import TIMES, percentiles, resampled, share
from reparam.metrics.measure import Measure


def modes(
    samples: Array,
    centres: Array,
    *,
    sigma: float = 0.05,
    within: float = 3.0,
    least: int = 20,
    seed: int = 0,
) -> dict[str, Measure]:
    """Modes covered and share of high quality, of samples (n, d) against mode centres (k, d).

    A sample is of high quality within `within`·σ of its nearest centre; a mode is covered by at least
    `least` such samples. The usual count is n = 10,000; `least` does not scale with n. Raises
    ReparamError on other shapes or a σ that is not positive.
    """
    if sigma <= 0:
        raise ReparamError(f"modes: sigma is {sigma:g}, expected more than 0.")
    x, c = two(samples, centres, ("samples", "centres"), least=1)
    squared, nearest = squared_distances(x, c).min(1)
    good = squared <= (within * sigma) ** 2
    counts = np.bincount(nearest[good].numpy(), minlength=len(c))
    how = (
        f"{{}} of {len(x)} samples over {len(c)} modes, σ = {sigma:g}, within {within:g} σ, "
        f"covered from {least} samples; {resampled(seed)}."
    )
    # Resampling n samples is one multinomial draw of the counts, the bad samples being the last class.
    shares = np.append(counts, len(x) - counts.sum()) / len(x)
    redrawn = np.random.default_rng(seed).multinomial(len(x), shares, size=TIMES)[:, :-1]
    low, high = percentiles((redrawn >= least).sum(1))
    quality = good.double()
    return {
        "modes": Measure(
            float((counts >= least).sum()), low, high, len(x), "modes", "higher", how.format("Modes covered")
        ),
        "quality": Measure(
            quality.mean().item(),
            *share(quality, seed=seed),
            len(x),
            "share",
            "higher",
            how.format("Share near a mode"),
        ),
    }
