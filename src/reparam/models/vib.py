"""The deep variational information bottleneck: a code of x that keeps what tells y, and little else."""

import torch.nn.functional as F
from torch import Tensor, nn

from reparam import bounds
from reparam.distributions import Gaussian
from reparam.model import Model, Terms, Turn
from reparam.noise import Normal, Source
from reparam.schedules import Weight


class VIB(Model):
    """x ─encoder→ q(z|x) ─eps→ z ─classifier→ p(y|z)"""

    name = "vib"
    paper = "Alemi et al. 2017, Deep Variational Information Bottleneck, arXiv:1612.00410"

    # Structure and training flow

    def __init__(
        self, encoder: nn.Module, classifier: nn.Module, latent: int, *, draws: int = 1, beta: Weight = 1e-3
    ) -> None:
        super().__init__()
        self.encoder, self.classifier = encoder, classifier
        self.latent, self.draws, self.beta = latent, bounds.at_least_one(draws), beta

    def turns(self) -> list[Turn]:
        weights = {"ignorance": 1.0, "rate": self.beta}
        return [Turn(self.encoder, self.classifier, lowers=self.bottleneck, weights=weights)]

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x).mean

    def classify(self, x: Tensor) -> Tensor:
        """The class of each example, by its mean code: (n,) int64."""
        return self.classifier(self.encode(x)).argmax(1)

    # Loss

    def bottleneck(self, x: Tensor, y: Tensor, *, eps: Tensor) -> Terms:
        """Alemi et al. 2017, eq. 17; eps (n, draws, latent), in nats.

        ignorance = mean over draws of −log p(y|z), z = mean + std · eps
        rate = KL(q(z|x) ‖ N(0, I)), which in the mean is at least I(x; z)
        """
        q: Gaussian = self.encoder(x)
        z, _ = q.draws(eps)
        logits = self.classifier(z.flatten(0, 1)).unflatten(0, z.shape[:2])
        every = y[:, None].expand(z.shape[:2])
        ignorance = F.cross_entropy(logits.transpose(1, 2), every, reduction="none").mean(1)
        return {"ignorance": ignorance, "rate": q.kl()}

    def score(self, x: Tensor) -> Tensor:
        """Minus the rate, (n,): what is unlike the data is far from the codes' marginal, or narrow in it."""
        return -self.encoder(x).kl()

    # Randomness

    def noise(self) -> dict[str, Source]:
        return {"eps": Normal((self.draws, self.latent))}  # posterior: z = mean + std · eps
