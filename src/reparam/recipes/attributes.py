"""Codes that know the label, by VIB and information dropout, and that must not: fader networks, VFAE."""

from torch import nn

from reparam.models.fader import Fader
from reparam.models.information_dropout import InformationDropout
from reparam.models.vfae import VFAE
from reparam.models.vib import VIB
from reparam.nets import choose
from reparam.nets.choose import Network
from reparam.nets.conditional import Conditioned
from reparam.nets.heads import LogNormalCode
from reparam.nets.mlp import mlp
from reparam.nets.priors import LogNormalPrior
from reparam.optimisers import Adam
from reparam.recipes.vae import Likelihood, noise_of
from reparam.registry import DataFacts, Recipe
from reparam.schedules import Ramp


def vib(
    data: DataFacts,
    *,
    latent: int = 32,
    draws: int = 1,
    beta: float = 1e-3,
    network: Network = "auto",
    width: int = 256,
    lr: float = 1e-4,
    encoder: nn.Module | None = None,
) -> Recipe:
    """The classifier is one linear layer, as in the paper, which has 256 dimensions and 12 draws."""
    classes = data.require_all_labels("vib")
    encoder = encoder or choose.encoder(data.shape, latent, network, width)
    model = VIB(encoder, nn.Linear(latent, classes), latent, draws=draws, beta=beta)
    return Recipe(model, {"default": Adam(lr, betas=(0.5, 0.999))}, batch_size=100)


def information_dropout(
    data: DataFacts,
    *,
    latent: int = 32,
    draws: int = 1,
    beta: float = 1e-3,
    most: float = 0.7,
    network: Network = "auto",
    width: int = 256,
    lr: float = 1e-3,
    encoder: nn.Module | None = None,
) -> Recipe:
    """One noisy layer before a linear classifier; no noise has a larger deviation than `most`.

    beta is the whole weight of the rate; the authors' code has 3 over the number of training examples, and
    two noisy layers.
    """
    classes = data.require_all_labels("information-dropout")
    if encoder is None:
        body = choose.body(data.shape, network, width)
        encoder = nn.Sequential(body, LogNormalCode(body.features, latent, most))  # pyright: ignore[reportArgumentType]
    classifier, prior = nn.Linear(latent, classes), LogNormalPrior(latent)
    model = InformationDropout(encoder, classifier, prior, latent, draws=draws, beta=beta)
    return Recipe(model, {"default": Adam(lr)}, batch_size=100)


def fader(
    data: DataFacts,
    *,
    latent: int = 32,
    weight: float = 1.0,
    rising: int = 2000,
    network: Network = "auto",
    width: int = 256,
    lr: float = 2e-3,
) -> Recipe:
    """The label is the attribute. The deception's weight rises to `weight` over `rising` steps.

    The paper's is 1e-4 of an error averaged over 196,608 numbers, after 500,000 steps.
    """
    classes = data.require_all_labels("fader")
    model = Fader(
        choose.encoder(data.shape, latent, network, width, stochastic=False),
        choose.decoder(latent + classes, data.shape, network, width, bounded=data.levels != "real"),
        nn.Sequential(mlp([latent, width, width]), nn.Linear(width, classes)),
        classes,
        weight=Ramp(rising, end=weight),
    )
    return Recipe(model, {"default": Adam(lr, betas=(0.5, 0.999))}, batch_size=32)


def vfae(
    data: DataFacts,
    *,
    latent: int = 16,
    penalty: float = 100.0,
    network: Network = "auto",
    width: int = 256,
    likelihood: Likelihood = "auto",
    std: float = 0.1,
    lr: float = 1e-3,
) -> Recipe:
    """The label is the sensitive attribute. The penalty is the paper's, an example of a batch of 100."""
    classes = data.require_all_labels("vfae")
    told = (data.shape[0] + classes, *data.shape[1:])
    encoder = Conditioned(choose.encoder(told, latent, network, width), classes)
    decoder = nn.Sequential(
        choose.generator(latent + classes, data.shape, network, width), noise_of(likelihood, std, data)
    )
    model = VFAE(encoder, decoder, latent, classes, penalty=penalty)
    return Recipe(model, {"default": Adam(lr)}, batch_size=100)
