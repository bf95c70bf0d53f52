"""Introspective VAEs: with the hinge, and its stable soft form."""

import math

from torch import nn

from reparam.models.intro_vae import IntroVAE
from reparam.models.soft_intro_vae import SoftIntroVAE
from reparam.nets import choose
from reparam.nets.choose import Network
from reparam.optimisers import Adam
from reparam.registry import DataFacts, Recipe

SLOPE = 0.2  # of the authors' encoders, whose gradients teach the decoder as a discriminator's do


def intro_vae(
    data: DataFacts,
    *,
    latent: int = 32,
    network: Network = "auto",
    width: int = 256,
    margin: float = 20.0,
    fidelity: float = 1.0,
    adversarial: float = 0.25,
    lr: float = 2e-4,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
) -> Recipe:
    """Adam at the authors' rate with its default betas, which their code has too.

    The margin must lie above the rate of data: theirs, 120 to 1,000, are for faces of 256 pixels and more.
    The error is a sum over pixels: small pictures need more fidelity (6 on avatars of 32 pixels), or the
    encoder tells fakes apart for good.
    """
    encoder = encoder or choose.encoder(data.shape, latent, network, width, slope=SLOPE)
    decoder = decoder or choose.decoder(latent, data.shape, network, width, bounded=data.levels != "real")
    model = IntroVAE(encoder, decoder, latent, margin=margin, fidelity=fidelity, adversarial=adversarial)
    return Recipe(model, {"default": Adam(lr)}, batch_size=32, average=0.999)


def soft_intro_vae(
    data: DataFacts,
    *,
    latent: int = 32,
    network: Network = "auto",
    width: int = 256,
    fidelity: float = 1.0,
    rate: float = 1.0,
    repulsion: float = 256.0,
    lr: float = 2e-4,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
) -> Recipe:
    """The authors' weights for images; repulsion is their β_neg: it keeps the rate of fakes up.

    The rates of data and of fakes should stay even. On avatars of 32 pixels they did at a fidelity of 3; at 1
    the encoder won, at 10 both were so high that samples were clouds.
    """
    encoder = encoder or choose.encoder(data.shape, latent, network, width, slope=SLOPE)
    decoder = decoder or choose.decoder(latent, data.shape, network, width, bounded=data.levels != "real")
    scale = 1 / math.prod(data.shape)
    model = SoftIntroVAE(
        encoder, decoder, latent, fidelity=fidelity, rate=rate, repulsion=repulsion, scale=scale
    )
    return Recipe(model, {"default": Adam(lr)}, batch_size=32, average=0.999)
