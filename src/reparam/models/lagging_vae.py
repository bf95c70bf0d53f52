"""The VAE whose encoder has turns of its own for as long as it lags behind its decoder."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from reparam import bounds
from reparam.coupling import gather
from reparam.distributions import LOG_2PI, Gaussian
from reparam.errors import ReparamError
from reparam.model import Model, Move, Replace, Rule, Terms, Turn
from reparam.noise import Normal, Source


class LaggingVAE(Model):
    """x ─encoder→ q(z|x) ─eps→ z ─decoder→ p(x|z);  while I(x; z) rises, the encoder moves more often"""

    name = "lagging-vae"
    paper = (
        "He et al. 2019, Lagging Inference Networks and Posterior Collapse in Variational Autoencoders, "
        "arXiv:1901.05534"
    )
    couples_batch = True  # I(x; z) is measured against the mixture of the batch's posteriors

    lagging: Tensor
    watch: Tensor

    # Structure and training flow

    def __init__(
        self, encoder: nn.Module, decoder: nn.Module, latent: int, *, repeat: int = 10, window: int = 100
    ) -> None:
        super().__init__()
        if repeat < 1 or window < 1:
            raise ReparamError(f"lagging-vae: repeat={repeat} and window={window}; both must be at least 1.")
        self.encoder, self.decoder, self.latent = encoder, decoder, latent
        self.repeat, self.window = repeat, window
        self.register_buffer("lagging", torch.ones(()))
        # Of the window that is open: the sum of I(x; z), and its steps; and the mean of the window before.
        self.register_buffer("watch", torch.tensor([0.0, 0.0, -1e30]))

    def turns(self) -> list[Turn]:
        weights = {"distortion": 1.0, "rate": 1.0}
        more = Move(self.encoder, weights=weights, when=_lags)
        return [
            Turn(more, lowers=self.inference, repeat=self.repeat),
            Turn(self.encoder, self.decoder, lowers=self.negative_elbo, weights=weights),
        ]

    def state(self) -> dict[str, Rule]:
        return {"lagging": Replace(), "watch": Replace()}

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x).mean

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z).mean

    # Loss

    def inference(self, x: Tensor, *, eps: Tensor) -> Terms:
        """He et al. 2019, algorithm 1: the encoder's own turns, each on a fresh batch.

        distortion = −log p(x|z), z = mean + std · eps
        rate = KL(q(z|x) ‖ N(0, I))
        behind = 1 for as long as I(x; z) rises, then 0: these turns are made at 1 alone
        """
        q: Gaussian = self.encoder(x)
        distortion = -self.decoder(q.at(eps[:, 0])).log_prob(x)
        return {"distortion": distortion, "rate": q.kl(), "behind": self.lagging.expand(len(x)).clone()}

    def negative_elbo(self, x: Tensor, *, eps: Tensor) -> Terms:
        """Kingma & Welling 2014, eq. 7; the last is only logged. eps (n, 1, latent).

        distortion = −log p(x|z), z = mean + std · eps
        rate = KL(q(z|x) ‖ N(0, I))
        information = log q(z|x) − log of the mean of q(z|·) over the batch; at most log n
        """
        q: Gaussian = self.encoder(x)
        z = q.at(eps[:, 0])
        information = _information(q, z.detach(), eps[:, 0])
        return {
            "distortion": -self.decoder(z).log_prob(x),
            "rate": q.kl(),
            "information": information,
            **self._watched(gather(information).mean()),
        }

    def _watched(self, information: Tensor) -> Terms:
        """The encoder has caught up, once and for all, when a window's mean is not above the one before."""
        total, steps, before = self.watch.unbind()
        total, steps = total + information.to(total), steps + 1
        mean, full = total / self.window, steps >= self.window
        behind = torch.where(full & (mean <= before), 0.0, self.lagging)
        closed = torch.stack([torch.zeros_like(mean), torch.zeros_like(mean), mean])
        return {
            "lagging": behind,
            "watch": torch.where(full, closed, torch.stack([total, steps, before])),
        }

    def log_weights(self, x: Tensor, *, eps: Tensor) -> Tensor:
        """log p(x|z) p(z) / q(z|x) at k draws of z; eps (n, k, latent) → (n, k), in nats."""
        return bounds.log_weights(self.decoder, self.encoder(x), x, eps)

    def log_joint(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x|z) p(z); z (n, k, latent) → (n, k), in nats."""
        return bounds.log_joint(self.decoder, x, z)

    def score(self, x: Tensor, *, eps: Tensor) -> Tensor:
        """The evidence lower bound of each example, in nats: (n,)."""
        q: Gaussian = self.encoder(x)
        return self.decoder(q.at(eps[:, 0])).log_prob(x) - q.kl()

    # Randomness

    def noise(self) -> dict[str, Source]:
        return {
            "eps": Normal((1, self.latent)),  # posterior: z = mean + std · eps; fresh in each repetition
            "z": Normal((self.latent,)),  # prior: drawn only to sample
        }

    def sample(self, *, z: Tensor) -> Tensor:
        return self.decode(z)


def _lags(means: Mapping[str, float]) -> bool:
    return means["behind"] > 0.5


def _information(q: Gaussian, z: Tensor, eps: Tensor) -> Tensor:
    """log q(zᵢ|xᵢ) − log (1/m) Σⱼ q(zᵢ|xⱼ) over the joint batch, in nats: (n,), without gradient."""
    log_std, means, log_stds = q.log_std.detach(), gather(q.mean.detach()), gather(q.log_std.detach())
    apart = (z[:, None] - means) * torch.exp(-log_stds)
    mixed = (-0.5 * (apart.square() + LOG_2PI) - log_stds).sum(2).logsumexp(1) - math.log(len(means))
    return (-0.5 * (eps.square() + LOG_2PI) - log_std).sum(1) - mixed
