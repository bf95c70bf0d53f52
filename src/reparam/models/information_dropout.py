"""Information dropout: a classifier whose features learn how much noise each of them bears."""

import torch.nn.functional as F
from torch import Tensor, nn

from reparam import bounds
from reparam.distributions import LogNormal
from reparam.model import Model, Terms, Turn
from reparam.nets.priors import PriorNetwork
from reparam.noise import Normal, Source
from reparam.schedules import Weight


class InformationDropout(Model):
    """x ─encoder→ q(z|x), log-normal ─eps→ z = f(x) · noise ─classifier→ p(y|z);  p(z) = prior

    A VAE with the same encoder and prior is its form without labels.
    """

    name = "information-dropout"
    paper = (
        "Achille & Soatto 2018, Information Dropout: Learning Optimal Representations Through Noisy "
        "Computation, IEEE TPAMI 40(12), arXiv:1611.01353"
    )

    # Structure and training flow

    def __init__(
        self,
        encoder: nn.Module,
        classifier: nn.Module,
        prior: PriorNetwork,
        latent: int,
        *,
        draws: int = 1,
        beta: Weight = 1e-3,
    ) -> None:
        super().__init__()
        self.encoder, self.classifier, self.prior = encoder, classifier, prior
        self.latent, self.draws, self.beta = latent, bounds.at_least_one(draws), beta

    def turns(self) -> list[Turn]:
        weights = {"ignorance": 1.0, "rate": self.beta}
        return [Turn(self.encoder, self.classifier, self.prior, lowers=self.bottleneck, weights=weights)]

    def encode(self, x: Tensor) -> Tensor:
        """The features without noise, f(x)."""
        return self.encoder(x).median

    def classify(self, x: Tensor) -> Tensor:
        """The class of each example, by its features without noise: (n,) int64."""
        return self.classifier(self.encode(x)).argmax(1)

    # Loss

    def bottleneck(self, x: Tensor, y: Tensor, *, eps: Tensor) -> Terms:
        """Achille & Soatto 2018, §3 and §5; eps (n, draws, latent), in nats.

        ignorance = mean over draws of −log p(y|z), z = f(x) · exp(α(x) · eps)
        rate = KL(q(z|x) ‖ p(z)), which in the mean is at least I(x; z) + the total correlation of z

        The second bound holds because the prior's dimensions are independent.
        """
        q: LogNormal = self.encoder(x)
        z, _ = q.draws(eps)
        logits = self.classifier(z.flatten(0, 1)).unflatten(0, z.shape[:2])
        every = y[:, None].expand(z.shape[:2])
        ignorance = F.cross_entropy(logits.transpose(1, 2), every, reduction="none").mean(1)
        return {"ignorance": ignorance, "rate": q.kl(self._law())}

    def score(self, x: Tensor) -> Tensor:
        """Minus the rate, (n,): what is unlike the data is far from the codes' marginal, or narrow in it."""
        return -self.encoder(x).kl(self._law())

    def _law(self) -> LogNormal:
        law = self.prior()
        assert isinstance(law, LogNormal)
        return law

    # Randomness

    def noise(self) -> dict[str, Source]:
        return {"eps": Normal((self.draws, self.latent))}  # of the logarithm of what the features are times
