"""Encoders that read transformations: AET and AVT."""

from typing import Literal

from torch import nn

from reparam.errors import ReparamError
from reparam.models.aet import AET
from reparam.models.avt import AVT
from reparam.nets import choose, heads
from reparam.nets.choose import Network
from reparam.nets.mlp import mlp
from reparam.optimisers import Adam
from reparam.registry import DataFacts, Recipe
from reparam.transformations import Affine, Projective, Transformation

Kind = Literal["affine", "projective"]


def aet(
    data: DataFacts,
    *,
    latent: int = 64,
    network: Network = "auto",
    width: int = 256,
    transformation: Kind = "affine",
    lr: float = 1e-3,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
) -> Recipe:
    """Adam for the paper's SGD over 1,500 epochs; the decoder is fully connected."""
    law = _transformation(data, transformation)
    if encoder is None:
        body = choose.body(data.shape, network, width)
        encoder = nn.Sequential(body, nn.Linear(body.features, latent))  # pyright: ignore[reportArgumentType]
    decoder = decoder or nn.Sequential(*mlp([2 * latent, width]), nn.Linear(width, law.numbers), nn.Tanh())
    return Recipe(AET(encoder, decoder, law), {"default": Adam(lr)})


def avt(
    data: DataFacts,
    *,
    latent: int = 64,
    network: Network = "auto",
    width: int = 256,
    transformation: Kind = "affine",
    lr: float = 1e-3,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
) -> Recipe:
    """AET's networks, with a Gaussian over codes and over transformations."""
    law = _transformation(data, transformation)
    encoder = encoder or choose.encoder(data.shape, latent, network, width)
    decoder = decoder or nn.Sequential(*mlp([2 * latent, width]), heads.GaussianCode(width, law.numbers))
    return Recipe(AVT(encoder, decoder, law, latent), {"default": Adam(lr)})


def _transformation(data: DataFacts, kind: Kind) -> Transformation:
    if data.kind != "image":
        raise ReparamError(f"AET and AVT turn pictures, and {data.name} holds {data.kind}s.")
    return Affine() if kind == "affine" else Projective()
