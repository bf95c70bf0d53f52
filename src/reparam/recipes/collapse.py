"""VAEs whose codes do not collapse onto the prior: each remedy a model, a head, a network or a schedule."""

from torch import nn

from reparam.models.delta_vae import DeltaVAE
from reparam.models.free_bits_vae import FreeBitsVAE
from reparam.models.lagging_vae import LaggingVAE
from reparam.models.vae import VAE
from reparam.nets import choose, heads
from reparam.nets.choose import Network
from reparam.nets.skip import SkipGenerator
from reparam.optimisers import Adam
from reparam.recipes.vae import Likelihood, networks, noise_of
from reparam.registry import DataFacts, Recipe
from reparam.schedules import Cosine, Cyclical, Ramp


def free_bits_vae(
    data: DataFacts,
    *,
    latent: int = 32,
    nats: float = 0.5,
    group: int = 1,
    network: Network = "auto",
    width: int = 256,
    likelihood: Likelihood = "auto",
    std: float = 0.1,
    lr: float = 1e-3,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
) -> Recipe:
    """The VAE's networks; each group of so many dimensions has `nats` of KL free."""
    data.require_numbers("free-bits-vae", "poem-free-bits")
    encoder, decoder = networks(data, latent, network, width, likelihood, std, encoder, decoder)
    return Recipe(FreeBitsVAE(encoder, decoder, latent, nats=nats, group=group), {"default": Adam(lr)})


def cyclical_vae(
    data: DataFacts,
    *,
    latent: int = 32,
    cycles: int = 4,
    period: int = 1250,
    ramp: float = 0.5,
    restarts: bool = False,
    network: Network = "auto",
    width: int = 256,
    likelihood: Likelihood = "auto",
    std: float = 0.1,
    lr: float = 1e-3,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
) -> Recipe:
    """The VAE; over the `ramp` part of each `period` steps the rate's weight rises from 0 to 1, then holds.

    restarts lets the learning rate fall to 0 by a cosine in each cycle too, which Fu et al. 2019
    (arXiv:1903.10145) did not do for the schedule that they compare with. cycles = 1 is a warm-up.
    """
    encoder, decoder = networks(data, latent, network, width, likelihood, std, encoder, decoder)
    beta = Cyclical(period, Ramp(max(round(ramp * period), 1)))
    rate = Cyclical(period, Cosine(period, lr)) if restarts else lr
    return Recipe(VAE(encoder, decoder, latent, beta=beta), {"default": Adam(rate)}, steps=cycles * period)


def delta_vae(
    data: DataFacts,
    *,
    latent: int = 32,
    delta: float = 2.0,
    network: Network = "auto",
    width: int = 256,
    likelihood: Likelihood = "auto",
    std: float = 0.1,
    lr: float = 1e-3,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
) -> Recipe:
    """The VAE's networks; the prior is a chain along the code, and no posterior is nearer than delta nats."""
    encoder, decoder = networks(data, latent, network, width, likelihood, std, encoder, decoder)
    return Recipe(DeltaVAE(encoder, decoder, latent, delta=delta), {"default": Adam(lr)})


def lagging_vae(
    data: DataFacts,
    *,
    latent: int = 32,
    repeat: int = 10,
    window: int = 100,
    network: Network = "auto",
    width: int = 256,
    likelihood: Likelihood = "auto",
    std: float = 0.1,
    lr: float = 1e-3,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
) -> Recipe:
    """The VAE's networks; the encoder has `repeat` turns more until I(x; z) rises no longer.

    That is seen by its means over `window` steps; the paper takes validation data once an epoch, and repeats
    until the loss stops falling, 100 times at most.
    """
    encoder, decoder = networks(data, latent, network, width, likelihood, std, encoder, decoder)
    model = LaggingVAE(encoder, decoder, latent, repeat=repeat, window=window)
    return Recipe(model, {"default": Adam(lr)})


def batch_norm_vae(
    data: DataFacts,
    *,
    latent: int = 32,
    deviation: float = 0.7,
    network: Network = "auto",
    width: int = 256,
    likelihood: Likelihood = "auto",
    std: float = 0.1,
    lr: float = 1e-3,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
) -> Recipe:
    """The VAE; over a batch each dimension's mean has one deviation, and cannot stand still."""
    if encoder is None:
        body = choose.body(data.shape, network, width)
        encoder = nn.Sequential(body, heads.BatchNormalisedCode(body.features, latent, deviation))  # pyright: ignore[reportArgumentType]
    encoder, decoder = networks(data, latent, network, width, likelihood, std, encoder, decoder)
    return Recipe(VAE(encoder, decoder, latent), {"default": Adam(lr)})


def skip_vae(
    data: DataFacts,
    *,
    latent: int = 32,
    network: Network = "auto",
    width: int = 256,
    likelihood: Likelihood = "auto",
    std: float = 0.1,
    lr: float = 1e-3,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
) -> Recipe:
    """The VAE; every layer of its fully connected decoder sees the code."""
    decoder = decoder or nn.Sequential(
        SkipGenerator(latent, data.shape, [width, width]), noise_of(likelihood, std, data)
    )
    encoder, decoder = networks(data, latent, network, width, likelihood, std, encoder, decoder)
    return Recipe(VAE(encoder, decoder, latent), {"default": Adam(lr)})
