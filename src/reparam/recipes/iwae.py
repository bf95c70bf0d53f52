"""Importance-weighted autoencoders: with plain, and with doubly reparameterised gradients."""

from torch import nn

from reparam.models.dreg import DReG
from reparam.models.iwae import IWAE
from reparam.nets import choose
from reparam.nets.choose import Network, Posterior
from reparam.optimisers import Adam
from reparam.recipes.vae import Law, Likelihood, networks, prior_of
from reparam.registry import DataFacts, Recipe


def iwae(
    data: DataFacts,
    *,
    latent: int = 32,
    draws: int = 5,
    prior: Law = "normal",
    components: int = 50,
    posterior: Posterior = "diagonal",
    network: Network = "auto",
    width: int = 256,
    likelihood: Likelihood = "auto",
    std: float = 0.1,
    lr: float = 1e-3,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
) -> Recipe:
    """The VAE's networks; draws is K, the draws of z that one bound weighs."""
    encoder = encoder or choose.encoder(data.shape, latent, network, width, posterior=posterior)
    encoder, decoder = networks(data, latent, network, width, likelihood, std, encoder, decoder)
    law = prior_of(prior, data, latent, components, posterior)
    return Recipe(IWAE(encoder, decoder, latent, draws=draws, prior=law), {"default": Adam(lr)})


def dreg(
    data: DataFacts,
    *,
    latent: int = 32,
    draws: int = 5,
    network: Network = "auto",
    width: int = 256,
    likelihood: Likelihood = "auto",
    std: float = 0.1,
    lr: float = 1e-3,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
) -> Recipe:
    """The VAE's networks; draws is K, the draws of z that one bound weighs."""
    encoder, decoder = networks(data, latent, network, width, likelihood, std, encoder, decoder)
    return Recipe(DReG(encoder, decoder, latent, draws=draws), {"default": Adam(lr)})
