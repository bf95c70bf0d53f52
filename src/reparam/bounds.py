"""What bounds on log p(x) are made of: draws of q(z|x), joint densities and importance weights.

k draws an example (n, k, latent), values in nats; the prior is N(0, I) unless another is given.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reparam.distributions import (
    LOG_2PI,
    Bernoulli,
    Distribution,
    Gaussian,
    Independent,
    Posterior,
    Prior,
    StandardNormal,
    total,
)
from reparam.errors import ReparamError

NORMAL = StandardNormal()


def at_least_one(draws: int) -> int:
    """The number of draws. Raises ReparamError below 1: a bound needs one."""
    if draws < 1:
        raise ReparamError(f"draws={draws}: a bound on the likelihood needs at least one draw an example.")
    return draws


def draw(q: Gaussian, eps: Tensor) -> Tensor:
    """z = mean + std · eps, k draws an example: eps (n, k, latent) → (n, k, latent)."""
    return q.mean[:, None] + torch.exp(q.log_std)[:, None] * eps


def log_likelihood(decoder: nn.Module, x: Tensor, z: Tensor) -> Tensor:
    """log p(x|z): x (n, …) and z (n, k, latent) → (n, k)."""
    n, k = z.shape[:2]
    repeated = x[:, None].expand(n, k, *x.shape[1:]).flatten(0, 1)
    return decoder(z.flatten(0, 1)).log_prob(repeated).view(n, k)


def log_observed(decoder: nn.Module, x: Tensor, z: Tensor) -> Tensor:
    """log p(x|z) of what was observed, NaN elsewhere: x (n, …) and z (n, k, latent) → (n, k).

    The decoder's law is one of independent dimensions, and what is missing is so at random.
    """
    n, k = z.shape[:2]
    p: Independent = decoder(z.flatten(0, 1))
    seen = ~torch.isnan(x)
    # Filled before the density is taken: a NaN that is masked after it comes back in the gradient.
    filled = torch.where(seen, x, 0)
    each = p.of_each(filled.repeat_interleave(k, 0))
    return total(torch.where(seen.repeat_interleave(k, 0), each, 0)).view(n, k)


def log_prior(p: Prior, z: Tensor) -> Tensor:
    """log p(z): z (n, k, latent) → (n, k)."""
    return p.log_prob(z.flatten(0, 1)).view(z.shape[:2])


def log_joint(decoder: nn.Module, x: Tensor, z: Tensor, p: Prior = NORMAL) -> Tensor:
    """log p(x|z) + log p(z): x (n, …) and z (n, k, latent) → (n, k)."""
    return log_likelihood(decoder, x, z) + log_prior(p, z)


def rate(q: Posterior, p: Prior, z: Tensor, log_q: Tensor) -> Tensor:
    """KL(q ‖ p), (n,): in closed form to N(0, I) where q knows it, else the draws' mean log q − log p.

    z (n, k, latent) and log_q (n, k) are what `q.draws` gave.
    """
    if isinstance(p, StandardNormal) and hasattr(q, "kl"):
        return q.kl()  # pyright: ignore[reportAttributeAccessIssue]
    return (log_q - log_prior(p, z)).mean(1)


def log_ratio(q: Gaussian, z: Tensor, eps: Tensor) -> Tensor:
    """log N(z; 0, I) − log q(z|x), where z = mean + std · eps: (n, k, latent) → (n, k)."""
    # The normalising constants of the two cancel.
    return 0.5 * (eps.square().sum(2) - z.square().sum(2)) + total(q.log_std)[:, None]


def log_weights(decoder: nn.Module, q: Posterior, x: Tensor, eps: Tensor, p: Prior = NORMAL) -> Tensor:
    """log p(x|z) p(z) / q(z|x) at the draws of q that eps stands for: eps (n, k, latent) → (n, k)."""
    z, log_q = q.draws(eps)
    return log_joint(decoder, x, z, p) - log_q


def of_every_code(law: Distribution, x: Tensor) -> Tensor:
    """log p(x|z) of every example under every code, where law is p(·|z) of M codes: (n, …) → (n, M).

    Raises ReparamError for another law than a Bernoulli or a Gaussian one.
    """
    flat = x.flatten(1)
    match law:
        case Bernoulli(logits):
            logits = logits.flatten(1)
            return flat @ logits.T - F.softplus(logits).sum(1)
        case Gaussian(mean, log_std):
            log_std = log_std.expand_as(mean).flatten(1)
            standard = (flat[:, None] - mean.flatten(1)) * torch.exp(-log_std)
            return -0.5 * (standard.square() + LOG_2PI).sum(2) - log_std.sum(1)
    raise ReparamError(
        f"a law of every code is a Bernoulli or a Gaussian one here, and no {type(law).__name__}."
    )
