"""The VAE whose rate is weighed less, and whose codes as a whole are held to the prior by MMD."""

from torch import Tensor, nn

from reparam.coupling import gather
from reparam.losses import inverse_multiquadratic, mmd
from reparam.model import Model, Terms, Turn
from reparam.noise import Source


class InfoVAE(Model):
    """x ─encoder→ q(z|x) ─eps→ z ─decoder→ p(x|z);  MMD between the batch's codes and draws of the prior"""

    name = "info-vae"
    paper = "Zhao, Song & Ermon 2019, InfoVAE, arXiv:1706.02262"
    couples_batch = True  # the MMD compares all codes with one another

    # Structure and training flow

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        posterior: Source,
        prior: Source,
        *,
        alpha: float = 0.5,
        penalty: float = 100.0,
    ) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.posterior, self.prior = posterior, prior
        self.alpha, self.penalty = alpha, penalty

    def turns(self) -> list[Turn]:
        weights = {"distortion": 1.0, "rate": 1 - self.alpha, "mmd": self.alpha + self.penalty - 1}
        return [Turn(self.encoder, self.decoder, lowers=self.negative_elbo, weights=weights)]

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x).mean

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z).mean

    # Loss

    def negative_elbo(self, x: Tensor, *, eps: Tensor, prior: Tensor) -> Terms:
        """Zhao et al. 2019, eq. 6, with MMD as the divergence; they are weighed 1, 1 − α and α + λ − 1.

        distortion = −log p(x|z), z ~ q(z|x)
        rate = KL(q(z|x) ‖ p(z))
        mmd = unbiased MMD²ₖ of the batch's z and draws of the prior; it can be negative

        The kernel is the WAE's, seven inverse multiquadratics with C = 2d: one width sees too little.
        """
        q = self.encoder(x)
        z = q.at(eps)
        return {
            "distortion": -self.decoder(z).log_prob(x),
            "rate": q.kl(),
            "mmd": mmd(z, prior, self._kernel, gather(z), gather(prior)),
        }

    def _kernel(self, a: Tensor, b: Tensor) -> Tensor:
        return inverse_multiquadratic(a, b, 2 * self.prior.shape[0])

    def score(self, x: Tensor, *, eps: Tensor) -> Tensor:
        """The evidence lower bound of each example, in nats: (n,)."""
        q = self.encoder(x)
        return self.decoder(q.at(eps)).log_prob(x) - q.kl()

    # Randomness

    def noise(self) -> dict[str, Source]:
        return {
            "eps": self.posterior,  # posterior: what the encoder's law is pushed from
            "prior": self.prior,  # what the codes are held against, and the codes of samples
        }

    def sample(self, *, prior: Tensor) -> Tensor:
        return self.decode(prior)
