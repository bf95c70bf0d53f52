"""The unsupervised adversarial autoencoder and its priors."""

from typing import Literal

from torch import nn

from reparam.errors import ReparamError
from reparam.models.aae import AAE
from reparam.nets import choose
from reparam.nets.choose import Network
from reparam.noise import GaussianRing, Normal, Source, SwissRoll
from reparam.optimisers import Adam
from reparam.recipes.vae import Likelihood, noise_of
from reparam.registry import DataFacts, Recipe


def aae(
    data: DataFacts,
    *,
    latent: int = 8,
    prior: Literal["gaussian", "ring", "swiss-roll"] = "gaussian",
    posterior: Literal["deterministic", "gaussian"] = "deterministic",
    network: Network = "auto",
    width: int = 128,
    likelihood: Likelihood = "auto",
    std: float = 0.1,
    lr: float = 1e-3,
    adversarial_lr: float = 2e-4,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
    discriminator: nn.Module | None = None,
) -> Recipe:
    """Three optimisers, as in the paper; the ring (ten Gaussians) and the swiss roll lie in the plane."""
    if prior != "gaussian" and latent != 2:
        raise ReparamError(f"the {prior} prior lies in the plane: set latent=2 (it is {latent}).")
    law: Source = {"gaussian": Normal((latent,)), "ring": GaussianRing(), "swiss-roll": SwissRoll()}[prior]
    stochastic = posterior == "gaussian"
    model = AAE(
        encoder or choose.encoder(data.shape, latent, network, width, stochastic=stochastic),
        decoder
        or nn.Sequential(
            choose.generator(latent, data.shape, network, width), noise_of(likelihood, std, data)
        ),
        discriminator or choose.discriminator((latent,), "mlp", width),
        law,
        Normal((latent,)) if stochastic else None,
    )
    adversarial = Adam(adversarial_lr, betas=(0.5, 0.999))
    return Recipe(
        model, {"reconstruction": Adam(lr), "discrimination": adversarial, "deception": adversarial}
    )
