"""The Wasserstein GAN with gradient penalty."""

import torch
from torch import Tensor, nn

from reparam.losses import WASSERSTEIN, gradient_penalty
from reparam.model import Model, Terms, Turn
from reparam.noise import Normal, Source, Uniform


class WGANGP(Model):
    """z ─generator→ x̃;  critic: a 1-Lipschitz function, high on x and low on x̃"""

    name = "wgan-gp"
    paper = "Gulrajani et al. 2017, Improved Training of Wasserstein GANs, arXiv:1704.00028"

    # Structure and training flow

    def __init__(
        self,
        generator: nn.Module,
        critic: nn.Module,
        latent: int,
        *,
        penalty: float = 10.0,
        critic_steps: int = 5,
    ) -> None:
        super().__init__()
        self.generator, self.critic = generator, critic
        self.latent, self.penalty, self.critic_steps = latent, penalty, critic_steps

    def turns(self) -> list[Turn]:
        return [
            Turn(
                self.critic,
                lowers=self.criticism,
                weights={"real": 1.0, "fake": 1.0, "penalty": self.penalty},
                repeat=self.critic_steps,
                second_order=True,
            ),
            Turn(self.generator, lowers=self.deception),
        ]

    def decode(self, z: Tensor) -> Tensor:
        return self.generator(z)

    # Loss

    def criticism(self, x: Tensor, *, z_fake: Tensor, between: Tensor) -> Terms:
        """Gulrajani et al. 2017, eq. 3. Minus (real + fake) estimates the Wasserstein-1 distance.

        real = −critic(x)
        fake = critic(G(z_fake))
        penalty = (‖∇critic(x + between · (G(z_fake) − x))‖₂ − 1)²
        """
        with torch.no_grad():
            fake = self.generator(z_fake)
        return {
            "real": WASSERSTEIN.real(self.critic(x)),
            "fake": WASSERSTEIN.fake(self.critic(fake)),
            "penalty": gradient_penalty(self.critic, x, fake, between),
        }

    def deception(self, *, z: Tensor) -> Terms:
        """Gulrajani et al. 2017, algorithm 1, line 12.

        deception = −critic(G(z))
        """
        return {"deception": WASSERSTEIN.fool(self.critic(self.generator(z)))}

    def score(self, x: Tensor) -> Tensor:
        """The critic's value: (n,). Only differences mean anything."""
        return self.critic(x)

    # Randomness

    def noise(self) -> dict[str, Source]:
        return {
            "z_fake": Normal(
                (self.latent,)
            ),  # the fakes that the critic learns from, fresh each of its steps
            "between": Uniform(),  # one per example: where on the line from x to its fake the slope is held
            "z": Normal((self.latent,)),  # the generator's own draw, and that of samples
        }

    def sample(self, *, z: Tensor) -> Tensor:
        return self.generator(z)
