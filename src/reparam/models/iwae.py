"""The importance-weighted autoencoder."""

import math

from torch import Tensor, nn

from reparam import bounds
from reparam.distributions import Posterior, Prior
from reparam.model import Model, Terms, Turn
from reparam.nets.priors import PriorNetwork, StandardNormalPrior
from reparam.noise import Normal, Source


class IWAE(Model):
    """x ─encoder→ q(z|x) ─eps→ K draws of z ─decoder→ p(x|z);  each draw weighs p(x, z) / q(z|x)"""

    name = "iwae"
    paper = "Burda, Grosse & Salakhutdinov 2016, Importance Weighted Autoencoders, arXiv:1509.00519"

    prior: PriorNetwork

    # Structure and training flow

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        latent: int,
        *,
        draws: int = 5,
        prior: PriorNetwork | None = None,
    ) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.prior = prior or StandardNormalPrior(latent)
        self.latent, self.draws = latent, bounds.at_least_one(draws)

    def turns(self) -> list[Turn]:
        learned = [self.prior] if any(True for _ in self.prior.parameters()) else []
        weights = {"bound": 1.0}
        return [Turn(self.encoder, self.decoder, *learned, lowers=self.negative_bound, weights=weights)]

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x).mean

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z).mean

    def prior_law(self) -> Prior:
        """p(z)."""
        return self.prior(self.encoder)

    # Loss

    def negative_bound(self, x: Tensor, *, eps: Tensor) -> Terms:
        """Burda et al. 2016, eq. 8; eps (n, K, latent). The last two are only logged.

        bound = −log (1/K) Σₖ wₖ, wₖ = p(x|zₖ) p(zₖ) / q(zₖ|x), zₖ ~ q(z|x)
        distortion = mean over draws of −log p(x|z)
        rate = KL(q(z|x) ‖ p(z)), in closed form to N(0, I), else the mean over draws of log q(z|x) − log p(z)
        """
        q: Posterior = self.encoder(x)
        p = self.prior_law()
        z, log_q = q.draws(eps)
        log_likelihood = bounds.log_likelihood(self.decoder, x, z)
        log_w = log_likelihood + bounds.log_prior(p, z) - log_q
        return {
            "bound": math.log(eps.shape[1]) - log_w.logsumexp(1),
            "distortion": -log_likelihood.mean(1),
            "rate": bounds.rate(q, p, z, log_q),
        }

    def log_weights(self, x: Tensor, *, eps: Tensor) -> Tensor:
        """log p(x|z) p(z) / q(z|x) at k draws of z; eps (n, k, latent) → (n, k), in nats."""
        return bounds.log_weights(self.decoder, self.encoder(x), x, eps, self.prior_law())

    def log_joint(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x|z) p(z); z (n, k, latent) → (n, k), in nats."""
        return bounds.log_joint(self.decoder, x, z, self.prior_law())

    def score(self, x: Tensor, *, eps: Tensor) -> Tensor:
        """The importance-weighted bound of each example, in nats: (n,)."""
        return -self.negative_bound(x, eps=eps)["bound"]

    # Randomness

    def noise(self) -> dict[str, Source]:
        return {
            "eps": Normal((self.draws, self.latent)),  # posterior: K draws, what its law is pushed from
            "z": self.prior.source,  # prior: drawn only to sample
        }

    def sample(self, *, z: Tensor) -> Tensor:
        return self.decode(self.prior_law().at(z))
