"""Wasserstein autoencoders, by MMD and by a discriminator of codes."""

from torch import nn

from reparam.models.wae_gan import WAEGAN
from reparam.models.wae_mmd import WAEMMD
from reparam.nets import choose
from reparam.nets.choose import Network
from reparam.optimisers import Adam
from reparam.registry import DataFacts, Recipe


def wae_mmd(
    data: DataFacts,
    *,
    latent: int = 8,
    network: Network = "auto",
    width: int = 256,
    penalty: float = 200.0,
    lr: float = 1e-3,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
) -> Recipe:
    """The authors' setting for MNIST; more latent dimensions ask for more weight."""
    encoder = encoder or choose.encoder(data.shape, latent, network, width, stochastic=False)
    decoder = decoder or choose.decoder(latent, data.shape, network, width, bounded=data.levels != "real")
    return Recipe(WAEMMD(encoder, decoder, latent, penalty=penalty), {"default": Adam(lr)}, batch_size=100)


def wae_gan(
    data: DataFacts,
    *,
    latent: int = 8,
    network: Network = "auto",
    width: int = 256,
    penalty: float = 200.0,
    lr: float = 1e-3,
    adversarial_lr: float = 5e-4,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
    discriminator: nn.Module | None = None,
) -> Recipe:
    """The authors' setting for MNIST; the discriminator of codes is fully connected."""
    encoder = encoder or choose.encoder(data.shape, latent, network, width, stochastic=False)
    decoder = decoder or choose.decoder(latent, data.shape, network, width, bounded=data.levels != "real")
    discriminator = discriminator or choose.discriminator((latent,), "mlp", width)
    return Recipe(
        WAEGAN(encoder, decoder, discriminator, latent, penalty=penalty),
        {
            "transport": Adam(lr, betas=(0.5, 0.999)),
            "discrimination": Adam(adversarial_lr, betas=(0.5, 0.999)),
        },
        batch_size=100,
    )
