"""The VAE whose codes may say something at no cost."""

from torch import Tensor, nn

from reparam import bounds
from reparam.distributions import Gaussian
from reparam.errors import ReparamError
from reparam.losses import free_bits
from reparam.model import Model, Terms, Turn
from reparam.noise import Normal, Source


class FreeBitsVAE(Model):
    """x ─encoder→ q(z|x) ─eps→ z ─decoder→ p(x|z);  a group of dimensions pays for what is above λ nats"""

    name = "free-bits-vae"
    paper = (
        "Kingma et al. 2016, Improving Variational Inference with Inverse Autoregressive Flow, "
        "arXiv:1606.04934"
    )
    takes = ("image", "vector", "tokens")
    couples_batch = True  # what is free is the mean rate over the batch

    # Structure and training flow

    def __init__(
        self, encoder: nn.Module, decoder: nn.Module, latent: int, *, nats: float = 0.5, group: int = 1
    ) -> None:
        super().__init__()
        if nats < 0 or group < 1 or latent % group:
            raise ReparamError(
                f"free bits: nats={nats:g} in groups of {group} of {latent} dimensions; give nats ≥ 0 and a "
                "divisor of latent."
            )
        self.encoder, self.decoder = encoder, decoder
        self.latent, self.nats, self.group = latent, nats, group

    def turns(self) -> list[Turn]:
        weights = {"distortion": 1.0, "paid": 1.0}
        return [Turn(self.encoder, self.decoder, lowers=self.negative_elbo, weights=weights)]

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x).mean

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z).mean

    # Loss

    def negative_elbo(self, x: Tensor, *, eps: Tensor) -> Terms:
        """Kingma et al. 2016, eq. 15; eps (n, 1, latent). Distortion and rate are the negative ELBO, in nats.

        distortion = −log p(x|z), z = mean + std · eps
        rate = KL(q(z|x) ‖ N(0, I)), which is logged and not lowered
        paid = Σ over groups of max(λ, the batch's mean KL of the group)
        """
        q: Gaussian = self.encoder(x)
        groups = q.kl_of_each().unflatten(1, (-1, self.group)).sum(2)
        return {
            "distortion": -self.decoder(q.at(eps[:, 0])).log_prob(x),
            "rate": groups.sum(1),
            "paid": free_bits(groups, self.nats),
        }

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
            "eps": Normal((1, self.latent)),  # posterior: z = mean + std · eps
            "z": Normal((self.latent,)),  # prior: drawn only to sample
        }

    def sample(self, *, z: Tensor) -> Tensor:
        return self.decode(z)
