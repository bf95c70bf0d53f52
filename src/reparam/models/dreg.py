"""The importance-weighted autoencoder with doubly reparameterised gradients."""

import math

import torch
from torch import Tensor, nn

from reparam import bounds
from reparam.distributions import Gaussian
from reparam.model import Model, Move, Terms, Turn
from reparam.noise import Normal, Source


class DReG(Model):
    """x ─encoder→ q(z|x) ─eps→ K draws of z ─decoder→ p(x|z);  the encoder learns through the draws alone"""

    name = "dreg"
    paper = (
        "Tucker et al. 2019, Doubly Reparameterized Gradient Estimators for Monte Carlo Objectives, "
        "arXiv:1810.04152"
    )
    surrogates = ("doubly",)  # its gradient, not its value, is meant: the bound's, with less variance

    # Structure and training flow

    def __init__(self, encoder: nn.Module, decoder: nn.Module, latent: int, *, draws: int = 5) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.latent, self.draws = latent, bounds.at_least_one(draws)

    def turns(self) -> list[Turn]:
        return [
            Turn(
                Move(self.encoder, weights={"doubly": 1.0}),
                Move(self.decoder, weights={"bound": 1.0}),
                lowers=self.negative_bound,
            )
        ]

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x).mean

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z).mean

    # Loss

    def negative_bound(self, x: Tensor, *, eps: Tensor) -> Terms:
        """Tucker et al. 2019, the estimator for IWAE; eps (n, K, latent). The last two are only logged.

        bound = −log (1/K) Σₖ wₖ, wₖ = p(x|zₖ) p(zₖ) / q(zₖ|x), zₖ = mean + std · epsₖ
        doubly = −Σₖ w̃ₖ² log wₖ, w̃ = w / Σ w; w̃ and the density q held still, so that only zₖ moves
        distortion = mean over draws of −log p(x|z)
        rate = KL(q(z|x) ‖ N(0, I))
        """
        q: Gaussian = self.encoder(x)
        z = bounds.draw(q, eps)
        log_likelihood = bounds.log_likelihood(self.decoder, x, z)
        still = Gaussian(q.mean.detach(), q.log_std.detach())
        back = (z - still.mean[:, None]) * torch.exp(-still.log_std)[:, None]  # eps, as a function of z
        log_w = log_likelihood + bounds.log_ratio(still, z, back)
        share = log_w.detach().softmax(1)
        return {
            "bound": math.log(eps.shape[1]) - log_w.logsumexp(1),
            "doubly": -(share.square() * log_w).sum(1),
            "distortion": -log_likelihood.mean(1),
            "rate": q.kl(),
        }

    def log_weights(self, x: Tensor, *, eps: Tensor) -> Tensor:
        """log p(x|z) p(z) / q(z|x) at k draws of z; eps (n, k, latent) → (n, k), in nats."""
        return bounds.log_weights(self.decoder, self.encoder(x), x, eps)

    def log_joint(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x|z) p(z); z (n, k, latent) → (n, k), in nats."""
        return bounds.log_joint(self.decoder, x, z)

    def score(self, x: Tensor, *, eps: Tensor) -> Tensor:
        """The importance-weighted bound of each example, in nats: (n,)."""
        return self.log_weights(x, eps=eps).logsumexp(1) - math.log(eps.shape[1])

    # Randomness

    def noise(self) -> dict[str, Source]:
        return {
            "eps": Normal((self.draws, self.latent)),  # posterior: K draws, z = mean + std · eps
            "z": Normal((self.latent,)),  # prior: drawn only to sample
        }

    def sample(self, *, z: Tensor) -> Tensor:
        return self.decode(z)
