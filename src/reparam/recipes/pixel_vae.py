"""PixelVAE and PixelGAN: decoders that read the picture as they go."""

from reparam.errors import ReparamError
from reparam.models.pixel_gan import PixelGAN
from reparam.models.pixel_vae import PixelVAE
from reparam.nets import choose
from reparam.nets.choose import Network
from reparam.nets.pixelcnn import PixelCNN
from reparam.optimisers import Adam
from reparam.registry import DataFacts, Recipe


def pixel_vae(
    data: DataFacts,
    *,
    latent: int = 16,
    layers: int = 3,
    channels: int = 32,
    draws: int = 1,
    beta: float = 1.0,
    network: Network = "auto",
    width: int = 256,
    lr: float = 1e-3,
) -> Recipe:
    """A pixel sees `layers` pixels around it and what the code says of the picture.

    So few that the code tells the rest: Chen et al. 2017, Variational Lossy Autoencoder (arXiv:1611.02731).
    Pictures of one channel, of two levels or of 256.
    """
    model = _by_pixels("pixel-vae", data, latent, layers, channels, network, width, draws, beta)
    return Recipe(model, {"default": Adam(lr)})


def pixel_gan(
    data: DataFacts,
    *,
    latent: int = 16,
    layers: int = 3,
    channels: int = 32,
    network: Network = "auto",
    width: int = 256,
    lr: float = 1e-3,
    adversarial_lr: float = 2e-4,
) -> Recipe:
    """pixel-vae's networks; a discriminator, not a rate, holds the codes to the prior."""
    autoencoder = _by_pixels("pixel-gan", data, latent, layers, channels, network, width)
    model = PixelGAN(autoencoder, choose.discriminator((latent,), "mlp", width))
    game = Adam(adversarial_lr, betas=(0.5, 0.999))
    return Recipe(model, {"default": game, "reconstruction": Adam(lr)})


def _by_pixels(
    who: str,
    data: DataFacts,
    latent: int,
    layers: int,
    channels: int,
    network: Network,
    width: int,
    draws: int = 1,
    beta: float = 1.0,
) -> PixelVAE:
    if data.kind != "image" or data.shape[0] != 1 or data.levels == "real":
        raise ReparamError(
            f"{who} draws pictures of one channel, pixel by pixel; {data.name} holds {data.kind}s of "
            f"shape {data.shape}. Take vae."
        )
    _, height, wide = data.shape
    levels = 2 if data.levels == "binary" else 256
    return PixelVAE(
        choose.encoder(data.shape, latent, network, width),
        choose.generator(latent, (channels, height, wide), network, width),
        PixelCNN(levels, (height, wide), channels, layers),
        latent,
        (height, wide),
        levels,
        draws=draws,
        beta=beta,
    )
