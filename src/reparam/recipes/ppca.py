"""Probabilistic PCA and the linear VAE, trained by gradients like every other model.

`reparam.models.ppca.fit` gives the closed form.
"""

import math

from torch import nn

from reparam.errors import ReparamError
from reparam.models.linear_vae import LinearVAE
from reparam.models.ppca import PPCA
from reparam.nets import heads
from reparam.optimisers import Adam
from reparam.registry import DataFacts, Recipe


def ppca(
    data: DataFacts,
    *,
    latent: int = 8,
    std: float | None = None,
    lr: float = 1e-2,
    decoder: nn.Module | None = None,
) -> Recipe:
    """Adam on the exact likelihood; std fixes σ, which is learned otherwise."""
    return Recipe(PPCA(decoder or _decoder("ppca", data, latent, std), latent), {"default": Adam(lr)})


def linear_vae(
    data: DataFacts,
    *,
    latent: int = 8,
    std: float | None = None,
    lr: float = 1e-2,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
) -> Recipe:
    """Adam on the exact bound; std fixes σ, and with it which directions collapse."""
    model = LinearVAE(
        encoder or nn.Sequential(nn.Flatten(1), heads.SharedGaussianCode(math.prod(data.shape), latent)),
        decoder or _decoder("linear-vae", data, latent, std),
        latent,
    )
    return Recipe(model, {"default": Adam(lr)})


def _decoder(name: str, data: DataFacts, latent: int, std: float | None) -> nn.Module:
    if data.levels == "binary":
        raise ReparamError(f"{name} has a Gaussian likelihood, and {data.name} is binary; take vae.")
    if std is not None and std <= 0:
        raise ReparamError(f"std={std}: the noise σ of {name} must be above 0.")
    noise = heads.LearnedGaussianNoise(False) if std is None else heads.FixedGaussianNoise(std, False)
    return nn.Sequential(nn.Linear(latent, math.prod(data.shape)), nn.Unflatten(1, data.shape), noise)
