"""EASE: items made of other items, linearly; the baseline of recommendation, whose best weights are known."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from reparam.data.bags import Bags
from reparam.distributions import total
from reparam.errors import ReparamError
from reparam.model import Model, Terms, Turn
from reparam.noise import Source


class EASE(Model):
    """x ─weights→ xB, diag(B) = 0"""

    name = "ease"
    paper = "Steck 2019, Embarrassingly Shallow Autoencoders for Sparse Data, arXiv:1905.03375"
    takes = ("bag",)

    # Structure and training flow

    def __init__(self, weights: "Others", users: int, *, penalty: float = 300.0) -> None:
        super().__init__()
        self.weights, self.users, self.penalty = weights, users, penalty

    def turns(self) -> list[Turn]:
        # The paper's objective is a sum over users, ours their mean.
        weights = {"error": 1.0, "size": self.penalty / self.users}
        return [Turn(self.weights, lowers=self.squared_error, weights=weights)]

    def rank(self, x: Bags) -> Tensor:
        """Of every item, larger for those that are rather chosen next: (n, items)."""
        return self.weights(x).made

    # Loss

    def squared_error(self, x: Bags) -> Terms:
        """Steck 2019, eq. 1–3, for each user.

        error = ‖x − xB‖²
        size = ‖B‖²
        """
        made, size = self.weights(x)
        return {"error": total((x.dense() - made).square()), "size": size.expand(len(x))}

    # Randomness

    def noise(self) -> dict[str, Source]:
        return {}


class Made(NamedTuple):
    """xB, (n, items), and ‖B‖², ()."""

    made: Tensor
    size: Tensor


class Others(nn.Module):
    """An item made of the others: xB with diag(B) = 0."""

    def __init__(self, items: int) -> None:
        super().__init__()
        self.b = nn.Parameter(torch.zeros(items, items))

    def forward(self, x: Bags) -> Made:
        b = self.b - self.b.diag().diag()
        return Made(x @ b, b.square().sum())


def fit(x: Bags, penalty: float = 300.0) -> EASE:
    """The best weights in closed form and in float64; Steck 2019, eq. 8.

    Takes the time of inverting a matrix (items, items). Raises ReparamError for a penalty not above 0.
    """
    if not penalty > 0:
        raise ReparamError(f"ease: penalty={penalty}; it must be above 0.")
    full = x.double().dense()
    inverse = torch.linalg.inv(full.T @ full + penalty * torch.eye(x.catalogue).to(full))
    b = -inverse / inverse.diag()
    model = EASE(Others(x.catalogue), len(x), penalty=penalty)
    model.weights.b.data = b.fill_diagonal_(0)
    return model.to(x.dtype)
