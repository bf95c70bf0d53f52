"""The VAE/GAN of Larsen et al."""

from torch import nn

from reparam.models.vae_gan import VAEGAN
from reparam.nets import choose, heads
from reparam.nets.batch_norm import BatchNorm
from reparam.nets.choose import Network
from reparam.optimisers import RMSprop
from reparam.registry import DataFacts, Recipe
from reparam.schedules import Cosine, Weight


def vae_gan(
    data: DataFacts,
    *,
    latent: int = 16,
    network: Network = "auto",
    width: int = 128,
    gamma: float = 1e-2,
    balance: float = 0.5,
    lr: float = 5e-4,
    decoder_lr: float = 3e-3,
    decay_steps: int | None = None,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
    discriminator: nn.Module | None = None,
) -> Recipe:
    """RMSprop and batch norm, as the authors' code.

    gamma is for features of unit scale, and balance, theirs is 0.35, holds the discriminator only when it
    wins by far: held more, it never learns features worth matching. decay_steps brings the rates to 0 by a
    cosine.
    """
    body = choose.body(data.shape, network, width, norm=BatchNorm, slope=0.2, raw=True)
    model = VAEGAN(
        encoder or choose.encoder(data.shape, latent, network, width),
        decoder
        or choose.decoder(latent, data.shape, network, width, bounded=data.levels != "real", norm=BatchNorm),
        discriminator or heads.Judge(body, body.features),  # pyright: ignore[reportArgumentType]
        latent,
        gamma=gamma,
        balance=balance,
    )

    def rate(start: float) -> Weight:
        return Cosine(decay_steps, start) if decay_steps else start

    return Recipe(
        model,
        {"default": RMSprop(rate(lr)), "likeness_and_game.decoder": RMSprop(rate(decoder_lr))},
        average=0.995,
        batch_size=32,  # many steps make more of a minute than precise ones
    )
