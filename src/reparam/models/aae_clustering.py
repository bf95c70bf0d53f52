"""The adversarial autoencoder with a categorical part of its code: clusters, found without labels."""

import torch
from torch import Tensor, nn

from reparam.losses import NON_SATURATING
from reparam.model import Model, Terms, Turn
from reparam.nets.clusters import Clustered
from reparam.noise import Categorical, Dirac, Normal, Shape, Source


class ClusteringAAE(Model):
    """x + std · noise ─encoder→ (choice ŷ, style z) ─decoder→ p(x|ŷ, z);  a discriminator of each part"""

    name = "aae-clustering"
    paper = "Makhzani et al. 2015, Adversarial Autoencoders, arXiv:1511.05644, §5"

    # Structure and training flow

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        choice_discriminator: nn.Module,
        style_discriminator: nn.Module,
        clusters: int,
        latent: int,
        shape: Shape,
        *,
        std: float = 0.0,
    ) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.choice_discriminator, self.style_discriminator = choice_discriminator, style_discriminator
        self.clusters, self.latent, self.shape, self.std = clusters, latent, shape, std

    def turns(self) -> list[Turn]:
        return [
            Turn(self.encoder, self.decoder, lowers=self.reconstruction),
            Turn(self.choice_discriminator, self.style_discriminator, lowers=self.discrimination),
            Turn(self.encoder, lowers=self.deception),
        ]

    def encode(self, x: Tensor) -> Tensor:
        """The choice's probabilities and the style, side by side: (n, clusters + latent)."""
        code: Clustered = self.encoder(x)
        return torch.cat([code.logits.softmax(1), code.style], 1)

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z).mean

    def cluster(self, x: Tensor) -> Tensor:
        """The cluster of each example: (n,) int64."""
        return self.encoder(x).logits.argmax(1)

    # Loss

    def reconstruction(self, x: Tensor, *, corruption: Tensor) -> Terms:
        """Makhzani et al. 2015, §5: the reconstruction phase.

        distortion = −log p(x|ŷ, z), ŷ the encoder's softmax
        """
        code = torch.cat(self._parts(x, corruption), 1)
        return {"distortion": -self.decoder(code).log_prob(x)}

    def discrimination(self, x: Tensor, *, corruption: Tensor, choice: Tensor, style: Tensor) -> Terms:
        """Makhzani et al. 2015, §4.2 and 5: the regularisation phase, the discriminators' side.

        real_choice = −log D(a one-hot draw)
        fake_choice = −log(1 − D(ŷ))
        real_style = −log D(a draw of N(0, I))
        fake_style = −log(1 − D(z))
        """
        with torch.no_grad():
            made, styled = self._parts(x, corruption)
        drawn = nn.functional.one_hot(choice, self.clusters).to(style)
        return {
            "real_choice": NON_SATURATING.real(self.choice_discriminator(drawn)),
            "fake_choice": NON_SATURATING.fake(self.choice_discriminator(made)),
            "real_style": NON_SATURATING.real(self.style_discriminator(style)),
            "fake_style": NON_SATURATING.fake(self.style_discriminator(styled)),
        }

    def deception(self, x: Tensor, *, corruption: Tensor) -> Terms:
        """Makhzani et al. 2015, §4.2 and 5: the encoder's side.

        choice = −log D(ŷ)
        style = −log D(z)
        """
        made, styled = self._parts(x, corruption)
        return {
            "choice": NON_SATURATING.fool(self.choice_discriminator(made)),
            "style": NON_SATURATING.fool(self.style_discriminator(styled)),
        }

    def _parts(self, x: Tensor, corruption: Tensor) -> tuple[Tensor, Tensor]:
        code: Clustered = self.encoder(x + self.std * corruption)
        return code.logits.softmax(1), code.style

    # Randomness

    def noise(self) -> dict[str, Source]:
        return {
            # added to the encoder's input, in training only
            "corruption": Normal(self.shape) if self.std else Dirac(self.shape),
            "choice": Categorical((), self.clusters),  # prior of ŷ, and the cluster of a sample
            "style": Normal((self.latent,)),  # prior of z, and the style of a sample
        }

    def sample(self, *, choice: Tensor, style: Tensor) -> Tensor:
        chosen = nn.functional.one_hot(choice, self.clusters).to(style)
        return self.decode(torch.cat([chosen, style], 1))
