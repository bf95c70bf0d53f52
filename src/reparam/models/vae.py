"""The variational autoencoder."""

from torch import Tensor, nn

from reparam import bounds
from reparam.distributions import Gaussian
from reparam.model import Model, Terms, Turn
from reparam.noise import Normal, Source
from reparam.schedules import Weight


class VAE(Model):
    """x ─encoder→ q(z|x) ─eps→ z ─decoder→ p(x|z)"""

    name = "vae"
    paper = "Kingma & Welling 2014, Auto-Encoding Variational Bayes, arXiv:1312.6114"

    # Structure and training flow

    def __init__(
        self, encoder: nn.Module, decoder: nn.Module, latent: int, *, draws: int = 1, beta: Weight = 1.0
    ) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.latent, self.draws, self.beta = latent, bounds.at_least_one(draws), beta

    def turns(self) -> list[Turn]:
        weights = {"distortion": 1.0, "rate": self.beta}
        return [Turn(self.encoder, self.decoder, lowers=self.negative_elbo, weights=weights)]

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x).mean

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z).mean

    # Loss

    def negative_elbo(self, x: Tensor, *, eps: Tensor) -> Terms:
        """Kingma & Welling 2014, eq. 7; eps (n, draws, latent). Their sum is the negative ELBO in nats.

        distortion = mean over draws of −log p(x|z), z = mean + std · eps
        rate = KL(q(z|x) ‖ N(0, I))
        """
        q: Gaussian = self.encoder(x)
        log_likelihood = bounds.log_likelihood(self.decoder, x, bounds.draw(q, eps))
        return {"distortion": -log_likelihood.mean(1), "rate": q.kl()}

    def log_weights(self, x: Tensor, *, eps: Tensor) -> Tensor:
        """log p(x|z) p(z) / q(z|x) at k draws of z; eps (n, k, latent) → (n, k), in nats."""
        return bounds.log_weights(self.decoder, self.encoder(x), x, eps)

    def log_joint(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x|z) p(z); z (n, k, latent) → (n, k), in nats."""
        return bounds.log_joint(self.decoder, x, z)

    def score(self, x: Tensor, *, eps: Tensor) -> Tensor:
        """The evidence lower bound of each example, in nats: (n,)."""
        terms = self.negative_elbo(x, eps=eps)
        return -(terms["distortion"] + terms["rate"])

    # Randomness

    def noise(self) -> dict[str, Source]:
        return {
            "eps": Normal((self.draws, self.latent)),  # posterior: z = mean + std · eps
            "z": Normal((self.latent,)),  # prior: drawn only to sample
        }

    def sample(self, *, z: Tensor) -> Tensor:
        return self.decode(z)
