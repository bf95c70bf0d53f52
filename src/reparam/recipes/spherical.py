"""The VAE on a sphere, and its choices of posterior."""

from typing import Literal

from torch import nn

from reparam.errors import ReparamError
from reparam.models.spherical_vae import SphericalVAE
from reparam.nets import choose, heads
from reparam.nets.choose import Network
from reparam.noise import Around, Sphere
from reparam.optimisers import Adam
from reparam.recipes.vae import Likelihood, noise_of
from reparam.registry import DataFacts, Recipe


def spherical_vae(
    data: DataFacts,
    *,
    latent: int = 6,
    posterior: Literal["vmf", "power-spherical"] = "vmf",
    kappa: float | None = None,
    network: Network = "auto",
    width: int = 256,
    likelihood: Likelihood = "auto",
    std: float = 0.1,
    lr: float = 1e-3,
    encoder: nn.Module | None = None,
    decoder: nn.Module | None = None,
) -> Recipe:
    """Codes are points of length 1 in `latent` dimensions: one more than those of the VAE to compare with.

    kappa fixes the concentration of vMF (Xu & Durrett 2018, arXiv:1808.10805): the rate is then a constant.
    An encoder of one's own returns the law that `posterior` names. Davidson et al. found small latents to
    profit, and a plain VAE to be better from about 20.
    """
    if kappa is not None and posterior != "vmf":
        raise ReparamError(
            "a fixed kappa is that of von Mises–Fisher: take posterior=vmf, or leave kappa out."
        )
    prior = Sphere((latent,))
    if encoder is None:
        body = choose.body(data.shape, network, width)
        if kappa is not None:
            head = heads.FixedVonMisesFisherCode(body.features, latent, kappa)
        else:
            head = (heads.VonMisesFisherCode if posterior == "vmf" else heads.PowerSphericalCode)(
                body.features, latent
            )
        encoder = nn.Sequential(body, head)  # pyright: ignore[reportArgumentType]
    uniforms = (heads.VonMisesFisherCode if posterior == "vmf" else heads.PowerSphericalCode).uniforms
    decoder = decoder or nn.Sequential(
        choose.generator(latent, data.shape, network, width), noise_of(likelihood, std, data)
    )
    model = SphericalVAE(encoder, decoder, Around.of(latent, uniforms, 1), prior)
    return Recipe(model, {"default": Adam(lr)})
