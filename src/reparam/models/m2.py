"""The semi-supervised VAE: of data and their class, which is known of few."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reparam import bounds
from reparam.distributions import Gaussian
from reparam.model import Model, Terms, Turn
from reparam.noise import Categorical, Normal, Source


class M2(Model):
    """x ─classifier→ q(y|x);  (x, y) ─encoder→ q(z|x, y) ─eps→ z;  (z, y) ─decoder→ p(x|z, y)"""

    name = "m2"
    paper = "Kingma et al. 2014, Semi-supervised Learning with Deep Generative Models, arXiv:1406.5298"

    # Structure and training flow

    def __init__(
        self,
        classifier: nn.Module,
        encoder: nn.Module,
        decoder: nn.Module,
        latent: int,
        classes: int,
        *,
        draws: int = 1,
        ignorance: float = 1.0,
    ) -> None:
        super().__init__()
        self.classifier, self.encoder, self.decoder = classifier, encoder, decoder
        self.latent, self.classes = latent, classes
        self.draws, self.ignorance = bounds.at_least_one(draws), ignorance

    def turns(self) -> list[Turn]:
        weights = {"unlabelled": 1.0, "labelled": 1.0, "ignorance": self.ignorance}
        networks = (self.classifier, self.encoder, self.decoder)
        return [Turn(*networks, lowers=self.negative_elbo, weights=weights)]

    def encode(self, x: Tensor) -> Tensor:
        """What is x's own, given its likeliest class, and q(y|x): (n, latent + classes)."""
        logits = self.classifier(x)
        return torch.cat([self.encoder(x, logits.argmax(1)).mean, logits.softmax(1)], 1)

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z).mean

    def classify(self, x: Tensor) -> Tensor:
        """The class of each example: (n,) int64."""
        return self.classifier(x).argmax(1)

    # Loss

    def negative_elbo(
        self, x: Tensor, x_labelled: Tensor, y_labelled: Tensor, *, eps: Tensor, eps_labelled: Tensor
    ) -> Terms:
        """Kingma et al. 2014, eq. 6–9. L(x, y) = −log p(x|z, y) − log p(y) + KL(q(z|x, y) ‖ p(z)), in nats.

        unlabelled = Σ over y of q(y|x) (L(x, y) + log q(y|x)), one eps for all y
        labelled = L(x, y) of the labelled minibatch
        ignorance = −log q(y|x) of the labelled minibatch
        """
        return {
            "unlabelled": self._unlabelled(x, eps),
            "labelled": self._labelled(x_labelled, y_labelled, eps_labelled),
            "ignorance": F.cross_entropy(self.classifier(x_labelled), y_labelled, reduction="none"),
        }

    def log_weights(self, x: Tensor, *, eps: Tensor) -> Tensor:
        """log Σ over y of p(y) p(x|z, y) p(z) / q(z|x, y), z ~ q(z|x, y); eps (n, k, latent) → (n, k)."""
        every, y = self._enumerated(x)
        z, log_q = self.encoder(every, y).draws(eps.repeat_interleave(self.classes, 0))
        log_w = self._log_likelihood(every, y, z) + bounds.log_prior(bounds.NORMAL, z) - log_q
        return log_w.unflatten(0, (len(x), self.classes)).logsumexp(1) - math.log(self.classes)

    def score(self, x: Tensor, *, eps: Tensor) -> Tensor:
        """The evidence lower bound of each example, its class unknown, in nats: (n,)."""
        return -self._unlabelled(x, eps)

    def _unlabelled(self, x: Tensor, eps: Tensor) -> Tensor:
        log_q = self.classifier(x).log_softmax(1)
        every, y = self._enumerated(x)
        bound = self._labelled(every, y, eps.repeat_interleave(self.classes, 0)).view_as(log_q)
        return (log_q.exp() * (bound + log_q)).sum(1)

    def _labelled(self, x: Tensor, y: Tensor, eps: Tensor) -> Tensor:
        q: Gaussian = self.encoder(x, y)
        z, _ = q.draws(eps)
        return q.kl() + math.log(self.classes) - self._log_likelihood(x, y, z).mean(1)

    def _log_likelihood(self, x: Tensor, y: Tensor, z: Tensor) -> Tensor:
        """log p(x|z, y): z (n, k, latent) → (n, k)."""
        told = F.one_hot(y, self.classes).to(z)[:, None].expand(-1, z.shape[1], -1)
        return bounds.log_likelihood(self.decoder, x, torch.cat([z, told], 2))

    def _enumerated(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Each example beside each class: (n · classes, …), (n · classes,)."""
        y = torch.arange(self.classes, device=x.device).repeat(len(x))
        return x.repeat_interleave(self.classes, 0), y

    # Randomness

    def noise(self) -> dict[str, Source]:
        return {
            "eps": Normal((self.draws, self.latent)),  # posterior: z = mean + std · eps, for every class
            "eps_labelled": Normal((self.draws, self.latent)),  # the same, of the labelled minibatch
            "z": Normal((self.latent,)),  # prior: drawn only to sample
            "y": Categorical((), self.classes),  # the class of a sample; pinned, it is the one asked for
        }

    def sample(self, *, z: Tensor, y: Tensor) -> Tensor:
        return self.decode(torch.cat([z, F.one_hot(y, self.classes).to(z)], 1))
