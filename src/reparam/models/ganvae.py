"""The GAN whose encoder reads the code off what was generated: one arm of a CycleGAN."""

from torch import Tensor, nn

from reparam.losses import NON_SATURATING, squared_error
from reparam.model import Model, Move, Terms, Turn
from reparam.noise import Normal, Source


class GANVAE(Model):
    """z ─generator→ x̃ ─encoder→ ẑ;  discriminator: x, or x̃?"""

    name = "ganvae"
    paper = "Donahue et al. 2017, Adversarial Feature Learning (the joint latent regressor), arXiv:1605.09782"

    # Structure and training flow

    def __init__(
        self,
        generator: nn.Module,
        encoder: nn.Module,
        discriminator: nn.Module,
        latent: int,
        *,
        cycle: float = 0.25,
    ) -> None:
        super().__init__()
        self.generator, self.encoder, self.discriminator = generator, encoder, discriminator
        self.latent, self.cycle = latent, cycle

    def turns(self) -> list[Turn]:
        # At 1 the regressor degenerates: the generator then makes what is easy to read (Donahue et al. 2017).
        players = {"deception": 1.0, "code": self.cycle}
        return [
            Turn(
                Move(self.generator, self.encoder, weights=players),
                Move(self.discriminator, weights={"real": 0.5, "fake": 0.5}),
                lowers=self.regression,
            )
        ]

    def encode(self, x: Tensor) -> Tensor:
        """The encoder never sees data in training: on data its codes are what they happen to be."""
        return self.encoder(x).mean

    def decode(self, z: Tensor) -> Tensor:
        return self.generator(z)

    # Loss

    def regression(self, x: Tensor, *, z: Tensor) -> Terms:
        """Donahue et al. 2017, §4.1's joint latent regressor.

        deception = −log D(x̃), x̃ = generator(z)
        code = ‖z − encoder(x̃)‖²
        real = −log D(x)
        fake = −log(1 − D(x̃))
        """
        made = self.generator(z)
        judged = self.discriminator(made)
        return {
            "deception": NON_SATURATING.fool(judged),
            "code": squared_error(z, self.encode(made)),
            "real": NON_SATURATING.real(self.discriminator(x)),
            "fake": NON_SATURATING.fake(judged),
        }

    def score(self, x: Tensor) -> Tensor:
        """The discriminator's logit, how real an example looks to it: (n,). Not a likelihood."""
        return self.discriminator(x)

    # Randomness

    def noise(self) -> dict[str, Source]:
        return {"z": Normal((self.latent,))}  # prior: of the fakes of both sides, and of samples

    def sample(self, *, z: Tensor) -> Tensor:
        return self.decode(z)
