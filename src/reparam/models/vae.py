"""The variational autoencoder."""

from torch import Tensor, nn

from reparam import bounds
from reparam.distributions import Posterior, Prior
from reparam.model import Model, Terms, Turn
from reparam.nets.priors import PriorNetwork, StandardNormalPrior
from reparam.noise import Normal, Source
from reparam.schedules import Weight


class VAE(Model):
    """x ─encoder→ q(z|x) ─eps→ z ─decoder→ p(x|z);  p(z) = prior"""

    name = "vae"
    paper = "Kingma & Welling 2014, Auto-Encoding Variational Bayes, arXiv:1312.6114"

    prior: PriorNetwork

    # Structure and training flow

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        latent: int,
        *,
        draws: int = 1,
        beta: Weight = 1.0,
        prior: PriorNetwork | None = None,
    ) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.prior = prior or StandardNormalPrior(latent)
        self.latent, self.draws, self.beta = latent, bounds.at_least_one(draws), beta

    def turns(self) -> list[Turn]:
        weights = {"distortion": 1.0, "rate": self.beta}
        learned = [self.prior] if any(True for _ in self.prior.parameters()) else []
        return [Turn(self.encoder, self.decoder, *learned, lowers=self.negative_elbo, weights=weights)]

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x).mean

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z).mean

    def prior_law(self) -> Prior:
        """p(z)."""
        return self.prior(self.encoder)

    # Loss

    def negative_elbo(self, x: Tensor, *, eps: Tensor) -> Terms:
        """Kingma & Welling 2014, eq. 7; eps (n, draws, latent). Their sum is the negative ELBO in nats.

        distortion = mean over draws of −log p(x|z), z ~ q(z|x)
        rate = KL(q(z|x) ‖ p(z)), in closed form to N(0, I), else the mean over draws of log q(z|x) − log p(z)
        """
        q: Posterior = self.encoder(x)
        z, log_q = q.draws(eps)
        distortion = -bounds.log_likelihood(self.decoder, x, z).mean(1)
        return {"distortion": distortion, "rate": bounds.rate(q, self.prior_law(), z, log_q)}

    def log_weights(self, x: Tensor, *, eps: Tensor) -> Tensor:
        """log p(x|z) p(z) / q(z|x) at k draws of z; eps (n, k, latent) → (n, k), in nats."""
        return bounds.log_weights(self.decoder, self.encoder(x), x, eps, self.prior_law())

    def log_joint(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x|z) p(z); z (n, k, latent) → (n, k), in nats."""
        return bounds.log_joint(self.decoder, x, z, self.prior_law())

    def score(self, x: Tensor, *, eps: Tensor) -> Tensor:
        """The evidence lower bound of each example, in nats: (n,)."""
        terms = self.negative_elbo(x, eps=eps)
        return -(terms["distortion"] + terms["rate"])

    # Randomness

    def noise(self) -> dict[str, Source]:
        return {
            "eps": Normal((self.draws, self.latent)),  # posterior: what its law is pushed from
            "z": self.prior.source,  # prior: drawn only to sample
        }

    def sample(self, *, z: Tensor) -> Tensor:
        return self.decode(self.prior_law().at(z))
