"""GANs of (data, code) pairs: ALI and BiGAN."""

from functools import partial

from torch import nn

from reparam.models.ali import ALI
from reparam.models.bigan import BiGAN
from reparam.nets import choose, heads, joint
from reparam.nets.batch_norm import PlainBatchNorm
from reparam.nets.choose import Network
from reparam.nets.mlp import MLPBody, MLPGenerator
from reparam.optimisers import Adam
from reparam.registry import DataFacts, Recipe
from reparam.schedules import Fade


def ali(
    data: DataFacts,
    *,
    latent: int = 64,
    network: Network = "auto",
    width: int = 256,
    lr: float = 2e-4,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
    discriminator: nn.Module | None = None,
) -> Recipe:
    """Adam with β₁ = 0.5, as the paper; its rate of 1e-4 is for hundreds of epochs.

    The discriminator has neither batch norm, so that a pair is judged by itself, nor the paper's dropout.
    """
    if discriminator is None:
        body = choose.body(data.shape, network, width, norm=None, slope=0.2)
        discriminator = joint.JointDiscriminator(body, body.features, latent, width)  # pyright: ignore[reportArgumentType]
    model = ALI(
        encoder or choose.encoder(data.shape, latent, network, width),
        decoder or choose.decoder(latent, data.shape, network, width, bounded=data.levels != "real"),
        discriminator,
        latent,
    )
    return Recipe(model, {"default": Adam(lr, betas=(0.5, 0.999))}, batch_size=100, average=0.999)


def bigan(
    data: DataFacts,
    *,
    latent: int = 50,
    network: Network = "auto",
    width: int = 256,
    lr: float = 2e-4,
    encoder: nn.Module | None = None,
    generator: nn.Module | None = None,
    discriminator: nn.Module | None = None,
) -> Recipe:
    """The paper's codes, 50 uniform numbers, and rate for MNIST; bigan-mlp has its networks, too."""
    if encoder is None:
        body = choose.body(data.shape, network, width)
        encoder = nn.Sequential(body, heads.CubeCode(body.features, latent))  # pyright: ignore[reportArgumentType]
    if discriminator is None:
        if choose.resolve(data.shape, network) == "mlp":
            discriminator = joint.injected_mlp(data.shape, latent, width)
        else:
            discriminator = joint.injected_conv(data.shape, latent, max(width // 8, 8))
    model = BiGAN(
        encoder,
        generator or choose.decoder(latent, data.shape, network, width, bounded=data.levels != "real"),
        discriminator,
        latent,
    )
    adam = Adam(lr, betas=(0.5, 0.999), weight_decay=2.5e-5)
    return Recipe(model, {"default": adam}, batch_size=128, average=0.999)


def bigan_mlp(
    data: DataFacts,
    *,
    latent: int = 50,
    width: int = 1024,
    features: int | None = None,
    lr: float = 2e-4,
    l2: float = 2.5e-5,
    steps: int = 20_000,
) -> Recipe:
    """The permutation-invariant BiGAN of the paper: fully connected, batch norm in every network.

    As in the authors' code, batch norm learns no scale, so that each of the features by which an example is
    found has the same weight in a distance. `features` are the encoder's units, where they are not `width`.
    The L2 penalty is in the gradient that Adam sees, and the rate falls to a hundredth over the second half
    of the steps, as in the authors' code; theirs are 400 epochs.
    """
    hidden, features = [width, width], features or width
    body = MLPBody(data.shape, [features, features], partial(nn.LeakyReLU, 0.2), norm=PlainBatchNorm)
    model = BiGAN(
        nn.Sequential(body, heads.CubeCode(features, latent)),
        nn.Sequential(
            MLPGenerator(latent, data.shape, hidden, norm=PlainBatchNorm), heads.Image(data.levels != "real")
        ),
        joint.injected_mlp(data.shape, latent, width, PlainBatchNorm),
        latent,
    )
    adam = Adam(Fade(steps, lr), betas=(0.5, 0.999), l2=l2)
    return Recipe(model, {"default": adam}, batch_size=128, steps=steps)
