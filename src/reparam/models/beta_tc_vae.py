"""The VAE whose rate is taken apart, and whose total correlation alone is weighed more."""

import math

import torch
from torch import Tensor, nn

from reparam.coupling import gather, mine
from reparam.distributions import LOG_2PI, Gaussian, total
from reparam.errors import ReparamError
from reparam.model import Model, Terms, Turn
from reparam.noise import Normal, Source


class BetaTCVAE(Model):
    """x ─encoder→ q(z|x) ─eps→ z ─decoder→ p(x|z);  q(z) estimated by the batch's posteriors"""

    name = "beta-tc-vae"
    paper = "Chen et al. 2018, Isolating Sources of Disentanglement in VAEs, arXiv:1802.04942"
    couples_batch = True  # q(z) is a mixture of the posteriors of the batch

    # Structure and training flow

    def __init__(
        self, encoder: nn.Module, decoder: nn.Module, latent: int, examples: int, *, beta: float = 6.0
    ) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.latent, self.examples, self.beta = latent, examples, beta

    def turns(self) -> list[Turn]:
        weights = {"distortion": 1.0, "information": 1.0, "correlation": self.beta, "dimensions": 1.0}
        return [Turn(self.encoder, self.decoder, lowers=self.negative_elbo, weights=weights)]

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x).mean

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z).mean

    # Loss

    def negative_elbo(self, x: Tensor, *, eps: Tensor) -> Terms:
        """Chen et al. 2018, eq. 2; with weights 1 the sum is one draw of the negative ELBO, in nats.

        distortion = −log p(x|z), z = mean + std · eps
        information = log q(z|x) − log q̂(z), whose mean is I(x; z)
        correlation = log q̂(z) − Σⱼ log q̂(zⱼ), whose mean is the total correlation
        dimensions = Σⱼ log q̂(zⱼ) − log p(zⱼ), whose mean is Σⱼ KL(q(zⱼ) ‖ p(zⱼ))

        q̂ is the stratified mixture over the batch, all constants kept. It is an unbiased estimate of q; its
        logarithm is not of log q, and I(x; z) so estimated is at most the logarithm of the batch size or so.
        """
        q: Gaussian = self.encoder(x)
        z = q.at(eps)
        joint = Gaussian(gather(q.mean), gather(q.log_std))
        # log q(zⱼ of row i | x of row k): (n, m, latent)
        each = log_normal(z[:, None], joint.mean, joint.log_std)
        log_weight = mine(log_stratified(joint.mean, self.examples))
        log_q_x = total(log_normal(z, q.mean, q.log_std))
        log_q = (each.sum(2) + log_weight).logsumexp(1)
        log_factors = (each + log_weight[:, :, None]).logsumexp(1).sum(1)
        log_prior = -0.5 * total(z.square() + LOG_2PI)
        return {
            "distortion": -self.decoder(z).log_prob(x),
            "information": log_q_x - log_q,
            "correlation": log_q - log_factors,
            "dimensions": log_factors - log_prior,
        }

    def score(self, x: Tensor, *, eps: Tensor) -> Tensor:
        """The evidence lower bound of each example, in nats: (n,)."""
        q: Gaussian = self.encoder(x)
        return self.decoder(q.at(eps)).log_prob(x) - q.kl()

    # Randomness

    def noise(self) -> dict[str, Source]:
        return {
            "eps": Normal((self.latent,)),  # posterior: z = mean + std · eps
            "z": Normal((self.latent,)),  # prior: drawn only to sample
        }

    def sample(self, *, z: Tensor) -> Tensor:
        return self.decode(z)


def log_normal(x: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """The log density of each dimension by itself."""
    return -0.5 * (((x - mean) * torch.exp(-log_std)).square() + LOG_2PI) - log_std


def log_stratified(means: Tensor, examples: int) -> Tensor:
    """log of the weights in q̂ of a batch's m posteriors: (m, m), row i for the z of example i.

    Of the N terms of q(z) = 1/N Σ q(z|x), that of z's own example is known: 1/N. The others of the batch
    stand for the N − 1 that remain. Rows sum to 1; Chen et al. 2018, appendix C.2, give one column more.
    """
    batch = len(means)
    if batch < 2:
        raise ReparamError("q(z) is estimated by the batch: give it at least 2 examples.")
    n = max(examples, batch)  # a batch of more than an epoch holds some examples twice
    weights = means.new_full((batch, batch), math.log((n - 1) / (n * (batch - 1))))
    return weights.fill_diagonal_(-math.log(n))
