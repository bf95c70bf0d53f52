"""Models of data given their class: the CVAE and the CVAE-GAN."""

from typing import Literal

from torch import nn

from reparam.models.cvae import CVAE
from reparam.models.cvae_gan import CVAEGAN
from reparam.nets import choose, heads
from reparam.nets.batch_norm import BatchNorm
from reparam.nets.choose import Network
from reparam.nets.conditional import Conditioned
from reparam.nets.conv import group_norm
from reparam.optimisers import Adam
from reparam.recipes.vae import Likelihood, noise_of
from reparam.registry import DataFacts, Recipe
from reparam.samplers import Mover

NORMS = {"group": group_norm, "batch": BatchNorm}
HIDDEN = 256  # features of the discriminator and of the classifier, before their last layer


def cvae(
    data: DataFacts,
    *,
    latent: int = 16,
    network: Network = "auto",
    width: int = 256,
    likelihood: Likelihood = "auto",
    std: float = 0.1,
    lr: float = 1e-3,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
) -> Recipe:
    """The VAE's networks, told the class. `reparam sample RUN --pin y=3` draws one class."""
    classes = data.require_all_labels("cvae")
    encoder = encoder or Conditioned(
        choose.encoder(_told(data.shape, classes), latent, network, width), classes
    )
    decoder = decoder or nn.Sequential(
        choose.generator(latent + classes, data.shape, network, width), noise_of(likelihood, std, data)
    )
    return Recipe(CVAE(encoder, decoder, latent, classes), {"default": Adam(lr)})


def cvae_gan(
    data: DataFacts,
    *,
    latent: int = 16,
    network: Network = "auto",
    width: int = 128,
    norm: Literal["group", "batch"] = "group",
    rate: float = 1.0,
    pixels: float = 1.0,
    pairwise: float = 1.0,
    means: float = 1.0,
    lr: float = 2e-3,
    discriminator_lr: float | None = None,
) -> Recipe:
    """Weights of 1; the paper's are 3 for the rate and 0.001 for means of features.

    Only the means teach samples of the prior, and 0.001 of them is too little: on MNIST halves of digits.
    Codes of 32 dimensions leave much of the prior empty for thousands of steps, of 12 or 16 less. pixels
    weighs the pairs of pictures, pairwise those of features. norm is the generator's: of few channels, group
    norm takes a picture's tint away.
    """
    classes = data.require_all_labels("cvae-gan")
    model = CVAEGAN(
        Conditioned(choose.encoder(_told(data.shape, classes), latent, network, width), classes),
        choose.decoder(
            latent + classes, data.shape, network, width, bounded=data.levels != "real", norm=NORMS[norm]
        ),
        _reader(data, network, width, 1),
        _reader(data, network, width, classes),
        latent,
        classes,
        HIDDEN,
        rate=rate,
        pixels=pixels,
        pairwise=pairwise,
        means=means,
    )
    rates = {"default": lr, "asymmetric.discriminator": discriminator_lr or lr}
    movers: dict[str, Mover] = {name: Adam(each, betas=(0.5, 0.999)) for name, each in rates.items()}
    return Recipe(model, movers, batch_size=32, average=0.995)


def _reader(data: DataFacts, network: Network, width: int, outputs: int) -> heads.Reader:
    body = choose.body(data.shape, network, width, norm=BatchNorm, slope=0.2)
    return heads.Reader(body, body.features, outputs, HIDDEN)  # pyright: ignore[reportArgumentType]


def _told(shape: tuple[int, ...], classes: int) -> tuple[int, ...]:
    return (shape[0] + classes, *shape[1:])
