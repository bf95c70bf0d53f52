"""The regularised autoencoder, and the density of the codes of any autoencoder that is finished."""

from typing import Literal

import torch
from torch import nn

from reparam.distributions import Delta, FullGaussian, Gaussian
from reparam.errors import ReparamError
from reparam.models.latent_density import LatentDensity
from reparam.models.rae import RAE, by_construction, of_slope, of_weights
from reparam.nets import choose, priors
from reparam.nets.choose import Network
from reparam.nets.flows import Flowed
from reparam.nets.spectral import spectral
from reparam.noise import Dirac, Normal
from reparam.optimisers import Adam
from reparam.recipes.stage import Stage, same_shape
from reparam.registry import DataFacts, Recipe
from reparam.system import System


def rae(
    data: DataFacts,
    *,
    latent: int = 32,
    smooth: Literal["weights", "slope", "spectral"] = "weights",
    beta: float = 1e-4,
    weight: float = 1e-6,
    network: Network = "auto",
    width: int = 256,
    lr: float = 1e-3,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
) -> Recipe:
    """beta holds the codes small, weight the decoder smooth; `latent-density` then fits what samples need."""
    encoder = encoder or choose.encoder(data.shape, latent, network, width, stochastic=False)
    decoder = decoder or choose.decoder(latent, data.shape, network, width, bounded=data.levels != "real")
    match smooth:
        case "weights":
            smoothness = of_weights()
        case "slope":
            smoothness = of_slope(data.shape)
        case _:
            smoothness, decoder = by_construction(), spectral(decoder)
    model = RAE(encoder, decoder, latent, smoothness, beta=beta, weight=weight)
    return Recipe(model, {"default": Adam(lr)})


def latent_density(
    data: DataFacts,
    *,
    stage1: Stage | None = None,
    density: Literal["mixture", "gaussian", "flow"] = "mixture",
    components: int = 10,
    lr: float = 1e-2,
    prior: nn.Module | None = None,
) -> Recipe:
    """The density over the codes of a finished autoencoder of any kind, given by its run: stage1=RUN.

    A mixture of `components` Gaussians of any covariance, as in the paper; one Gaussian; or a coupling flow.
    """
    first = rae(data, latent=8, width=32).model if stage1 is None else _first(stage1, data)
    with torch.no_grad():
        code = first.encoder(torch.zeros(1, *data.shape))  # pyright: ignore[reportCallIssue]
    if not isinstance(code, Delta | Gaussian | FullGaussian | Flowed):
        raise ReparamError(
            "the codes of the first stage are no vectors with a normal noise: give the run of an "
            "autoencoder, such as rae, autoencoder, vae or aae."
        )
    latent = code.mean.shape[1]
    if prior is None and density == "flow":
        prior, lr = priors.FlowPrior(latent), min(lr, 1e-3)
    elif prior is None:
        prior = priors.FullMixturePrior(latent, 1 if density == "gaussian" else components)
    noise = Dirac((latent,)) if isinstance(code, Delta) else Normal((latent,))
    lacks = "the run of a finished autoencoder: set stage1=RUN" if stage1 is None else None
    model = LatentDensity(first, prior, latent, noise)  # pyright: ignore[reportArgumentType]
    return Recipe(model, {"default": Adam(lr)}, batch_size=100, steps=3000, lacks=lacks)


def _first(stage1: System, data: DataFacts) -> nn.Module:
    if not (stage1.can("encoder") and stage1.can("decode") and stage1.can("encode")) or stage1.conditional:
        raise ReparamError(
            f"stage1 is a {stage1.name}, which has no encoder and decoder of data alone; give the run of an "
            "autoencoder, such as rae, autoencoder, vae or aae."
        )
    return same_shape(stage1, data).model
