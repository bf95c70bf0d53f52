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
from reparam.schedules import Cosine, Weight


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
    discriminator_lr: float | None = None,
    decay_steps: int | None = None,
    reconstruction_steps: int | None = None,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
    discriminator: nn.Module | None = None,
) -> Recipe:
    """Three optimisers, as in the paper; the ring (ten Gaussians) and the swiss roll lie in the plane.

    discriminator_lr is the discriminator's own rate, adversarial_lr where none is given; decay_steps brings
    all rates to 0 by a cosine, reconstruction_steps that of reconstruction before, so that the game has the
    last word on the codes. An encoder that moves its codes faster than the discriminator follows makes
    the game circle: a rate of Adam's moves a code by the rate times the sum of its features.
    """
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

    def rate(start: float, steps: int | None = decay_steps) -> Weight:
        return Cosine(steps, start) if steps else start

    return Recipe(
        model,
        {
            "reconstruction": Adam(rate(lr, reconstruction_steps or decay_steps)),
            "discrimination": Adam(rate(discriminator_lr or adversarial_lr), betas=(0.5, 0.999)),
            "deception": Adam(rate(adversarial_lr), betas=(0.5, 0.999)),
        },
    )
