"""The poem bot: a VAE of short lines whose every character is decoded at once."""

from torch import Tensor, nn

from reparam import bounds
from reparam.distributions import Gaussian, Tokens
from reparam.errors import ReparamError
from reparam.model import Model, Terms, Turn
from reparam.noise import Dirac, Normal, Source, Uniform
from reparam.schedules import Weight


class PoemVAE(Model):
    """line ─encoder→ q(z|x) ─eps→ z ─decoder→ a law of each character, given z independent of the others"""

    name = "poem-vae"
    paper = "Su 2018, A Poem Bot by CNN and VAE (Chinese), kexue.fm/archives/5332; code bojone/vae"
    takes = ("tokens",)

    # Structure and training flow

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        latent: int,
        length: int,
        *,
        beta: Weight = 1.0,
        temperature: float = 0.0,
    ) -> None:
        super().__init__()
        if temperature < 0:
            raise ReparamError(f"temperature={temperature:g}: it is 0 (the likeliest characters) or above.")
        self.encoder, self.decoder = encoder, decoder
        self.latent, self.length, self.beta, self.temperature = latent, length, beta, temperature

    def turns(self) -> list[Turn]:
        weights = {"distortion": 1.0, "rate": self.beta}
        return [Turn(self.encoder, self.decoder, lowers=self.negative_elbo, weights=weights)]

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x).mean

    def decode(self, z: Tensor) -> Tensor:
        return self.decoder(z).mean

    # Loss

    def negative_elbo(self, x: Tensor, *, eps: Tensor) -> Terms:
        """Su 2018; eps (n, 1, latent). A sum over characters, the pads of a short line among them, in nats.

        distortion = −Σ over positions of log p(character|z), z = mean + std · eps
        rate = KL(q(z|x) ‖ N(0, I))
        """
        q: Gaussian = self.encoder(x)
        return {"distortion": -self.decoder(q.at(eps[:, 0])).log_prob(x), "rate": q.kl()}

    def log_weights(self, x: Tensor, *, eps: Tensor) -> Tensor:
        """log p(x|z) p(z) / q(z|x) at k draws of z; eps (n, k, latent) → (n, k), in nats."""
        return bounds.log_weights(self.decoder, self.encoder(x), x, eps)

    def score(self, x: Tensor, *, eps: Tensor) -> Tensor:
        """The evidence lower bound of each line, in nats: (n,)."""
        terms = self.negative_elbo(x, eps=eps)
        return -(terms["distortion"] + terms["rate"])

    # Randomness

    def noise(self) -> dict[str, Source]:
        choice = Uniform((self.length,)) if self.temperature else Dirac((self.length,))
        return {
            "eps": Normal((1, self.latent)),  # posterior: z = mean + std · eps
            "z": Normal((self.latent,)),  # prior: drawn only to sample
            "choice": choice,  # of characters, when sampling; published: none, the likeliest
        }

    def sample(self, *, z: Tensor, choice: Tensor) -> Tensor:
        if not self.temperature:
            return self.decode(z)
        return Tokens(self.decoder(z).logits / self.temperature).at(choice)
