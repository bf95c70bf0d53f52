"""The generative adversarial network."""

import torch
from torch import Tensor, nn

from reparam.losses import NON_SATURATING, Adversarial
from reparam.model import Model, Terms, Turn
from reparam.noise import Normal, Source


class GAN(Model):
    """z ─generator→ x̃;  discriminator: x or x̃?"""

    name = "gan"
    paper = "Goodfellow et al. 2014, Generative Adversarial Nets, arXiv:1406.2661"

    # Structure and training flow

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        latent: int,
        *,
        game: Adversarial = NON_SATURATING,
    ) -> None:
        super().__init__()
        self.generator, self.discriminator = generator, discriminator
        self.latent, self.game = latent, game

    def turns(self) -> list[Turn]:
        return [
            Turn(self.discriminator, lowers=self.discrimination),
            Turn(self.generator, lowers=self.deception),
        ]

    def decode(self, z: Tensor) -> Tensor:
        return self.generator(z)

    # Loss

    def discrimination(self, x: Tensor, *, z_fake: Tensor) -> Terms:
        """Goodfellow et al. 2014, eq. 1, the discriminator's side (or the hinge's halves).

        real = −log D(x); hinge: max(0, 1 − D(x))
        fake = −log(1 − D(G(z_fake))); hinge: max(0, 1 + D(G(z_fake)))
        """
        with torch.no_grad():
            fake = self.generator(z_fake)
        return {
            "real": self.game.real(self.discriminator(x)),
            "fake": self.game.fake(self.discriminator(fake)),
        }

    def deception(self, *, z: Tensor) -> Terms:
        """Goodfellow et al. 2014, §3: the generator's side, in the form that does not saturate.

        deception = −log D(G(z)); hinge: −D(G(z))
        """
        return {"deception": self.game.fool(self.discriminator(self.generator(z)))}

    def score(self, x: Tensor) -> Tensor:
        """The discriminator's logit, how real an example looks to it: (n,). Not a likelihood."""
        return self.discriminator(x)

    # Randomness

    def noise(self) -> dict[str, Source]:
        return {
            "z_fake": Normal((self.latent,)),  # the fakes that the discriminator learns from
            "z": Normal((self.latent,)),  # the generator's own draw, and that of samples
        }

    def sample(self, *, z: Tensor) -> Tensor:
        return self.generator(z)
