"""The VAE and its choices of likelihood."""

from typing import Literal

from torch import nn

from reparam.errors import ReparamError
from reparam.models.sigma_vae import SigmaVAE
from reparam.models.vae import VAE
from reparam.nets import choose, heads, priors
from reparam.nets.choose import Network, Posterior
from reparam.optimisers import Adam
from reparam.registry import DataFacts, Recipe
from reparam.schedules import Cosine

Likelihood = Literal[
    "auto", "bernoulli", "gaussian", "learned-gaussian", "continuous-bernoulli", "discretised-logistic"
]


def noise_of(likelihood: Likelihood, std: float, data: DataFacts) -> nn.Module:
    """The decoder's head. `auto` is Bernoulli on binary data and the learned Gaussian elsewhere.

    Raises ReparamError where the data cannot have come from the likelihood.
    """
    bounded = data.levels != "real"
    if likelihood == "auto":
        likelihood = "bernoulli" if data.levels == "binary" else "learned-gaussian"
    if likelihood == "bernoulli" and data.levels != "binary":
        raise ReparamError(
            f"a Bernoulli likelihood is for binary data, and {data.name} is {data.levels}; "
            "make it binary (--binarise dynamic), or take likelihood=learned-gaussian, "
            "gaussian, continuous-bernoulli or discretised-logistic."
        )
    if likelihood in ("continuous-bernoulli", "discretised-logistic") and not bounded:
        raise ReparamError(
            f"a {likelihood} likelihood is for values in [0, 1], and {data.name} is unbounded; "
            "take likelihood=learned-gaussian or gaussian."
        )
    match likelihood:
        case "bernoulli":
            return heads.BernoulliNoise()
        case "continuous-bernoulli":
            return heads.ContinuousBernoulliNoise()
        case "discretised-logistic":
            return heads.DiscretisedLogisticNoise()
        case "gaussian":
            return heads.FixedGaussianNoise(std, bounded)
        case _:
            return heads.LearnedGaussianNoise(bounded)


def networks(
    data: DataFacts,
    latent: int,
    network: Network,
    width: int,
    likelihood: Likelihood,
    std: float,
    encoder: nn.Module | None,
    decoder: nn.Module | None,
) -> tuple[nn.Module, nn.Module]:
    """An encoder of diagonal Gaussians and a decoder with noise, chosen from the data where none is given."""
    encoder = encoder or choose.encoder(data.shape, latent, network, width)
    decoder = decoder or nn.Sequential(
        choose.generator(latent, data.shape, network, width), noise_of(likelihood, std, data)
    )
    return encoder, decoder


Law = Literal["normal", "mixture", "vamp", "flow"]
"""p(z): N(0, I), or learned: a mixture of Gaussians, the VampPrior, a coupling flow."""


def prior_of(
    law: Law, data: DataFacts, latent: int, components: int, posterior: Posterior = "diagonal"
) -> priors.PriorNetwork:
    """The prior. Raises ReparamError for a VampPrior of other posteriors than diagonal Gaussians."""
    match law:
        case "mixture":
            return priors.MixturePrior(latent, components)
        case "vamp" if posterior != "diagonal":
            raise ReparamError(
                f"the VampPrior is a mixture of diagonal Gaussians, and posterior is {posterior}: "
                "take posterior=diagonal, or prior=mixture or flow."
            )
        case "vamp":
            return priors.VampPrior(data.shape, latent, components, bounded=data.levels != "real")
        case "flow":
            return priors.FlowPrior(latent)
        case _:
            return priors.StandardNormalPrior(latent)


def vae(
    data: DataFacts,
    *,
    latent: int = 32,
    prior: Law = "normal",
    components: int = 50,
    posterior: Posterior = "diagonal",
    network: Network = "auto",
    width: int = 256,
    likelihood: Likelihood = "auto",
    std: float = 0.1,
    beta: float = 1.0,
    draws: int = 1,
    lr: float = 1e-3,
    decay_steps: int | None = None,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
) -> Recipe:
    """Networks and likelihood chosen from the data; decay_steps brings the learning rate to 0 by a cosine.

    components are those of a mixture, or the pseudo-inputs of the VampPrior. An encoder of one's own returns
    the law that `posterior` names.
    """
    encoder = encoder or choose.encoder(data.shape, latent, network, width, posterior=posterior)
    encoder, decoder = networks(data, latent, network, width, likelihood, std, encoder, decoder)
    rate = Cosine(decay_steps, lr) if decay_steps else lr
    law = prior_of(prior, data, latent, components, posterior)
    return Recipe(VAE(encoder, decoder, latent, draws=draws, beta=beta, prior=law), {"default": Adam(rate)})


def sigma_vae(
    data: DataFacts,
    *,
    latent: int = 32,
    network: Network = "auto",
    width: int = 256,
    beta: float = 1.0,
    lr: float = 1e-3,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
) -> Recipe:
    """The VAE with the optimal σ, on grey or unbounded data."""
    if data.levels == "binary":
        raise ReparamError(f"sigma-vae has a Gaussian likelihood, and {data.name} is binary; take vae.")
    encoder = encoder or choose.encoder(data.shape, latent, network, width)
    decoder = decoder or choose.decoder(latent, data.shape, network, width, bounded=data.levels != "real")
    return Recipe(SigmaVAE(encoder, decoder, latent, beta=beta), {"default": Adam(lr)})


def faces(
    data: DataFacts, *, latent: int = 64, std: float = 0.1, width: int = 512, lr: float = 1e-3
) -> Recipe:
    """Character faces in colour at 64 × 64: a deep convolutional VAE with a fixed σ.

    After the anime-face VAE of Ga Wu (latent 64, σ = 0.1, batch 64), with group in the place of batch
    normalisation, so that a face does not depend on the others of its batch, and Adam for RMSprop.
    """
    if data.kind != "image":
        raise ReparamError(f"the faces recipe is for images, and {data.name} holds {data.kind}s; take vae.")
    encoder = choose.encoder(data.shape, latent, "conv", width)
    decoder = nn.Sequential(
        choose.generator(latent, data.shape, "conv", width),
        heads.FixedGaussianNoise(std, data.levels != "real"),
    )
    return Recipe(VAE(encoder, decoder, latent), {"default": Adam(lr)}, batch_size=64, steps=20_000)
