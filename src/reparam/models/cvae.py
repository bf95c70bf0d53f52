"""The conditional VAE: of data given their class."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reparam.distributions import Gaussian
from reparam.model import Model, Terms, Turn
from reparam.noise import Categorical, Normal, Source


class CVAE(Model):
    """(x, y) ─encoder→ q(z|x, y) ─eps→ z;  (z, y) ─decoder→ p(x|z, y)"""

    name = "cvae"
    paper = (
        "Sohn, Lee & Yan 2015, Learning Structured Output Representation using Deep Conditional Generative "
        "Models, NIPS 28; Kingma et al. 2014, arXiv:1406.5298 (M2)"
    )

    # Structure and training flow

    def __init__(self, encoder: nn.Module, decoder: nn.Module, latent: int, classes: int) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.latent, self.classes = latent, classes

    def turns(self) -> list[Turn]:
        return [Turn(self.encoder, self.decoder, lowers=self.negative_elbo)]

    def encode(self, x: Tensor, y: Tensor) -> Tensor:
        """What is x's own, and its class: the mean of q(z|x, y) and y, one-hot, (n, latent + classes)."""
        return torch.cat([self.encoder(x, y).mean, F.one_hot(y, self.classes)], 1)

    def decode(self, z: Tensor) -> Tensor:
        """Half of one class and half of another is a morph."""
        return self.decoder(z).mean

    # Loss

    def negative_elbo(self, x: Tensor, y: Tensor, *, eps: Tensor) -> Terms:
        """Sohn et al. 2015, eq. 4, with a prior that does not depend on y; a bound on −log p(x|y) in nats.

        distortion = −log p(x|z, y), z = mean + std · eps
        rate = KL(q(z|x, y) ‖ N(0, I))
        """
        q: Gaussian = self.encoder(x, y)
        return {"distortion": -self.decoder(self._told(q.at(eps), y)).log_prob(x), "rate": q.kl()}

    def score(self, x: Tensor, y: Tensor, *, eps: Tensor) -> Tensor:
        """The evidence lower bound of each example given its class, in nats: (n,)."""
        terms = self.negative_elbo(x, y, eps=eps)
        return -(terms["distortion"] + terms["rate"])

    def _told(self, z: Tensor, y: Tensor) -> Tensor:
        return torch.cat([z, F.one_hot(y, self.classes).to(z)], 1)

    # Randomness

    def noise(self) -> dict[str, Source]:
        return {
            "eps": Normal((self.latent,)),  # posterior: z = mean + std · eps
            "z": Normal((self.latent,)),  # prior: drawn only to sample
            "y": Categorical((), self.classes),  # the class of a sample; pinned, it is the one asked for
        }

    def sample(self, *, z: Tensor, y: Tensor) -> Tensor:
        return self.decode(self._told(z, y))
