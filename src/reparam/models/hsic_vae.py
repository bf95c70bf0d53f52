"""The VAE of which two groups of code dimensions are held to be independent."""

import torch
from torch import Tensor, nn

from reparam.coupling import gather
from reparam.distributions import Gaussian
from reparam.model import Model, Terms, Turn
from reparam.noise import Normal, Source


def hsic(a: Tensor, b: Tensor) -> Tensor:
    """HSIC of samples a (n, d) and b (n, e): tr(K H L H) / (n − 1)², a scalar ≥ 0, biased by O(1/n).

    Gretton et al. 2005, Measuring Statistical Dependence with Hilbert-Schmidt Norms, eq. 9. The kernels are
    exp(−‖x − y‖² / 2d), whose width suits codes of deviation about 1.
    """
    k, other = (torch.exp(-(x[:, None] - x).square().sum(2) / (2 * x.shape[1])) for x in (a, b))
    centred = k - k.mean(0) - k.mean(1, keepdim=True) + k.mean()
    return (centred * other).sum() / (len(a) - 1) ** 2


class HSICVAE(Model):
    """x ─encoder→ q(z|x) ─eps→ z ─decoder→ p(x|z);  HSIC of the batch's first codes and of the others"""

    name = "hsic-vae"
    paper = "Lopez et al. 2018, Information Constraints on Auto-Encoding Variational Bayes, arXiv:1805.08672"
    couples_batch = True  # dependence is one of the batch

    # Structure and training flow

    def __init__(
        self, encoder: nn.Module, decoder: nn.Module, latent: int, first: int, *, penalty: float = 1000.0
    ) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.latent, self.first, self.penalty = latent, first, penalty

    def turns(self) -> list[Turn]:
        weights = {"distortion": 1.0, "rate": 1.0, "dependence": self.penalty}
        return [Turn(self.encoder, self.decoder, lowers=self.negative_elbo, weights=weights)]

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x).mean

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z).mean

    # Loss

    def negative_elbo(self, x: Tensor, *, eps: Tensor) -> Terms:
        """Lopez et al. 2018, eq. 5, with two groups of codes for the variables to be independent.

        distortion = −log p(x|z), z = mean + std · eps
        rate = KL(q(z|x) ‖ N(0, I))
        dependence = HSIC(first codes, other codes) over the batch
        """
        q: Gaussian = self.encoder(x)
        z = q.at(eps)
        codes = gather(z)
        dependence = hsic(codes[:, : self.first], codes[:, self.first :])
        return {
            "distortion": -self.decoder(z).log_prob(x),
            "rate": q.kl(),
            "dependence": dependence.expand(len(x)),
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
