"""PixelVAE."""

from reparam.errors import ReparamError
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
    if data.kind != "image" or data.shape[0] != 1 or data.levels == "real":
        raise ReparamError(
            f"pixel-vae draws pictures of one channel, pixel by pixel; {data.name} holds {data.kind}s of "
            f"shape {data.shape}. Take vae."
        )
    _, height, wide = data.shape
    levels = 2 if data.levels == "binary" else 256
    model = PixelVAE(
        choose.encoder(data.shape, latent, network, width),
        choose.generator(latent, (channels, height, wide), network, width),
        PixelCNN(levels, (height, wide), channels, layers),
        latent,
        (height, wide),
        levels,
        draws=draws,
        beta=beta,
    )
    return Recipe(model, {"default": Adam(lr)})
