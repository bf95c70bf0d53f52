"""The ladder VAE: layers of codes, each inferred from the data and the layer above it together."""

import torch
from torch import Tensor, nn

from reparam import bounds
from reparam.distributions import Prior
from reparam.model import Model, Terms, Turn
from reparam.nets.hierarchy import Ladder
from reparam.nets.priors import PriorNetwork
from reparam.noise import Normal, Source
from reparam.schedules import Weight


class LadderVAE(Model):
    """x ─encoder→ evidence, down: q(zₗ|zₗ₊₁, x) ∝ evidence × p(zₗ|zₗ₊₁) ─eps→ z;  z₁ ─decoder→ p(x|z₁)"""

    name = "ladder-vae"
    paper = "Sønderby et al. 2016, Ladder Variational Autoencoders, arXiv:1602.02282"

    prior: PriorNetwork

    # Structure and training flow

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        prior: PriorNetwork,
        *,
        draws: int = 1,
        beta: Weight = 1.0,
    ) -> None:
        super().__init__()
        self.encoder, self.decoder, self.prior = encoder, decoder, prior
        self.draws, self.beta = bounds.at_least_one(draws), beta

    def turns(self) -> list[Turn]:
        weights = {"distortion": 1.0, "rate": self.beta}
        return [Turn(self.encoder, self.decoder, self.prior, lowers=self.negative_elbo, weights=weights)]

    def posterior(self, x: Tensor) -> Ladder:
        """q(z|x)."""
        return Ladder(self.encoder(x), self.prior())

    def prior_law(self) -> Prior:
        """p(z)."""
        return self.prior()

    def encode(self, x: Tensor) -> Tensor:
        """The codes of all layers, side by side, the data's first."""
        return self.posterior(x).mean

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z).mean

    # Loss

    def negative_elbo(self, x: Tensor, *, eps: Tensor) -> Terms:
        """Sønderby et al. 2016, eq. 9, with β as their warm-up; eps (n, draws, Σ latents), in nats.

        distortion = mean over draws of −log p(x|z₁)
        rate = mean over draws of Σ over layers of KL(q(zₗ|zₗ₊₁, x) ‖ p(zₗ|zₗ₊₁)), each in closed form
        upper = the part of the rate that is not the lowest layer's, only logged
        """
        layers = self.posterior(x).layers(eps)
        z = torch.cat([layer.z for layer in layers], 1).view_as(eps)
        rates = torch.stack([layer.rate().view(eps.shape[:2]).mean(1) for layer in layers])
        distortion = -bounds.log_likelihood(self.decoder, x, z).mean(1)
        return {"distortion": distortion, "rate": rates.sum(0), "upper": rates[1:].sum(0)}

    def log_weights(self, x: Tensor, *, eps: Tensor) -> Tensor:
        """log p(x|z) p(z) / q(z|x) at k draws of z; eps (n, k, Σ latents) → (n, k), in nats."""
        layers = self.posterior(x).layers(eps)
        z = torch.cat([layer.z for layer in layers], 1).view_as(eps)
        log_q = torch.stack([layer.q.log_prob(layer.z) for layer in layers]).sum(0).view(eps.shape[:2])
        return self.log_joint(x, z) - log_q

    def log_joint(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x|z) p(z); z (n, k, Σ latents) → (n, k), in nats."""
        return bounds.log_joint(self.decoder, x, z, self.prior_law())

    def score(self, x: Tensor, *, eps: Tensor) -> Tensor:
        """The evidence lower bound of each example, in nats: (n,)."""
        terms = self.negative_elbo(x, eps=eps)
        return -(terms["distortion"] + terms["rate"])

    # Randomness

    def noise(self) -> dict[str, Source]:
        return {
            "eps": Normal((self.draws, *self.prior.source.shape)),  # posterior, of all layers
            "z": self.prior.source,  # prior, of all layers: drawn only to sample
        }

    def sample(self, *, z: Tensor) -> Tensor:
        return self.decode(self.prior_law().at(z))
