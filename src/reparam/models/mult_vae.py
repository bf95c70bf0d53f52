"""The variational autoencoder of what people choose: a multinomial likelihood, partly regularised."""

from torch import Tensor, nn

from reparam.data.bags import Bags
from reparam.distributions import Gaussian
from reparam.model import Model, Terms, Turn
from reparam.noise import Everywhere, Normal, Source
from reparam.schedules import Weight


class MultVAE(Model):
    """x ─unit length─ dropout ─encoder→ q(z|x) ─eps→ z ─decoder→ p(items|z)"""

    name = "mult-vae"
    paper = "Liang et al. 2018, Variational Autoencoders for Collaborative Filtering, arXiv:1802.05814"
    takes = ("bag",)

    # Structure and training flow

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        latent: int,
        *,
        beta: Weight = 0.2,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.encoder, self.decoder, self.latent = encoder, decoder, latent
        self.beta, self.dropout = beta, dropout

    def turns(self) -> list[Turn]:
        # Far below 1 on purpose (§2.2.2): what is lowered is no bound. Both terms are logged unweighted.
        weights = {"distortion": 1.0, "rate": self.beta}
        return [Turn(self.encoder, self.decoder, lowers=self.negative_elbo, weights=weights)]

    def encode(self, x: Bags) -> Tensor:
        return self.encoder(x.unit()).mean

    def decode(self, z: Tensor) -> Tensor:
        """The probability of each item: (n, items)."""
        return self.decoder(z).mean

    def rank(self, x: Bags) -> Tensor:
        """Of every item, larger for those that are rather chosen next; without noise: (n, items)."""
        return self.decoder(self.encode(x)).logits

    # Loss

    def negative_elbo(self, x: Bags, *, drop: Tensor, eps: Tensor) -> Terms:
        """Liang et al. 2018, eq. 7; z = mean + std · eps, q of the unit bag with items dropped.

        distortion = −Σ_i x_i log softmax_i(decoder(z))
        rate = KL(q(z|x) ‖ N(0, I))
        """
        q: Gaussian = self.encoder(x.unit().dropout(self.dropout, drop))
        return {"distortion": -self.decoder(q.at(eps)).log_prob(x), "rate": q.kl()}

    # Randomness

    def noise(self) -> dict[str, Source]:
        return {
            "drop": Everywhere(),  # which items the encoder does not see, in training only
            "eps": Normal((self.latent,)),  # posterior: z = mean + std · eps, in training only
            "z": Normal((self.latent,)),  # prior: drawn only to sample
        }

    def sample(self, *, z: Tensor) -> Tensor:
        return self.decode(z)
