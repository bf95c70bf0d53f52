"""Regularised VAEs: their rate taken apart, weighed, led or joined by a penalty on the codes as a whole."""

from typing import Literal

from torch import nn

from reparam.errors import ReparamError
from reparam.models.beta_tc_vae import BetaTCVAE
from reparam.models.capacity_vae import CapacityVAE
from reparam.models.dip_vae import DIPVAE, of_codes, of_means
from reparam.models.factor_vae import FactorVAE
from reparam.models.hfvae import HFVAE
from reparam.models.hsic_vae import HSICVAE
from reparam.models.info_vae import InfoVAE
from reparam.nets import heads
from reparam.nets.choose import Network
from reparam.nets.mlp import MLPBody
from reparam.noise import Normal
from reparam.optimisers import Adam
from reparam.recipes.vae import Likelihood, networks
from reparam.registry import DataFacts, Recipe


def beta_tc_vae(
    data: DataFacts,
    *,
    latent: int = 10,
    network: Network = "auto",
    width: int = 256,
    likelihood: Likelihood = "auto",
    std: float = 0.1,
    beta: float = 6.0,
    lr: float = 1e-3,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
) -> Recipe:
    """beta weighs the total correlation alone; the larger the batch, the better it is estimated."""
    encoder, decoder = networks(data, latent, network, width, likelihood, std, encoder, decoder)
    model = BetaTCVAE(encoder, decoder, latent, data.examples, beta=beta)
    return Recipe(model, {"default": Adam(lr)})


def hfvae(
    data: DataFacts,
    *,
    latent: int = 10,
    group: int = 2,
    alpha: float = 1.0,
    beta: float = 6.0,
    gamma: float = 1.0,
    network: Network = "auto",
    width: int = 256,
    likelihood: Likelihood = "auto",
    std: float = 0.1,
    lr: float = 1e-3,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
) -> Recipe:
    """beta weighs the correlation between groups of `group` codes, gamma that within, alpha I(x; z).

    So a factor that takes two dimensions, as an angle does, may have a group to itself.
    """
    encoder, decoder = networks(data, latent, network, width, likelihood, std, encoder, decoder)
    weights = {"alpha": alpha, "beta": beta, "gamma": gamma}
    return Recipe(
        HFVAE(encoder, decoder, latent, data.examples, group=group, **weights), {"default": Adam(lr)}
    )


def factor_vae(
    data: DataFacts,
    *,
    latent: int = 10,
    network: Network = "auto",
    width: int = 256,
    likelihood: Likelihood = "auto",
    std: float = 0.1,
    gamma: float = 10.0,
    lr: float = 1e-3,
    adversarial_lr: float = 1e-4,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
    discriminator: nn.Module | None = None,
) -> Recipe:
    """The discriminator of codes has half of the paper's six layers, and `width` for its 1,000 units."""
    encoder, decoder = networks(data, latent, network, width, likelihood, std, encoder, decoder)
    if discriminator is None:
        body = MLPBody((latent,), [width] * 3, lambda: nn.LeakyReLU(0.2))
        discriminator = heads.Discriminator(body, body.features)
    return Recipe(
        FactorVAE(encoder, decoder, discriminator, latent, gamma=gamma),
        {"negative_elbo": Adam(lr), "discrimination": Adam(adversarial_lr, betas=(0.5, 0.9))},
    )


def dip_vae(
    data: DataFacts,
    *,
    latent: int = 10,
    network: Network = "auto",
    width: int = 256,
    likelihood: Likelihood = "auto",
    std: float = 0.1,
    covariance: Literal["means", "codes"] = "codes",
    off_diagonal: float = 10.0,
    diagonal: float | None = None,
    lr: float = 1e-3,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
) -> Recipe:
    """DIP-VAE I holds the covariance of means, II that of codes; a batch below 64 makes either noisy.

    diagonal is ten times off_diagonal for I, and the same for II, unless it is given.
    """
    encoder, decoder = networks(data, latent, network, width, likelihood, std, encoder, decoder)
    held, ratio = (of_means, 10.0) if covariance == "means" else (of_codes, 1.0)
    diagonal = ratio * off_diagonal if diagonal is None else diagonal
    model = DIPVAE(encoder, decoder, latent, held, off_diagonal=off_diagonal, diagonal=diagonal)
    return Recipe(model, {"default": Adam(lr)})


def info_vae(
    data: DataFacts,
    *,
    latent: int = 10,
    network: Network = "auto",
    width: int = 256,
    likelihood: Likelihood = "auto",
    std: float = 0.1,
    alpha: float = 0.5,
    penalty: float = 100.0,
    lr: float = 1e-3,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
) -> Recipe:
    """alpha = 1 leaves only the MMD ("MMD-VAE"), alpha = 0 and penalty = 1 the VAE; penalty is their λ."""
    if alpha > 1 or alpha + penalty < 1:
        raise ReparamError(
            f"info-vae weighs the rate by 1 − alpha = {1 - alpha:g} and the MMD by alpha + penalty − 1 = "
            f"{alpha + penalty - 1:g}: neither may be negative."
        )
    encoder, decoder = networks(data, latent, network, width, likelihood, std, encoder, decoder)
    normal = Normal((latent,))
    model = InfoVAE(encoder, decoder, normal, normal, alpha=alpha, penalty=penalty)
    return Recipe(model, {"default": Adam(lr)}, batch_size=100)


def hsic_vae(
    data: DataFacts,
    *,
    latent: int = 10,
    first: int | None = None,
    network: Network = "auto",
    width: int = 256,
    likelihood: Likelihood = "auto",
    std: float = 0.1,
    penalty: float = 1000.0,
    lr: float = 1e-3,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
) -> Recipe:
    """The first codes, half unless `first` says how many, are held to be independent of the others."""
    first = latent // 2 if first is None else first
    if not 0 < first < latent:
        raise ReparamError(f"first={first} of latent={latent} codes: both groups need at least one.")
    encoder, decoder = networks(data, latent, network, width, likelihood, std, encoder, decoder)
    model = HSICVAE(encoder, decoder, latent, first, penalty=penalty)
    return Recipe(model, {"default": Adam(lr)}, batch_size=100)


def capacity_vae(
    data: DataFacts,
    *,
    latent: int = 10,
    network: Network = "auto",
    width: int = 256,
    likelihood: Likelihood = "auto",
    std: float = 0.1,
    capacity: float = 25.0,
    rising: int = 5000,
    gamma: float = 1000.0,
    lr: float = 5e-4,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
) -> Recipe:
    """capacity in nats is reached after `rising` steps, of a run of twice as many unless its length is given.

    The paper's rising is 100,000.
    """
    if capacity < 0 or rising < 1:
        raise ReparamError(f"capacity is {capacity:g} nats and rising {rising} steps; give ≥ 0 and ≥ 1.")
    encoder, decoder = networks(data, latent, network, width, likelihood, std, encoder, decoder)
    normal = Normal((latent,))
    model = CapacityVAE(encoder, decoder, normal, normal, capacity=capacity, rising=rising, gamma=gamma)
    return Recipe(model, {"default": Adam(lr)}, steps=2 * rising)
