"""Rate and distortion, the two parts of the negative ELBO: Alemi et al. 2018 (arXiv:1711.00464)."""

import math

from torch import Tensor

from reparam.errors import ReparamError
from reparam.metrics.arrays import Array, vector
from reparam.metrics.bootstrap import interval, mean, resampled
from reparam.metrics.measure import Measure


def rate_distortion(
    rate: Array, distortion: Array, *, d: int, draws: int, seed: int = 0
) -> dict[str, Measure]:
    """Means over n examples of KL(q(z|x) ‖ p(z)) and of E_q[−log p(x|z)], each (n,) in nats.

    Args:
        rate: nats, 0 where the posterior has collapsed.
        distortion: nats; of a density it may be negative.
        d: dimensions of an example, for `rate_bits` and `distortion_bits` in bits/dim.
        draws: of z behind each distortion, for the statement.
        seed: of the bootstrap over the examples.

    Raises ReparamError for other shapes, a rate below 0, or d or draws below 1.
    """
    r, e = vector(rate, "rates"), vector(distortion, "distortions")
    if len(r) != len(e):
        raise ReparamError(
            f"rate_distortion: {len(r)} rates and {len(e)} distortions; expected one of each an example."
        )
    if d < 1 or draws < 1:
        raise ReparamError(f"rate_distortion: d is {d} and draws {draws}, expected at least 1.")
    if float(r.min()) < -1e-3:
        raise ReparamError(f"rates: the least is {float(r.min()):.3g} nats; a divergence is never below 0.")
    found = {}
    for name, values, how in (
        ("rate", r, "KL(q(z|x) ‖ p(z))"),
        ("distortion", e, f"−log p(x|z), {draws} draw{'s' if draws > 1 else ''} of z"),
    ):
        found[name] = _mean(values, "nats", how, seed)
        found[f"{name}_bits"] = _mean(values / (d * math.log(2)), "bits/dim", how, seed)
    return found


def _mean(values: Tensor, unit: str, how: str, seed: int) -> Measure:
    how = f"{how}, mean of {len(values)} examples; {resampled(seed)}."
    return Measure(values.mean().item(), *interval(mean, values, seed=seed), len(values), unit, "lower", how)
