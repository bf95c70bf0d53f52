"""The adversarial autoencoder, unsupervised."""

import torch
from torch import Tensor, nn

from reparam.losses import NON_SATURATING
from reparam.model import Model, Terms, Turn
from reparam.noise import Dirac, Source


class AAE(Model):
    """x ─encoder→ q(z|x) ─eps→ z ─decoder→ p(x|z);  discriminator: code z or prior draw?"""

    name = "aae"
    paper = "Makhzani et al. 2015, Adversarial Autoencoders, arXiv:1511.05644"

    # Structure and training flow

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        discriminator: nn.Module,
        prior: Source,
        posterior: Source | None = None,
    ) -> None:
        super().__init__()
        self.encoder, self.decoder, self.discriminator = encoder, decoder, discriminator
        self.prior, self.posterior = prior, posterior or Dirac(prior.shape)

    def turns(self) -> list[Turn]:
        return [
            Turn(self.encoder, self.decoder, lowers=self.reconstruction),
            Turn(self.discriminator, lowers=self.discrimination),
            Turn(self.encoder, lowers=self.deception),
        ]

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x).mean

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z).mean

    # Loss

    def reconstruction(self, x: Tensor, *, eps: Tensor) -> Terms:
        """Makhzani et al. 2015, §2: the reconstruction phase.

        distortion = −log p(x|z), z = encoder(x).at(eps)
        """
        return {"distortion": -self.decoder(self.encoder(x).at(eps)).log_prob(x)}

    def discrimination(self, x: Tensor, *, eps: Tensor, prior: Tensor) -> Terms:
        """Makhzani et al. 2015, §2: the regularisation phase, the discriminator's side.

        real = −log D(prior)
        fake = −log(1 − D(z))
        """
        with torch.no_grad():
            code = self.encoder(x).at(eps)
        return {
            "real": NON_SATURATING.real(self.discriminator(prior)),
            "fake": NON_SATURATING.fake(self.discriminator(code)),
        }

    def deception(self, x: Tensor, *, eps: Tensor) -> Terms:
        """Makhzani et al. 2015, §2: the regularisation phase, the encoder's side.

        deception = −log D(z)
        """
        return {"deception": NON_SATURATING.fool(self.discriminator(self.encoder(x).at(eps)))}

    def score(self, x: Tensor) -> Tensor:
        """log p(x|z) at the code of x, in nats: (n,). No bound on log p(x)."""
        return self.decoder(self.encode(x)).log_prob(x)

    # Randomness

    def noise(self) -> dict[str, Source]:
        return {
            "eps": self.posterior,  # posterior: none for a deterministic encoder
            "prior": self.prior,  # what the codes are held against, and the codes of samples
        }

    def sample(self, *, prior: Tensor) -> Tensor:
        return self.decode(prior)
