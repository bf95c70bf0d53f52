"""The VAE whose decoder reads the picture as it goes."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reparam import bounds
from reparam.distributions import Gaussian, Tokens
from reparam.model import Model, Terms, Turn
from reparam.noise import Gumbel, Normal, Source


class PixelVAE(Model):
    """x ─encoder→ q(z|x) ─eps→ z ─generator→ maps;  p(x|z) = Π p(xⱼ | x₁ … xⱼ₋₁, maps) by pixels"""

    name = "pixel-vae"
    paper = "Gulrajani et al. 2017, PixelVAE: A Latent Variable Model for Natural Images, arXiv:1611.05013"
    takes = ("image",)

    # Structure and training flow

    def __init__(
        self,
        encoder: nn.Module,
        generator: nn.Module,
        pixels: nn.Module,
        latent: int,
        grid: tuple[int, int],
        levels: int,
        *,
        draws: int = 1,
        beta: float = 1.0,
    ) -> None:
        super().__init__()
        self.encoder, self.generator, self.pixels = encoder, generator, pixels
        self.latent, self.grid, self.levels = latent, grid, levels
        self.draws, self.beta = bounds.at_least_one(draws), beta

    def turns(self) -> list[Turn]:
        networks, weights = (
            (self.encoder, self.generator, self.pixels),
            {"distortion": 1.0, "rate": self.beta},
        )
        return [Turn(*networks, lowers=self.negative_elbo, weights=weights)]

    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x).mean

    def decode(self, z: Tensor) -> Tensor:
        """The likeliest level of each pixel, given those before it."""
        return self._drawn(z, z.new_zeros(1, self.grid[0] * self.grid[1], self.levels))

    # Loss

    def negative_elbo(self, x: Tensor, *, eps: Tensor) -> Terms:
        """Gulrajani et al. 2017, eq. 1; eps (n, draws, latent). Their sum is the negative ELBO in nats.

        distortion = mean over draws of −Σ over pixels of log p(xⱼ | x₁ … xⱼ₋₁, z), z ~ q(z|x)
        rate = KL(q(z|x) ‖ N(0, I))
        """
        q: Gaussian = self.encoder(x)
        z, _ = q.draws(eps)
        return {"distortion": -self.log_likelihood(x, z).mean(1), "rate": q.kl()}

    def log_weights(self, x: Tensor, *, eps: Tensor) -> Tensor:
        """log p(x|z) p(z) / q(z|x) at k draws of z; eps (n, k, latent) → (n, k), in nats."""
        z, log_q = self.encoder(x).draws(eps)
        return self.log_joint(x, z) - log_q

    def log_joint(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x|z) p(z); z (n, k, latent) → (n, k), in nats."""
        return self.log_likelihood(x, z) + bounds.log_prior(bounds.NORMAL, z)

    def likelihood(self, x: Tensor) -> Tokens:
        """p(xⱼ | x₁ … xⱼ₋₁, z) of each pixel at the code of x: a choice among the levels."""
        return Tokens(self.pixels(self._levels_of(x), self.generator(self.encode(x))))

    def score(self, x: Tensor, *, eps: Tensor) -> Tensor:
        """The evidence lower bound of each example, in nats: (n,)."""
        terms = self.negative_elbo(x, eps=eps)
        return -(terms["distortion"] + terms["rate"])

    def log_likelihood(self, x: Tensor, z: Tensor) -> Tensor:
        """Of the levels nearest to x: z (n, k, latent) → (n, k)."""
        indices = self._levels_of(x).repeat_interleave(z.shape[1], 0)
        logits = self.pixels(indices, self.generator(z.flatten(0, 1)))
        return -F.cross_entropy(logits.transpose(1, 2), indices, reduction="none").sum(1).view(z.shape[:2])

    def _levels_of(self, x: Tensor) -> Tensor:
        """The number of the level nearest to each pixel, in the order of reading: (n, h · w) int64."""
        return (x * (self.levels - 1)).round().long().flatten(1)

    # Randomness

    def noise(self) -> dict[str, Source]:
        height, width = self.grid
        return {
            "eps": Normal((self.draws, self.latent)),  # posterior: z = mean + std · eps
            "z": Normal((self.latent,)),  # prior: drawn only to sample
            "gumbel": Gumbel((height * width, self.levels)),  # xⱼ = argmax(logits + gumbel) ~ p(xⱼ | …)
        }

    def sample(self, *, z: Tensor, gumbel: Tensor) -> Tensor:
        return self._drawn(z, gumbel)

    def _drawn(self, z: Tensor, gumbel: Tensor) -> Tensor:
        """The picture, pixel by pixel."""
        context, width = self.generator(z), self.grid[1]
        indices = torch.zeros(len(z), gumbel.shape[1], dtype=torch.int64, device=z.device)
        for j in range(indices.shape[1]):
            logits = self.pixels(indices[:, : (j // width + 1) * width], context)  # of the rows it can see
            indices[:, j] = (logits[:, j] + gumbel[:, j]).argmax(1)
        return (indices.to(z) / (self.levels - 1)).view(-1, 1, *self.grid)
