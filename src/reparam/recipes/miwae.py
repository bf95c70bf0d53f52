"""The autoencoder of data with holes."""

from torch import nn

from reparam.models.miwae import MIWAE
from reparam.nets.choose import Network
from reparam.nets.missing import ZeroFilled
from reparam.optimisers import Adam
from reparam.recipes.vae import Likelihood, networks
from reparam.registry import DataFacts, Recipe


def miwae(
    data: DataFacts,
    *,
    latent: int = 8,
    draws: int = 20,
    network: Network = "auto",
    width: int = 256,
    likelihood: Likelihood = "auto",
    std: float = 0.1,
    lr: float = 1e-3,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
) -> Recipe:
    """The VAE's networks; the encoder sees 0 where a number is missing. draws is K, of one bound.

    A decoder of one's own returns a law of independent dimensions.
    """
    encoder, decoder = networks(data, latent, network, width, likelihood, std, encoder, decoder)
    model = MIWAE(nn.Sequential(ZeroFilled(), encoder), decoder, latent, data.shape, draws=draws)
    return Recipe(model, {"default": Adam(lr)})
