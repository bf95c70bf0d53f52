"""VAEs with several layers of codes: inferred upwards, or by a ladder."""

from torch import nn

from reparam.errors import ReparamError
from reparam.models.ladder_vae import LadderVAE
from reparam.models.vae import VAE
from reparam.nets import choose
from reparam.nets.choose import Network
from reparam.nets.hierarchy import Bottom, ChainPrior, LadderEncoder, Latents, UpwardEncoder
from reparam.optimisers import Adam
from reparam.recipes.vae import Likelihood, noise_of
from reparam.registry import DataFacts, Recipe
from reparam.schedules import Ramp


def hierarchical_vae(
    data: DataFacts,
    *,
    latent: int = 32,
    layers: int = 2,
    draws: int = 1,
    warm_up: int = 0,
    network: Network = "auto",
    width: int = 256,
    likelihood: Likelihood = "auto",
    std: float = 0.1,
    lr: float = 1e-3,
) -> Recipe:
    """The VAE with a chain of layers, each half as wide as the one below and inferred from its draw.

    Burda et al. 2016 (arXiv:1509.00519), §5, have 100 and 50. warm_up steps bring the rate's weight to 1.
    """
    latents = _latents(latent, layers)
    encoder = UpwardEncoder(choose.encoder(data.shape, latent, network, width), latents, width)
    decoder = _decoder(data, latents, network, width, likelihood, std)
    beta = Ramp(warm_up) if warm_up else 1.0
    model = VAE(encoder, decoder, sum(latents), draws=draws, beta=beta, prior=ChainPrior(latents, width))
    return Recipe(model, {"default": Adam(lr)})


def ladder_vae(
    data: DataFacts,
    *,
    latent: int = 32,
    layers: int = 3,
    draws: int = 1,
    warm_up: int = 1000,
    network: Network = "auto",
    width: int = 256,
    likelihood: Likelihood = "auto",
    std: float = 0.1,
    lr: float = 1e-3,
) -> Recipe:
    """Each layer half as wide as the one below; the paper has 64, 32, 16, 8, 4 and a warm-up of 200 epochs.

    warm_up steps bring the rate's weight from 0 to 1. Group norm, where it is, stands for their batch norm.
    """
    latents = _latents(latent, layers)
    body = choose.body(data.shape, network, width)
    model = LadderVAE(
        LadderEncoder(body, latents, width),
        _decoder(data, latents, network, width, likelihood, std),
        ChainPrior(latents, width),
        draws=draws,
        beta=Ramp(warm_up) if warm_up else 1.0,
    )
    return Recipe(model, {"default": Adam(lr)})


def _latents(latent: int, layers: int) -> Latents:
    if layers < 1:
        raise ReparamError(f"layers={layers}: give at least one layer of codes.")
    return tuple(max(latent // 2**i, 1) for i in range(layers))


def _decoder(
    data: DataFacts, latents: Latents, network: Network, width: int, likelihood: Likelihood, std: float
) -> nn.Module:
    generator = choose.generator(latents[0], data.shape, network, width)
    return nn.Sequential(Bottom(latents), generator, noise_of(likelihood, std, data))
