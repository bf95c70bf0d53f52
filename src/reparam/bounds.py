"""What bounds on log p(x) are made of: draws of q(z|x), joint densities and importance weights.

For a standard normal prior and a Gaussian posterior; k draws an example (n, k, latent), values in nats.
"""

import torch
from torch import Tensor, nn

from reparam.distributions import LOG_2PI, Gaussian, total
from reparam.errors import ReparamError


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


def log_joint(decoder: nn.Module, x: Tensor, z: Tensor) -> Tensor:
    """log p(x|z) + log N(z; 0, I): x (n, …) and z (n, k, latent) → (n, k)."""
    return log_likelihood(decoder, x, z) - 0.5 * (z.square() + LOG_2PI).sum(2)


def log_ratio(q: Gaussian, z: Tensor, eps: Tensor) -> Tensor:
    """log N(z; 0, I) − log q(z|x), where z = mean + std · eps: (n, k, latent) → (n, k)."""
    # The normalising constants of the two cancel.
    return 0.5 * (eps.square().sum(2) - z.square().sum(2)) + total(q.log_std)[:, None]


def log_weights(decoder: nn.Module, q: Gaussian, x: Tensor, eps: Tensor) -> Tensor:
    """log p(x|z) p(z) / q(z|x) at z = mean + std · eps: eps (n, k, latent) → (n, k)."""
    z = draw(q, eps)
    return log_likelihood(decoder, x, z) + log_ratio(q, z, eps)
