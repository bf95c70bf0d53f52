"""Autoencoding variational transformations: a stochastic code that tells how a picture was turned."""

import torch
from torch import Tensor, nn

from reparam.distributions import Gaussian
from reparam.model import Model, Terms, Turn
from reparam.noise import Normal, Source
from reparam.transformations import Transformation


class AVT(Model):
    """x ─encoder→ mean code;  t(x) ─encoder→ q(z|t, x) ─eps→ z;  (z, code of x) ─decoder→ q(t|z, x)"""

    name = "avt"
    paper = (
        "Qi et al. 2019, AVT: Unsupervised Learning of Transformation Equivariant Representations by "
        "Autoencoding Variational Transformations, arXiv:1903.10863"
    )
    takes = ("image",)

    # Structure and training flow

    def __init__(
        self, encoder: nn.Module, decoder: nn.Module, transformation: Transformation, latent: int
    ) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.transformation, self.latent = transformation, latent

    def turns(self) -> list[Turn]:
        return [Turn(self.encoder, self.decoder, lowers=self.reading)]

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x).mean

    # Loss

    def reading(self, x: Tensor, *, t: Tensor, eps: Tensor) -> Terms:
        """Qi et al. 2019, eq. 5: a lower bound on I(t; z | x), up to the entropy of t, in nats.

        ignorance = −log q(t|z, x), z = mean + std · eps of the code of t(x)

        The authors' code shrinks std a thousandfold, which makes it an AET; here std is the encoder's own.
        """
        q: Gaussian = self.encoder(self.transformation.apply(x, t))
        read: Gaussian = self.decoder(torch.cat([self.encode(x), q.at(eps)], 1))
        return {"ignorance": -read.log_prob(self.transformation.target(t))}

    # Randomness

    def noise(self) -> dict[str, Source]:
        return {
            "t": self.transformation.source,  # the transformation
            "eps": Normal((self.latent,)),  # the code of the transformed picture: z = mean + std · eps
        }
