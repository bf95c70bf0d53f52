"""GANs: non-saturating and hinge, and the Wasserstein GAN with gradient penalty."""

from typing import Literal

from torch import nn

from reparam.losses import GAMES
from reparam.models.gan import GAN
from reparam.models.wgan_gp import WGANGP
from reparam.nets import choose
from reparam.nets.batch_norm import BatchNorm
from reparam.nets.choose import Network
from reparam.nets.conv import Norm, group_norm
from reparam.optimisers import Adam
from reparam.registry import DataFacts, Recipe


def gan(
    data: DataFacts,
    *,
    latent: int = 64,
    network: Network = "auto",
    width: int = 128,
    game: Literal["non-saturating", "hinge"] = "non-saturating",
    lr: float = 1e-3,
    generator_lr: float | None = None,
    generator: nn.Module | None = None,
    discriminator: nn.Module | None = None,
) -> Recipe:
    """DCGAN's setting (Radford et al. 2016): batch norm in both players, Adam with β₁ = 0.5.

    The paper's rate of 2e-4 is for runs of many epochs. Under batch norm the generator learns best at 3e-3,
    where fully connected layers, which have none, lose modes: theirs is 3e-4.
    """
    if generator_lr is None:
        generator_lr = 3e-4 if choose.resolve(data.shape, network) == "mlp" else 3e-3
    model = GAN(
        generator or _generator(data, latent, network, width, BatchNorm),
        discriminator or choose.discriminator(data.shape, network, width, norm=BatchNorm),
        latent,
        game=GAMES[game],
    )
    return Recipe(
        model,
        {"discrimination": Adam(lr, betas=(0.5, 0.999)), "deception": Adam(generator_lr, betas=(0.5, 0.999))},
        batch_size=32,  # many steps make more of a minute than precise ones
        average=0.995,  # the game circles its equilibrium; the mean of the circle is nearer to it
    )


def wgan_gp(
    data: DataFacts,
    *,
    latent: int = 64,
    network: Network = "auto",
    width: int = 128,
    critic_steps: int = 5,
    penalty: float = 10.0,
    lr: float = 2e-3,
    generator: nn.Module | None = None,
    critic: nn.Module | None = None,
) -> Recipe:
    """Gulrajani et al. 2017: Adam with β = (0, 0.9), five critic steps, no norm in the critic.

    The rate of the paper, 2e-4, is for runs of many epochs.
    """
    model = WGANGP(
        generator or _generator(data, latent, network, width, BatchNorm),
        critic or choose.discriminator(data.shape, network, width),
        latent,
        penalty=penalty,
        critic_steps=critic_steps,
    )
    return Recipe(model, {"default": Adam(lr, betas=(0.0, 0.9))}, batch_size=32, average=0.995)


def _generator(
    data: DataFacts, latent: int, network: Network, width: int, norm: Norm = group_norm
) -> nn.Module:
    return choose.decoder(latent, data.shape, network, width, bounded=data.levels != "real", norm=norm)
