"""The regularised autoencoder: the VAE's smoothness without its noise."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from reparam.distributions import total
from reparam.losses import squared_error
from reparam.model import Model, Terms, Turn
from reparam.noise import Dirac, Normal, Shape, Source


class Smoothness(NamedTuple):
    """What keeps a decoder smooth: (decoder, codes (n, latent), noise) → (n,), and the noise's source."""

    penalty: Callable[[nn.Module, Tensor, Tensor], Tensor]
    source: Source


def of_weights() -> Smoothness:
    """½ ‖θ‖² of the decoder's weights, the same for every example: Ghosh et al. 2020, eq. 9 (RAE-L2)."""

    def penalty(decoder: nn.Module, z: Tensor, noise: Tensor) -> Tensor:
        return 0.5 * sum(p.square().sum() for p in decoder.parameters()) * z.new_ones(len(z))

    return Smoothness(penalty, Dirac())


def of_slope(shape: Shape) -> Smoothness:
    """½ ‖dx̂/dz‖² by one projection, ‖vᵀ dx̂/dz‖² with v ~ N(0, I): unbiased; eq. 7 (RAE-GP)."""

    def penalty(decoder: nn.Module, z: Tensor, noise: Tensor) -> Tensor:
        z = z if z.requires_grad else z.detach().requires_grad_()
        with torch.enable_grad():
            along = (decoder(z) * noise).sum()
            (slope,) = torch.autograd.grad(along, z, create_graph=True)
        return 0.5 * total(slope.square())

    return Smoothness(penalty, Normal(shape))


def by_construction() -> Smoothness:
    """No penalty: the decoder is smooth by its form, such as by spectral normalisation (RAE-SN)."""

    def penalty(decoder: nn.Module, z: Tensor, noise: Tensor) -> Tensor:
        return z.new_zeros(len(z))

    return Smoothness(penalty, Dirac())


class RAE(Model):
    """x ─encoder→ z ─decoder→ x̂;  codes are kept small, the decoder smooth;  p(z) is fitted afterwards"""

    name = "rae"
    paper = "Ghosh et al. 2020, From Variational to Deterministic Autoencoders, arXiv:1903.12436"

    # Structure and training flow

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        latent: int,
        smoothness: Smoothness,
        *,
        beta: float = 1e-4,
        weight: float = 1e-6,
    ) -> None:
        super().__init__()
        self.encoder, self.decoder, self.latent = encoder, decoder, latent
        self.smoothness, self.beta, self.weight = smoothness, beta, weight

    def turns(self) -> list[Turn]:
        weights = {"error": 1.0, "size": self.beta, "smoothness": self.weight}
        return [
            Turn(self.encoder, self.decoder, lowers=self.reconstruction, weights=weights, second_order=True)
        ]

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x).mean

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    # Loss

    def reconstruction(self, x: Tensor, *, direction: Tensor) -> Terms:
        """Ghosh et al. 2020, eq. 5.

        error = ‖x − x̂‖²
        size = ½ ‖z‖²
        smoothness = ½ ‖θ‖² of the decoder, or ½ ‖dx̂/dz‖², or 0 where its form alone keeps it smooth
        """
        z = self.encode(x)
        return {
            "error": squared_error(x, self.decode(z)),
            "size": 0.5 * total(z.square()),
            "smoothness": self.smoothness.penalty(self.decoder, z, direction),
        }

    def score(self, x: Tensor) -> Tensor:
        """Minus the squared error: (n,)."""
        return -squared_error(x, self.decode(self.encode(x)))

    # Randomness

    def noise(self) -> dict[str, Source]:
        # There is no law of the codes until `latent-density` has fitted one: N(0, I) is a stand-in.
        return {
            "direction": self.smoothness.source,  # along which the decoder's slope is measured
            "z": Normal((self.latent,)),
        }

    def sample(self, *, z: Tensor) -> Tensor:
        return self.decode(z)
