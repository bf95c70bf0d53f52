"""KL(q(zⱼ|x) ‖ N(0, 1)) of each latent dimension: what it carries, whatever the scale of its mean."""

import torch
from torch import Tensor

from reparam.metrics.arrays import Array, two
from reparam.metrics.bootstrap import percentiles, resampled, weights
from reparam.metrics.measure import Measure

LISTED = 16  # dimensions whose KL is written out, the largest first


def per_dimension(means: Array, log_stds: Array) -> Tensor:
    """KL to N(0, 1) in nats of diagonal Gaussians, (n, d) twice → (n, d); Kingma & Welling 2014, app. B."""
    m, s = two(means, log_stds, ("posterior means", "posterior log deviations"))
    return 0.5 * (m.square() + torch.exp(2 * s) - 1 - 2 * s)


def dimension_kl(
    means: Array, log_stds: Array, *, threshold: float = 0.01, of: str = "the given points", seed: int = 0
) -> Measure:
    """Latent dimensions whose mean KL is above `threshold` nats: means and log deviations (n, d).

    `how` lists the KL of the largest. A dimension of moving mean and tiny deviation counts here as it does
    among the active units; one of fixed mean and wrong deviation counts here alone. Raises ReparamError on
    other shapes.
    """
    kl = per_dimension(means, log_stds)
    redrawn = weights(len(kl), seed=seed) @ kl / len(kl) > threshold
    low, high = percentiles(redrawn.double().sum(1).numpy())
    of_each = kl.mean(0).sort(descending=True).values
    listed = ", ".join(f"{v:.2g}" for v in of_each[:LISTED].tolist())
    how = (
        f"Latent dimensions of {kl.shape[1]} whose KL(q(z|x) ‖ N(0, 1)), mean over {of} (n = {len(kl)}), "
        f"is above {threshold:g} nats; together {of_each.sum():.4g} nats, the largest: {listed}; "
        f"{resampled(seed)}."
    )
    return Measure(float((of_each > threshold).sum()), low, high, len(kl), "units", "higher", how)
