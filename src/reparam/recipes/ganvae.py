"""GANVAE, the joint latent regressor."""

from torch import nn

from reparam.models.ganvae import GANVAE
from reparam.nets import choose
from reparam.nets.batch_norm import BatchNorm
from reparam.nets.choose import Network
from reparam.optimisers import Adam
from reparam.registry import DataFacts, Recipe


def ganvae(
    data: DataFacts,
    *,
    latent: int = 32,
    network: Network = "auto",
    width: int = 128,
    cycle: float = 0.25,
    lr: float = 1e-3,
    generator: nn.Module | None = None,
    encoder: nn.Module | None = None,
    discriminator: nn.Module | None = None,
) -> Recipe:
    """The GAN's networks and setting, with an encoder of the generator's width."""
    bounded = data.levels != "real"
    model = GANVAE(
        generator or choose.decoder(latent, data.shape, network, width, bounded=bounded, norm=BatchNorm),
        encoder or choose.encoder(data.shape, latent, network, width, stochastic=False),
        discriminator or choose.discriminator(data.shape, network, width, norm=BatchNorm),
        latent,
        cycle=cycle,
    )
    return Recipe(model, {"default": Adam(lr, betas=(0.5, 0.999))}, batch_size=32, average=0.995)
