"""The adversarial autoencoder whose decoder reads the picture as it goes."""

import torch
from torch import Tensor, nn

from reparam.losses import NON_SATURATING
from reparam.model import Model, Terms, Turn
from reparam.models.pixel_vae import PixelVAE
from reparam.noise import Normal, Source


class PixelGAN(Model):
    """x ─encoder→ q(z|x) ─eps→ z ─generator→ maps;  p(x|z) by pixels;  discriminator: code or prior draw?"""

    name = "pixel-gan"
    paper = "Makhzani & Frey 2017, PixelGAN Autoencoders, arXiv:1706.00531"
    takes = ("image",)

    # Structure and training flow

    def __init__(self, autoencoder: PixelVAE, discriminator: nn.Module) -> None:
        super().__init__()
        self.autoencoder, self.discriminator = autoencoder, discriminator

    def turns(self) -> list[Turn]:
        own = self.autoencoder
        return [
            Turn(own.encoder, own.generator, own.pixels, lowers=self.reconstruction),
            Turn(self.discriminator, lowers=self.discrimination),
            Turn(own.encoder, lowers=self.deception),
        ]

    def encode(self, x: Tensor) -> Tensor:
        return self.autoencoder.encode(x)

    def decode(self, z: Tensor) -> Tensor:
        """The likeliest level of each pixel, given those before it."""
        return self.autoencoder.decode(z)

    # Loss

    def reconstruction(self, x: Tensor, *, eps: Tensor) -> Terms:
        """Makhzani & Frey 2017, §2: the ELBO without its information between pictures and codes.

        distortion = −Σ over pixels of log p(xⱼ | x₁ … xⱼ₋₁, z), z = encoder(x).at(eps)
        """
        code = self.autoencoder.encoder(x).at(eps)
        return {"distortion": -self.autoencoder.log_likelihood(x, code[:, None]).squeeze(1)}

    def discrimination(self, x: Tensor, *, eps: Tensor, z: Tensor) -> Terms:
        """Makhzani & Frey 2017, §2: of KL(q(z) ‖ p(z)), the discriminator's side.

        real = −log D(z)
        fake = −log(1 − D(encoder(x).at(eps)))
        """
        with torch.no_grad():
            code = self.autoencoder.encoder(x).at(eps)
        return {
            "real": NON_SATURATING.real(self.discriminator(z)),
            "fake": NON_SATURATING.fake(self.discriminator(code)),
        }

    def deception(self, x: Tensor, *, eps: Tensor) -> Terms:
        """Makhzani & Frey 2017, §2: the encoder's side.

        deception = −log D(encoder(x).at(eps))
        """
        code = self.autoencoder.encoder(x).at(eps)
        return {"deception": NON_SATURATING.fool(self.discriminator(code))}

    def score(self, x: Tensor) -> Tensor:
        """log p(x|z) at the code of x, in nats: (n,). No bound on log p(x)."""
        return self.autoencoder.log_likelihood(x, self.encode(x)[:, None]).squeeze(1)

    # Randomness

    def noise(self) -> dict[str, Source]:
        latent = (self.autoencoder.latent,)
        return {
            "eps": Normal(latent),  # posterior: z = mean + std · eps
            "z": Normal(latent),  # prior: what codes are held against, and samples
            "gumbel": self.autoencoder.noise()["gumbel"],  # the pixels drawn
        }

    def sample(self, *, z: Tensor, gumbel: Tensor) -> Tensor:
        return self.autoencoder.sample(z=z, gumbel=gumbel)
