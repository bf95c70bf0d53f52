"""RecVAE: the Mult-VAE with a composite prior, a rate that grows with the user, and players who alternate."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from reparam.data.bags import Bags
from reparam.distributions import LOG_2PI, Gaussian
from reparam.model import Model, Replace, Rule, Terms, Turn
from reparam.nets.frozen import as_state
from reparam.noise import Everywhere, Normal, Source

SHARES = (0.15, 0.75, 0.10)  # of N(0, I), of the old posterior, of N(0, e¹⁰)
WIDE = 10.0  # log-variance of the last

Mixture = Callable[[Tensor], Tensor]
"""From the log-densities of three laws in each dimension, (3, n, latent), to that of their mixture, (n,)."""


def joint(densities: Tensor) -> Tensor:
    """log Σ_k share_k Π_d density: as the paper writes it."""
    return (densities.sum(2) + _shares(densities)).logsumexp(0)


def per_dimension(densities: Tensor) -> Tensor:
    """Σ_d log Σ_k share_k density: a mixture in every dimension, as the authors' code has it."""
    return (densities + _shares(densities)[..., None]).logsumexp(0).sum(1)


def _shares(densities: Tensor) -> Tensor:
    return densities.new_tensor(SHARES).log()[:, None]


class RecVAE(Model):
    """x ─unit length─ dropout ─encoder→ q(z|x) ─eps→ z ─decoder→ p(items|z);  x ─old encoder→ prior of z"""

    name = "rec-vae"
    paper = (
        "Shenbin et al. 2020, RecVAE: A New Variational Autoencoder for Top-N Recommendations with Implicit "
        "Feedback, arXiv:1912.11160"
    )
    takes = ("bag",)

    # Structure and training flow

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        latent: int,
        *,
        mixture: Mixture = per_dimension,
        gamma: float = 0.005,
        dropout: float = 0.5,
        period: int = 100,
    ) -> None:
        super().__init__()
        self.encoder, self.decoder, self.latent = encoder, decoder, latent
        self.mixture, self.gamma, self.dropout, self.period = mixture, gamma, dropout, period
        self.old = as_state(encoder)
        self.register_buffer("age", torch.zeros((), dtype=torch.int64))

    def turns(self) -> list[Turn]:
        # In the paper three epochs of the encoder and one of the decoder; here as many steps.
        weights = {"distortion": 1.0, "user_rate": self.gamma}
        return [
            Turn(self.encoder, lowers=self.inference, weights=weights, repeat=3),
            Turn(self.decoder, lowers=self.reconstruction),
        ]

    def state(self) -> Mapping[str, Rule]:
        return {"age": Replace(), **{f"old.{name}": Replace() for name, _ in self.old.named_buffers()}}

    def encode(self, x: Bags) -> Tensor:
        return self.encoder(x.unit()).mean

    def decode(self, z: Tensor) -> Tensor:
        """The probability of each item: (n, items)."""
        return self.decoder(z).mean

    def rank(self, x: Bags) -> Tensor:
        """Of every item, larger for those that are rather chosen next; without noise: (n, items)."""
        return self.decoder(self.encode(x)).logits

    # Loss

    def inference(self, x: Bags, *, drop: Tensor, eps: Tensor) -> Terms:
        """Shenbin et al. 2020, eq. 6–8; z = mean + std · eps, q of the unit bag with items dropped.

        distortion = −Σ_i x_i log softmax_i(decoder(z))
        rate = log q(z|x) − log p(z), p composite: N(0, I), the old encoder's q of the whole bag, N(0, e¹⁰)
        user_rate = |x| · rate
        """
        q: Gaussian = self.encoder(x.unit().dropout(self.dropout, drop))
        z = q.at(eps)
        rate = q.log_prob(z) - self.mixture(self._densities(x, z))
        terms = {"distortion": -self.decoder(z).log_prob(x), "rate": rate, "user_rate": x.sums() * rate}
        return terms | self._grown()

    def reconstruction(self, x: Bags, *, eps: Tensor) -> Terms:
        """The same without dropout; Shenbin et al. 2020, §3.4.

        seen = −Σ_i x_i log softmax_i(decoder(z))
        """
        q: Gaussian = self.encoder(x.unit())
        return {"seen": -self.decoder(q.at(eps)).log_prob(x)}

    def _densities(self, x: Bags, z: Tensor) -> Tensor:
        """Log-densities of z in each dimension under the three: (3, n, latent)."""
        old: Gaussian = self.old(x.unit())
        zeros = torch.zeros_like(z)
        laws = [(zeros, zeros), (old.mean, old.log_std), (zeros, zeros + 0.5 * WIDE)]
        each = [
            -0.5 * ((z - mean) * torch.exp(-log_std)).square() - log_std - 0.5 * LOG_2PI
            for mean, log_std in laws
        ]
        return torch.stack(each)

    def _grown(self) -> Terms:
        """The old encoder becomes the present one after every `period` of the encoder's steps."""
        age = self.get_buffer("age") + 1
        if int(age) < self.period:
            return {"age": age}
        present = {f"old.{name}": p.detach() for name, p in self.encoder.named_parameters()}
        return {"age": torch.zeros_like(age), **present}

    # Randomness

    def noise(self) -> dict[str, Source]:
        return {
            "drop": Everywhere(),  # which items the encoder does not see, in its own turn only
            "eps": Normal((self.latent,)),  # posterior: z = mean + std · eps
            "z": Normal((self.latent,)),  # the first of the three priors: drawn only to sample
        }

    def sample(self, *, z: Tensor) -> Tensor:
        return self.decode(z)
