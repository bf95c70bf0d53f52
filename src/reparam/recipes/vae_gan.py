"""The VAE/GAN of Larsen et al."""

from torch import nn

from reparam.models.vae_gan import VAEGAN
from reparam.nets import choose, heads
from reparam.nets.choose import Network
from reparam.optimisers import RMSprop
from reparam.registry import DataFacts, Recipe


def vae_gan(
    data: DataFacts,
    *,
    latent: int = 32,
    network: Network = "auto",
    width: int = 256,
    gamma: float = 1e-2,
    balance: float = 0.35,
    lr: float = 3e-4,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
    discriminator: nn.Module | None = None,
) -> Recipe:
    """RMSprop, and the balance rule of the authors' code."""
    body = choose.body(data.shape, network, width, norm=None, slope=0.2)
    model = VAEGAN(
        encoder or choose.encoder(data.shape, latent, network, width),
        decoder
        or nn.Sequential(
            choose.generator(latent, data.shape, network, width), heads.Image(data.levels != "real")
        ),
        discriminator or heads.Judge(body, body.features),  # pyright: ignore[reportArgumentType]
        latent,
        gamma=gamma,
        balance=balance,
    )
    return Recipe(model, {"default": RMSprop(lr)})
