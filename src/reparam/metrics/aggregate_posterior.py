"""The rate in two: what codes say of their example, and how far all codes lie from the prior.

Hoffman & Johnson 2016, ELBO surgery: mean KL(q(z|x) ‖ p(z)) = I(x; z) + KL(q(z) ‖ p(z)), q(z) the mixture of
the posteriors of all points.
"""

import math

import torch
from torch import Tensor

from reparam.distributions import LOG_2PI
from reparam.errors import ReparamError
from reparam.metrics.arrays import Array, two
from reparam.metrics.bootstrap import interval, mean, resampled
from reparam.metrics.measure import Measure

BLOCK = 512  # rows of the pairwise densities held at once
NEAR = 3.0  # nats below log n; farther off, the estimate for Gaussian channels is at most 0.4 nats too low


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


def moments_kl(means: Tensor, log_stds: Tensor) -> float:
    """KL to N(0, I), in nats, of the Gaussian with the mean and covariance of all codes: (n, d) twice.

    No law of these moments is nearer to the prior: the Gaussian has the largest entropy. The bias of the
    logarithm of a sampled determinant, at most d (d + 1) / 4n, is taken off.
    """
    centre, (n, d) = means.mean(0), means.shape
    spread = (means - centre).T @ (means - centre) / n + torch.exp(2 * log_stds).mean(0).diag()
    kl = 0.5 * (spread.trace() + centre.square().sum() - d - spread.logdet()).item()
    return max(kl - d * (d + 1) / (4 * n), 0.0)


def aggregate_posterior(
    means: Array, log_stds: Array, *, draws: int = 4, of: str = "the given points", seed: int = 0
) -> dict[str, Measure]:
    """I(x; z) and KL(q(z) ‖ p(z)) in nats, of diagonal Gaussian posteriors, (n, d) twice; p(z) = N(0, I).

    Monte Carlo with `draws` codes of each point; q(z) is the mixture of the posteriors of all n points, the
    point's own included. So I(x; z) is at most log n, whatever the truth, and what the rate has beyond that
    is put down to KL(q(z) ‖ p(z)). Within `NEAR` nats of log n the two are a lower and an upper bound and no
    more: they then have no interval, and `how` brackets them from the other side by `moments_kl`. Intervals
    are over the points, the mixture held fixed. Raises ReparamError on other shapes or draws below 1.
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
        prior += standard_normal(z) / draws
    information, divergence, most = own - mixed, mixed - prior, math.log(n)
    how = f"over {of} (n = {n}), {draws} codes drawn of each, q(z) the mixture of all n posteriors"
    cap = f"so at most log n = {most:.2f} nats"
    if information.mean() > most - NEAR:
        least = moments_kl(m, s)
        largest = (own - prior).mean().item() - least
        return {
            "mutual_information": Measure(
                information.mean().item(), None, None, n, "nats", "higher",
                f"Mutual information of data and codes {how}, {cap}, and near it: a lower bound; by "
                f"the mean and covariance of all codes it is at most {largest:.4g} nats.",
            ),
            "aggregate_kl": Measure(
                divergence.mean().item(), None, None, n, "nats", "lower",
                f"KL(q(z) ‖ N(0, I)) {how}: an upper bound, for the n posteriors hardly overlap; by the mean "
                f"and covariance of all codes it is at least {least:.4g} nats.",
            ),
        }  # fmt: skip
    over = f"{resampled(seed)}, the mixture held fixed."
    return {
        "mutual_information": Measure(
            information.mean().item(), *interval(mean, information, seed=seed), n, "nats", "higher",
            f"Mutual information of data and codes {how}, {cap}; {over}",
        ),
        "aggregate_kl": Measure(
            divergence.mean().item(), *interval(mean, divergence, seed=seed), n, "nats", "lower",
            f"KL(q(z) ‖ N(0, I)) {how}; {over}",
        ),
    }  # fmt: skip
