"""The adversarially constrained autoencoder."""

import math

from torch import nn

from reparam.models.acai import ACAI
from reparam.nets import choose, heads
from reparam.nets.pooled import PooledBody, PooledGenerator
from reparam.optimisers import Adam
from reparam.registry import DataFacts, Recipe


def acai(
    data: DataFacts,
    *,
    latent: int = 32,
    width: int = 128,
    penalty: float = 0.5,
    leak: float = 0.2,
    lr: float = 1e-3,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
    critic: nn.Module | None = None,
) -> Recipe:
    """The paper's networks for images: codes are maps whose channels share `latent` as nearly as they can.

    Its rate of 1e-4 is for 2²⁴ samples. The critic has the encoder's structure, averaged to one number.
    """
    bounded = data.levels != "real"
    if choose.resolve(data.shape, "auto") == "mlp":
        encoder = encoder or choose.encoder(data.shape, latent, "mlp", width, stochastic=False)
        decoder = decoder or choose.decoder(latent, data.shape, "mlp", width, bounded=bounded)
        critic = critic or choose.discriminator(data.shape, "mlp", width)
    else:
        base = max(width // 8, 8)
        body = PooledBody(data.shape, base, 1)
        channels = max(round(latent / body.features), 1)
        latent = channels * body.features
        encoder = encoder or nn.Sequential(PooledBody(data.shape, base, channels), heads.Given())
        decoder = decoder or nn.Sequential(PooledGenerator(data.shape, base, channels), heads.Cut())
        critic = critic or heads.Averaged(PooledBody(data.shape, base, channels))
    model = ACAI(encoder, decoder, critic, latent, math.prod(data.shape), penalty=penalty, leak=leak)
    return Recipe(model, {"default": Adam(lr)}, batch_size=64)
