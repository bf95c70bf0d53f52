"""BiVAE: one latent behind a sentence and its translation, and with it word embeddings of two languages."""

import torch
from torch import Tensor, nn

from reparam.bags import Bag, SampledBag
from reparam.distributions import Gaussian
from reparam.errors import ReparamError
from reparam.model import Model, Terms, Turn
from reparam.noise import Normal, Source, Uniform
from reparam.schedules import Weight


class BiVAE(Model):
    """words x, other ─drop→ one side hidden ─encoder→ q(z|x, other) ─eps→ z ─decoders→ p(x|z) p(other|z)"""

    name = "bivae"
    paper = (
        "Wei & Deng 2017, A Variational Autoencoding Approach for Inducing Cross-lingual Word Embeddings, "
        "IJCAI 2017"
    )
    takes = ("tokens",)

    # Structure and training flow

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        other_decoder: nn.Module,
        latent: int,
        *,
        noise: tuple[Source, Source],
        hide: float = 0.5,
        beta: Weight = 1.0,
    ) -> None:
        """hide: how often the encoder is shown one language alone, either as often as the other.

        noise: of the decoders' estimates; that of an exact softmax is Dirac's.
        """
        super().__init__()
        if not 0 <= hide <= 1:
            raise ReparamError(f"hide={hide}: it is a share of the sentences, from 0 to 1.")
        self.encoder, self.decoder, self.other_decoder = encoder, decoder, other_decoder
        self.latent, self.estimates, self.hide, self.beta = latent, noise, hide, beta

    def turns(self) -> list[Turn]:
        weights = {"distortion": 1.0, "distortion_other": 1.0, "rate": self.beta}
        players = (self.encoder, self.decoder, self.other_decoder)
        return [Turn(*players, lowers=self.negative_elbo, weights=weights)]

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x, torch.zeros_like(x)).mean

    def encode_other(self, other: Tensor) -> Tensor:
        """The codes of sentences of the second language: (n, latent)."""
        return self.encoder(torch.zeros_like(other), other).mean

    def word_vectors(self) -> tuple[Tensor, Tensor]:
        """The vectors of both languages' words, in one space, the codes': (V, latent), (V', latent)."""
        nothing = next(self.encoder.parameters()).new_zeros(1, self.latent)
        return self.decoder(nothing).weight, self.other_decoder(nothing).weight

    # Loss

    def negative_elbo(
        self,
        x: Tensor,
        other: Tensor,
        *,
        eps: Tensor,
        drop: Tensor,
        negatives: Tensor,
        negatives_other: Tensor,
    ) -> Terms:
        """Wei & Deng 2017; their sum is a bound on −log p(x, other), in nats, whichever side q has seen.

        distortion = −Σₜ log p(xₜ|z), z = mean + std · eps
        distortion_other = −Σₜ log p(otherₜ|z)
        rate = KL(q(z|what is shown) ‖ N(0, I))

        drop (n,): below hide / 2 x is hidden from the encoder, from there to hide the other side. A sampled
        softmax makes the distortions estimates.
        """
        x_hidden, other_hidden = drop < self.hide / 2, (drop >= self.hide / 2) & (drop < self.hide)
        q: Gaussian = self.encoder(
            x.masked_fill(x_hidden[:, None], 0), other.masked_fill(other_hidden[:, None], 0)
        )
        z = q.at(eps)
        own: Bag | SampledBag = self.decoder(z)
        theirs: Bag | SampledBag = self.other_decoder(z)
        return {
            "distortion": -own.estimate(x, negatives),
            "distortion_other": -theirs.estimate(other, negatives_other),
            "rate": q.kl(),
        }

    # Randomness

    def noise(self) -> dict[str, Source]:
        return {
            "eps": Normal((self.latent,)),  # posterior: z = mean + std · eps
            "drop": Uniform(),  # which language the encoder is not shown
            "negatives": self.estimates[0],  # words that a sampled softmax looks at
            "negatives_other": self.estimates[1],
        }
