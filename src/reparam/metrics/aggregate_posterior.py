"""The rate in two: what codes say of their example, and how far all codes lie from the prior.

Hoffman & Johnson 2016, ELBO surgery: mean KL(q(z|x) ‖ p(z)) = I(x; z) + KL(q(z) ‖ p(z)), q(z) the mixture of
the posteriors of all points.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from reparam.distributions import LOG_2PI
from reparam.errors import ReparamError
from reparam.metrics.arrays import Array, two
from reparam.metrics.bootstrap import interval, mean, resampled
from reparam.metrics.measure import Measure

BLOCK = 512  # rows of the pairwise densities held at once


def standard_normal(z: Tensor) -> Tensor:
    """log N(z; 0, I) in nats: (n, d) → (n,)."""
    return -0.5 * (z.square() + LOG_2PI).sum(1)


def log_mixture(z: Tensor, means: Tensor, log_stds: Tensor) -> Tensor:
    """log (1/n) Σⱼ N(z; meanⱼ, stdⱼ²) in nats: (m, d), (n, d), (n, d) → (m,)."""
    # Densities do not change with the origin, cancellation in the expanded square does.
    centre = means.mean(0)
    z, means = z - centre, means - centre
    precision = torch.exp(-2 * log_stds)
    linear, square = means * precision, (means.square() * precision).sum(1)
    constant = log_stds.sum(1) + 0.5 * (square + z.shape[1] * LOG_2PI)
    parts = [
        (part @ linear.T - 0.5 * part.square() @ precision.T - constant).logsumexp(1)
        for part in z.split(BLOCK)
    ]
    return torch.cat(parts) - math.log(len(means))


def aggregate_posterior(
    means: Array,
    log_stds: Array,
    *,
    log_prior: Callable[[Tensor], Tensor] = standard_normal,
    draws: int = 4,
    of: str = "the given points",
    seed: int = 0,
) -> dict[str, Measure]:
    """I(x; z) and KL(q(z) ‖ p(z)) in nats, of diagonal Gaussian posteriors: (n, d) twice.

    Monte Carlo with `draws` codes of each point; q(z) is the mixture of the posteriors of all n points, the
    point's own included. Hence I(x; z) is at most log n, whatever the truth, and beyond that the rate is put
    down to KL(q(z) ‖ p(z)): of codes that tell all points apart, neither is known. The intervals are over
    the points, the mixture held fixed. Raises ReparamError on other shapes or draws below 1.
    """
    m, s = two(means, log_stds, ("posterior means", "posterior log deviations"))
    if draws < 1:
        raise ReparamError(f"aggregate_posterior: draws is {draws}, expected at least 1.")
    generator = torch.Generator().manual_seed(seed)
    n, own, mixed, prior = len(m), m.new_zeros(len(m)), m.new_zeros(len(m)), m.new_zeros(len(m))
    for _ in range(draws):
        eps = torch.randn(m.shape, generator=generator, dtype=m.dtype)
        z = m + torch.exp(s) * eps
        own += (standard_normal(eps) - s.sum(1)) / draws
        mixed += log_mixture(z, m, s) / draws
        prior += log_prior(z) / draws
    how = (
        f"{{}} over {of} (n = {n}), {draws} codes drawn of each, q(z) the mixture of all n posteriors{{}}; "
        f"{resampled(seed)}, the mixture held fixed."
    )
    cap = f", so at most log n = {math.log(n):.2f} nats"
    if (own - mixed).mean() > 0.95 * math.log(n):
        cap += ", which it has reached: the truth may be larger"
    return {
        "mutual_information": Measure(
            (own - mixed).mean().item(),
            *interval(mean, own - mixed, seed=seed),
            n,
            "nats",
            "higher",
            how.format("Mutual information of data and codes", cap),
        ),
        "aggregate_kl": Measure(
            (mixed - prior).mean().item(),
            *interval(mean, mixed - prior, seed=seed),
            n,
            "nats",
            "lower",
            how.format("KL(q(z) ‖ p(z))", ""),
        ),
    }
