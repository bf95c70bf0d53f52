"""VAEs whose codes do not collapse onto the prior: each remedy a model, a head, a network or a schedule."""

from torch import nn

from reparam.models.free_bits_vae import FreeBitsVAE
from reparam.models.vae import VAE
from reparam.nets import choose
from reparam.nets.choose import Network
from reparam.optimisers import Adam
from reparam.recipes.vae import Likelihood, noise_of
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
    encoder = encoder or choose.encoder(data.shape, latent, network, width)
    decoder = decoder or nn.Sequential(
        choose.generator(latent, data.shape, network, width), noise_of(likelihood, std, data)
    )
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
    encoder = encoder or choose.encoder(data.shape, latent, network, width)
    decoder = decoder or nn.Sequential(
        choose.generator(latent, data.shape, network, width), noise_of(likelihood, std, data)
    )
    beta = Cyclical(period, Ramp(max(round(ramp * period), 1)))
    rate = Cyclical(period, Cosine(period, lr)) if restarts else lr
    return Recipe(VAE(encoder, decoder, latent, beta=beta), {"default": Adam(rate)}, steps=cycles * period)
