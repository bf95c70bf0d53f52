"""Networks chosen from the data's shape."""

from functools import partial
from typing import Literal

from torch import nn

from reparam.nets import heads
from reparam.nets.conv import ConvBody, ConvGenerator, Norm, group_norm
from reparam.nets.flows import FlowedCode
from reparam.nets.mlp import MLPBody, MLPGenerator
from reparam.nets.resnet import ResidualBody, ResidualGenerator
from reparam.noise import Shape

Network = Literal["auto", "mlp", "conv", "residual"]
"""`auto` takes convolutions for images of at least 8 × 8 and fully connected layers for all else."""


def body(
    shape: Shape,
    network: Network,
    width: int,
    *,
    norm: Norm | None = group_norm,
    slope: float = 0.0,
    raw: bool = False,
) -> heads.Body:
    """A network (n, *shape) → (n, features).

    width is the hidden units of fully connected layers, which are not normalised, or 8 × the channels of
    the first stage. raw leaves out what follows the last linear map.
    """
    match resolve(shape, network):
        case "mlp":
            activation = partial(nn.LeakyReLU, slope) if slope else nn.ReLU
            return MLPBody(shape, [width, width], activation, raw=raw)
        case "conv":
            return ConvBody(shape, max(width // 8, 8), norm=norm, slope=slope, raw=raw)
        case _:
            return ResidualBody(shape, max(width // 8, 8), norm=norm, raw=raw)


def generator(
    latent: int, shape: Shape, network: Network, width: int, *, norm: Norm = group_norm
) -> nn.Module:
    """A network (n, latent) → (n, *shape), linear at the end."""
    match resolve(shape, network):
        case "mlp":
            return MLPGenerator(latent, shape, [width, width])
        case "conv":
            return ConvGenerator(latent, shape, max(width // 8, 8), norm)
        case _:
            return ResidualGenerator(latent, shape, max(width // 8, 8), norm)


def decoder(
    latent: int, shape: Shape, network: Network, width: int, *, bounded: bool, norm: Norm = group_norm
) -> nn.Sequential:
    """A network (n, latent) → (n, *shape) without noise, in [0, 1] where the data are bounded."""
    return nn.Sequential(generator(latent, shape, network, width, norm=norm), heads.Image(bounded))


Posterior = Literal["diagonal", "full", "flow"]
"""q(z|x): a Gaussian of independent dimensions, or of any covariance, or bent by an autoregressive flow."""

HEADS = {"diagonal": heads.GaussianCode, "full": heads.FullGaussianCode, "flow": FlowedCode}


def encoder(
    shape: Shape,
    latent: int,
    network: Network,
    width: int,
    *,
    stochastic: bool = True,
    posterior: Posterior = "diagonal",
    slope: float = 0.0,
) -> nn.Sequential:
    """A network (n, *shape) → a law over codes, or a deterministic code."""
    features = body(shape, network, width, slope=slope)
    head = HEADS[posterior] if stochastic else heads.Code
    return nn.Sequential(features, head(features.features, latent))  # pyright: ignore[reportArgumentType]


def discriminator(
    shape: Shape, network: Network, width: int, *, norm: Norm | None = None
) -> heads.Discriminator:
    """A network (n, *shape) → logits (n,). Unnormalised, a gradient penalty is each example's own."""
    features = body(shape, network, width, norm=norm, slope=0.2)
    return heads.Discriminator(features, features.features)  # pyright: ignore[reportArgumentType]


def resolve(shape: Shape, network: Network) -> Network:
    """What `auto` stands for with this shape; vectors have fully connected layers in any case."""
    if network == "auto":
        return "conv" if len(shape) == 3 and min(shape[1:]) >= 8 else "mlp"
    return network if len(shape) == 3 else "mlp"
