"""The two baselines without a law of their codes."""

from torch import nn

from reparam.models.autoencoder import Autoencoder
from reparam.models.denoising_autoencoder import DenoisingAutoencoder
from reparam.nets import choose
from reparam.nets.choose import Network
from reparam.optimisers import Adam
from reparam.registry import DataFacts, Recipe


def autoencoder(
    data: DataFacts,
    *,
    latent: int = 32,
    network: Network = "auto",
    width: int = 256,
    lr: float = 1e-3,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
) -> Recipe:
    """Networks chosen from the data."""
    encoder, decoder = _networks(data, latent, network, width, encoder, decoder)
    return Recipe(Autoencoder(encoder, decoder, latent), {"default": Adam(lr)})


def denoising_autoencoder(
    data: DataFacts,
    *,
    latent: int = 32,
    network: Network = "auto",
    width: int = 256,
    std: float = 0.3,
    lr: float = 1e-3,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
) -> Recipe:
    """Networks chosen from the data; std is that of the corruption."""
    encoder, decoder = _networks(data, latent, network, width, encoder, decoder)
    model = DenoisingAutoencoder(encoder, decoder, latent, data.shape, std=std)
    return Recipe(model, {"default": Adam(lr)})


def _networks(
    data: DataFacts,
    latent: int,
    network: Network,
    width: int,
    encoder: nn.Module | None,
    decoder: nn.Module | None,
) -> tuple[nn.Module, nn.Module]:
    encoder = encoder or choose.encoder(data.shape, latent, network, width, stochastic=False)
    decoder = decoder or choose.decoder(latent, data.shape, network, width, bounded=data.levels != "real")
    return encoder, decoder
