"""The VAE whose likelihood is measured in the features of a GAN's discriminator."""

import math
from collections.abc import Mapping

from torch import Tensor, nn

from reparam.distributions import Gaussian, Judgement
from reparam.losses import MINIMAX, squared_error
from reparam.model import Model, Move, Terms, Turn
from reparam.noise import Normal, Source


class VAEGAN(Model):
    """x ─encoder→ q(z|x) ─eps→ z ─decoder→ x̂;  z_prior ─decoder→ x̃;  discriminator: x, or x̂ or x̃?"""

    name = "vae-gan"
    paper = (
        "Larsen et al. 2016, Autoencoding beyond pixels using a learned similarity metric, arXiv:1512.09300"
    )

    # Structure and training flow

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        discriminator: nn.Module,
        latent: int,
        *,
        gamma: float = 1e-2,
        balance: float = 0.35,
    ) -> None:
        super().__init__()
        self.encoder, self.decoder, self.discriminator = encoder, decoder, discriminator
        self.latent, self.gamma, self.balance = latent, gamma, balance

    def turns(self) -> list[Turn]:
        adversarial = {"reconstructed": 0.5, "generated": 0.5}
        decoder = {"likeness": self.gamma, **{term: -weight for term, weight in adversarial.items()}}
        return [
            Turn(
                Move(self.encoder, weights={"rate": 1.0, "likeness": 1.0}),
                Move(self.decoder, weights=decoder, when=self.decoder_may_move),
                Move(
                    self.discriminator, weights={"real": 1.0, **adversarial}, when=self.discriminator_may_move
                ),
                lowers=self.likeness_and_game,
            )
        ]

    def discriminator_may_move(self, means: Mapping[str, float]) -> bool:
        """Not while it wins: a cost below log 2 − balance. If neither side may move, both do."""
        return not self._winning(means) or self._losing(means)

    def decoder_may_move(self, means: Mapping[str, float]) -> bool:
        """Not while the discriminator loses: a cost above log 2 + balance. If neither may move, both do."""
        return not self._losing(means) or self._winning(means)

    def _costs(self, means: Mapping[str, float]) -> tuple[float, float]:
        return means["real"], 0.5 * (means["reconstructed"] + means["generated"])

    def _winning(self, means: Mapping[str, float]) -> bool:
        return min(self._costs(means)) < math.log(2) - self.balance

    def _losing(self, means: Mapping[str, float]) -> bool:
        return max(self._costs(means)) > math.log(2) + self.balance

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x).mean

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z)

    # Loss

    def likeness_and_game(self, x: Tensor, *, eps: Tensor, z: Tensor) -> Terms:
        """Larsen et al. 2016, eq. 5–9 and algorithm 1; f are the discriminator's features.

        rate = KL(q(z|x) ‖ N(0, I))
        likeness = ½ ‖f(x) − f(x̂)‖², x̂ = decoder(mean + std · eps)
        real = −log D(x)
        reconstructed = −log(1 − D(x̂))
        generated = −log(1 − D(decoder(z)))
        """
        q: Gaussian = self.encoder(x)
        reconstruction = self.decoder(q.at(eps))
        true: Judgement = self.discriminator(x)
        made: Judgement = self.discriminator(reconstruction)
        drawn: Judgement = self.discriminator(self.decoder(z))
        return {
            "rate": q.kl(),
            "likeness": 0.5 * squared_error(true.features, made.features),
            "real": MINIMAX.real(true.logit),
            "reconstructed": MINIMAX.fake(made.logit),
            "generated": MINIMAX.fake(drawn.logit),
        }

    def score(self, x: Tensor, *, eps: Tensor) -> Tensor:
        """Minus (rate + likeness): the bound in feature space, up to a constant: (n,)."""
        q: Gaussian = self.encoder(x)
        true: Judgement = self.discriminator(x)
        made: Judgement = self.discriminator(self.decoder(q.at(eps)))
        return -q.kl() - 0.5 * squared_error(true.features, made.features)

    # Randomness

    def noise(self) -> dict[str, Source]:
        return {
            "eps": Normal((self.latent,)),  # posterior: z = mean + std · eps
            "z": Normal((self.latent,)),  # prior: the generated fakes, and samples
        }

    def sample(self, *, z: Tensor) -> Tensor:
        return self.decode(z)
