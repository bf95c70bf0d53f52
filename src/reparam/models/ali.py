"""Adversarially learned inference: a GAN of pairs, with a stochastic encoder."""

from torch import Tensor, nn

from reparam.distributions import Gaussian
from reparam.losses import NON_SATURATING
from reparam.model import Model, Move, Terms, Turn
from reparam.noise import Normal, Source


class ALI(Model):
    """x ─encoder→ q(z|x) ─eps→ ẑ;  z ─decoder→ x̃;  discriminator: the pair (x, ẑ), or (x̃, z)?"""

    name = "ali"
    paper = "Dumoulin et al. 2017, Adversarially Learned Inference, arXiv:1606.00704"

    # Structure and training flow

    def __init__(self, encoder: nn.Module, decoder: nn.Module, discriminator: nn.Module, latent: int) -> None:
        super().__init__()
        self.encoder, self.decoder, self.discriminator = encoder, decoder, discriminator
        self.latent = latent

    def turns(self) -> list[Turn]:
        fooling = {"inferred_fools": 1.0, "generated_fools": 1.0}
        return [
            Turn(
                Move(self.discriminator, weights={"inferred": 1.0, "generated": 1.0}),
                Move(self.encoder, self.decoder, weights=fooling),
                lowers=self.matching,
            )
        ]

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x).mean

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    # Loss

    def matching(self, x: Tensor, *, eps: Tensor, z: Tensor) -> Terms:
        """Dumoulin et al. 2017, eq. 2 and algorithm 1, whose encoder and decoder lower the swapped labels.

        inferred = −log D(x, ẑ), ẑ = mean + std · eps
        generated = −log(1 − D(x̃, z)), x̃ = decoder(z)
        inferred_fools = −log(1 − D(x, ẑ))
        generated_fools = −log D(x̃, z)
        """
        q: Gaussian = self.encoder(x)
        inferred = self.discriminator(x, q.at(eps))
        generated = self.discriminator(self.decoder(z), z)
        return {
            "inferred": NON_SATURATING.real(inferred),
            "generated": NON_SATURATING.fake(generated),
            "inferred_fools": NON_SATURATING.fake(inferred),
            "generated_fools": NON_SATURATING.fool(generated),
        }

    # Randomness

    def noise(self) -> dict[str, Source]:
        return {
            "eps": Normal((self.latent,)),  # posterior: ẑ = mean + std · eps
            "z": Normal((self.latent,)),  # prior: the codes of the generated pairs, and of samples
        }

    def sample(self, *, z: Tensor) -> Tensor:
        return self.decode(z)
