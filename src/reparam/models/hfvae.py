"""The VAE whose rate is taken apart twice: between groups of code dimensions, and within each."""

import torch
from torch import Tensor, nn

from reparam.coupling import gather, mine
from reparam.distributions import LOG_2PI, Gaussian, total
from reparam.errors import ReparamError
from reparam.model import Model, Terms, Turn
from reparam.models.beta_tc_vae import log_normal, log_stratified
from reparam.noise import Normal, Source


class HFVAE(Model):
    """x ─encoder→ q(z|x) ─eps→ z, in groups ─decoder→ p(x|z);  q(z) estimated by the batch's posteriors"""

    name = "hfvae"
    paper = "Esmaeili et al. 2019, Structured Disentangled Representations, AISTATS 2019, arXiv:1804.02086"
    couples_batch = True  # q(z) is a mixture of the posteriors of the batch

    # Structure and training flow

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        latent: int,
        examples: int,
        *,
        group: int = 2,
        alpha: float = 1.0,
        beta: float = 6.0,
        gamma: float = 1.0,
    ) -> None:
        super().__init__()
        if not 1 <= group <= latent:
            raise ReparamError(f"hfvae: groups of {group} of {latent} dimensions; give 1 … {latent}.")
        self.encoder, self.decoder = encoder, decoder
        self.latent, self.examples, self.group = latent, examples, group
        self.alpha, self.beta, self.gamma = alpha, beta, gamma

    def turns(self) -> list[Turn]:
        parts = {"information": self.alpha, "between": self.beta, "within": self.gamma, "dimensions": 1.0}
        weights = {"distortion": 1.0, **parts}
        return [Turn(self.encoder, self.decoder, lowers=self.negative_elbo, weights=weights)]

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x).mean

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z).mean

    # Loss

    def negative_elbo(self, x: Tensor, *, eps: Tensor) -> Terms:
        """Esmaeili et al. 2019, §3, with weights α, β and γ; all 1, the sum is one draw of the negative ELBO.

        distortion = −log p(x|z), z = mean + std · eps
        information = log q(z|x) − log q̂(z), whose mean is I(x; z)
        between = log q̂(z) − Σ over groups of log q̂(z_g), whose mean is the groups' total correlation
        within = Σ over groups of log q̂(z_g) − Σⱼ log q̂(zⱼ), whose mean is that of each group's dimensions
        dimensions = Σⱼ log q̂(zⱼ) − log p(zⱼ), whose mean is Σⱼ KL(q(zⱼ) ‖ p(zⱼ))

        q̂ is the β-TC-VAE's mixture over the batch, which both papers have; in nats. Groups of one dimension
        leave the β-TC-VAE.
        """
        q: Gaussian = self.encoder(x)
        z = q.at(eps)
        means, log_stds = gather(q.mean), gather(q.log_std)
        # log q(zⱼ of row i | x of row k): (n, m, latent); of a group: (n, m, groups)
        each = log_normal(z[:, None], means, log_stds)
        grouped = torch.stack([part.sum(2) for part in each.split(self.group, 2)], 2)
        log_weight = mine(log_stratified(means, self.examples))
        log_q = (each.sum(2) + log_weight).logsumexp(1)
        log_groups, log_factors = (
            (parts + log_weight[:, :, None]).logsumexp(1).sum(1) for parts in (grouped, each)
        )
        return {
            "distortion": -self.decoder(z).log_prob(x),
            "information": total(log_normal(z, q.mean, q.log_std)) - log_q,
            "between": log_q - log_groups,
            "within": log_groups - log_factors,
            "dimensions": log_factors + 0.5 * total(z.square() + LOG_2PI),
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
