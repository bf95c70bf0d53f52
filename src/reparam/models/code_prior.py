"""The learned prior over the codes of a finished VQ-VAE."""

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reparam.distributions import Distribution
from reparam.model import Model, Terms, Turn
from reparam.nets.frozen import Frozen
from reparam.noise import Gumbel, Source


class Discrete(Protocol):
    """What the first stage must be able to do; `VQVAE` says what each is."""

    grid: tuple[int, int]
    size: int

    def indices(self, x: Tensor) -> Tensor: ...
    def of_indices(self, indices: Tensor) -> Tensor: ...
    def encode(self, x: Tensor) -> Tensor: ...
    def decode(self, z: Tensor) -> Tensor: ...
    def likelihood(self, x: Tensor) -> Distribution: ...


class CodePrior(Model):
    """x ─first stage, frozen→ k ─prior→ p(k) = Π p(kⱼ | k₁ … kⱼ₋₁);  gumbel ─prior→ k ─first stage→ x̃"""

    name = "vq-prior"
    paper = (
        "van den Oord, Vinyals & Kavukcuoglu 2017, Neural Discrete Representation Learning, arXiv:1711.00937"
    )
    takes = ("image",)

    # Structure and training flow

    def __init__(self, first: Model, prior: nn.Module) -> None:
        super().__init__()
        self.frozen, self.prior = Frozen(first), prior

    @property
    def first(self) -> Discrete:
        """The first stage."""
        return self.frozen.model  # pyright: ignore[reportReturnType]

    def turns(self) -> list[Turn]:
        return [Turn(self.prior, lowers=self.cross_entropy)]

    def encode(self, x: Tensor) -> Tensor:
        return self.first.encode(x)

    def decode(self, z: Tensor) -> Tensor:
        return self.first.decode(z)

    # Loss

    def cross_entropy(self, x: Tensor) -> Terms:
        """van den Oord et al. 2017, §3.3: maximum likelihood of the codes k of x.

        rate = −Σ over positions j of log p(kⱼ | k₁ … kⱼ₋₁)
        """
        with torch.no_grad():
            indices = self.first.indices(x)
        logits = self.prior(indices)
        return {"rate": F.cross_entropy(logits.transpose(1, 2), indices, reduction="none").sum(1)}

    def likelihood(self, x: Tensor) -> Distribution:
        """p(·|e) at the entries that stand for x."""
        return self.first.likelihood(x)

    def elbo(self, x: Tensor) -> Tensor:
        """The evidence lower bound of each example under this prior, in nats: (n,)."""
        return self.likelihood(x).log_prob(x) - self.cross_entropy(x)["rate"]

    def score(self, x: Tensor) -> Tensor:
        """The evidence lower bound: (n,)."""
        return self.elbo(x)

    # Randomness

    def noise(self) -> dict[str, Source]:
        height, width = self.first.grid
        return {"gumbel": Gumbel((height * width, self.first.size))}  # k = argmax(logits + gumbel) ~ p(k)

    def sample(self, *, gumbel: Tensor) -> Tensor:
        codes = torch.zeros(gumbel.shape[:2], dtype=torch.int64, device=gumbel.device)
        width = self.first.grid[1]
        for j in range(codes.shape[1]):
            # Of the grid, only the rows that this position can see.
            logits = self.prior(codes[:, : (j // width + 1) * width])
            codes[:, j] = (logits[:, j] + gumbel[:, j]).argmax(1)
        return self.first.of_indices(codes)
