"""The bidirectional GAN: a GAN of pairs, with a deterministic encoder."""

from torch import Tensor, nn

from reparam.losses import NON_SATURATING
from reparam.model import Model, Move, Terms, Turn
from reparam.noise import Source, Uniform


class BiGAN(Model):
    """x ─encoder→ ẑ;  z ─generator→ x̃;  discriminator: the pair (x, ẑ), or (x̃, z)?"""

    name = "bigan"
    paper = "Donahue et al. 2017, Adversarial Feature Learning, arXiv:1605.09782"

    # Structure and training flow

    def __init__(
        self, encoder: nn.Module, generator: nn.Module, discriminator: nn.Module, latent: int
    ) -> None:
        super().__init__()
        self.encoder, self.generator, self.discriminator = encoder, generator, discriminator
        self.latent = latent

    def turns(self) -> list[Turn]:
        fooling = {"encoded_fools": 0.5, "generated_fools": 0.5}
        return [
            Turn(
                Move(self.discriminator, weights={"encoded": 0.5, "generated": 0.5}),
                Move(self.encoder, self.generator, weights=fooling),
                lowers=self.matching,
            )
        ]

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x).mean

    def decode(self, z: Tensor) -> Tensor:
        return self.generator(z)

    # Loss

    def matching(self, x: Tensor, *, z: Tensor) -> Terms:
        """Donahue et al. 2017, eq. 3 and §3.4: all three networks move at one point.

        encoded = −log D(x, ẑ)
        generated = −log(1 − D(x̃, z)), x̃ = generator(z)
        encoded_fools = −log(1 − D(x, ẑ))
        generated_fools = −log D(x̃, z)
        """
        encoded = self.discriminator(x, self.encode(x))
        generated = self.discriminator(self.generator(z), z)
        return {
            "encoded": NON_SATURATING.real(encoded),
            "generated": NON_SATURATING.fake(generated),
            "encoded_fools": NON_SATURATING.fake(encoded),
            "generated_fools": NON_SATURATING.fool(generated),
        }

    # Randomness

    def noise(self) -> dict[str, Source]:
        return {
            # prior: the codes of the generated pairs, and of samples; the encoder's lie in the same cube
            "z": Uniform((self.latent,), -1.0, 1.0),
        }

    def sample(self, *, z: Tensor) -> Tensor:
        return self.decode(z)
