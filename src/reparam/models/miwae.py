"""The importance-weighted autoencoder of data with holes."""

import math

import torch
from torch import Tensor, nn

from reparam import bounds
from reparam.distributions import Gaussian, Posterior
from reparam.model import Model, Terms, Turn
from reparam.noise import Normal, Shape, Source, Uniform


class MIWAE(Model):
    """x, NaN where missing ─encoder→ q(z|x) ─eps→ K draws of z ─decoder→ p(x|z);  what was observed weighs"""

    name = "miwae"
    paper = (
        "Mattei & Frellsen 2019, MIWAE: Deep Generative Modelling and Imputation of Incomplete Data Sets, "
        "arXiv:1812.02633"
    )
    takes_missing = True

    # Structure and training flow

    def __init__(
        self, encoder: nn.Module, decoder: nn.Module, latent: int, shape: Shape, *, draws: int = 5
    ) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.latent, self.shape, self.draws = latent, shape, bounds.at_least_one(draws)

    def turns(self) -> list[Turn]:
        return [Turn(self.encoder, self.decoder, lowers=self.negative_bound, weights={"bound": 1.0})]

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x).mean

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z).mean

    # Loss

    def negative_bound(self, x: Tensor, *, eps: Tensor) -> Terms:
        """Mattei & Frellsen 2019, §3; o is what was observed of x; eps (n, K, latent). Two are only logged.

        bound = −log (1/K) Σₖ wₖ, wₖ = p(o|zₖ) p(zₖ) / q(zₖ|o), zₖ ~ q(z|o)
        distortion = mean over draws of −log p(o|z)
        rate = KL(q(z|o) ‖ N(0, I))
        """
        q: Posterior = self.encoder(x)
        z, log_q = q.draws(eps)
        log_likelihood = bounds.log_observed(self.decoder, x, z)
        log_w = log_likelihood + bounds.log_prior(bounds.NORMAL, z) - log_q
        return {
            "bound": math.log(eps.shape[1]) - log_w.logsumexp(1),
            "distortion": -log_likelihood.mean(1),
            "rate": bounds.rate(q, bounds.NORMAL, z, log_q),
        }

    def log_weights(self, x: Tensor, *, eps: Tensor) -> Tensor:
        """log p(o|z) p(z) / q(z|o) at k draws of z; eps (n, k, latent) → (n, k), in nats."""
        z, log_q = self.encoder(x).draws(eps)
        return self.log_joint(x, z) - log_q

    def log_joint(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(o|z) p(z); z (n, k, latent) → (n, k), in nats."""
        return bounds.log_observed(self.decoder, x, z) + bounds.log_prior(bounds.NORMAL, z)

    def score(self, x: Tensor, *, eps: Tensor) -> Tensor:
        """The importance-weighted bound of what was observed of each example, in nats: (n,)."""
        return -self.negative_bound(x, eps=eps)["bound"]

    # Randomness

    def noise(self) -> dict[str, Source]:
        return {
            "eps": Normal((self.draws, self.latent)),  # posterior: K draws, what its law is pushed from
            "z": Normal((self.latent,)),  # prior: drawn only to sample
            "pick": Uniform(),  # which of the K draws an imputation is made of
            "grain": Normal(self.shape),  # what is missing itself, given that draw
        }

    def sample(self, *, z: Tensor) -> Tensor:
        return self.decode(z)

    def impute(self, x: Tensor, *, eps: Tensor) -> Tensor:
        """x, the missing by its expectation given o, Σₖ w̃ₖ E[x|zₖ] with w̃ = w / Σ w; eps (n, K, latent)."""
        z, shares = self._weighed(x, eps)
        means = self.decode(z.flatten(0, 1)).unflatten(0, z.shape[:2])
        return torch.where(torch.isnan(x), torch.einsum("nk,nk...->n...", shares, means), x)

    def impute_once(self, x: Tensor, *, eps: Tensor, pick: Tensor, grain: Tensor) -> Tensor:
        """x, the missing by a draw given o: of p(x|zₖ), k with probability w̃ₖ. Rubin 1987's resampling."""
        z, shares = self._weighed(x, eps)
        k = (shares.cumsum(1) <= pick[:, None]).sum(1).clamp_max(z.shape[1] - 1)
        p = self.decoder(z[torch.arange(len(z), device=z.device), k])
        # Other laws are pushed from uniform noise.
        noise = grain if isinstance(p, Gaussian) else torch.special.ndtr(grain)
        return torch.where(torch.isnan(x), p.at(noise), x)

    def _weighed(self, x: Tensor, eps: Tensor) -> tuple[Tensor, Tensor]:
        """Draws of q(z|o), (n, K, latent), and the share of each in the weight of all, (n, K)."""
        z, log_q = self.encoder(x).draws(eps)
        return z, (self.log_joint(x, z) - log_q).softmax(1)
