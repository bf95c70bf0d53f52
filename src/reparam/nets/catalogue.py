"""First and last layers of networks over bags of items: sparse where the bags are."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reparam.data.bags import Bags
from reparam.distributions import Gaussian, Multinomial, Scores
from reparam.nets.heads import exact


class FromBag(nn.Module):
    """n bags → Wx + b, (n, width), by a sparse product.

    Xavier's uniform weights, truncated normal biases (σ = 0.001), as in Liang et al. 2018's code.
    """

    def __init__(self, items: int, width: int) -> None:
        super().__init__()
        self.weight, self.bias = _weights(items, width), _biases(width)

    def forward(self, x: Bags) -> Tensor:
        return x @ self.weight + self.bias


class ToBag(nn.Module):
    """(n, width) → the law by which items are chosen, softmax of Wh + b over the catalogue."""

    def __init__(self, width: int, items: int) -> None:
        super().__init__()
        self.weight, self.bias = _weights(items, width), _biases(items)

    def forward(self, features: Tensor) -> Multinomial:
        return Multinomial(exact(features), self.weight, self.bias)


class ToScores(nn.Module):
    """(n, width) → Wh + b, a number for every item of the catalogue."""

    def __init__(self, width: int, items: int) -> None:
        super().__init__()
        self.weight, self.bias = _weights(items, width), _biases(items)

    def forward(self, features: Tensor) -> Scores:
        return Scores(exact(features), self.weight, self.bias)


def dense(inputs: int, outputs: int) -> nn.Linear:
    """A linear layer begun as those above."""
    layer = nn.Linear(inputs, outputs)
    layer.weight, layer.bias = _weights(outputs, inputs), _biases(outputs)
    return layer


def _weights(rows: int, columns: int) -> nn.Parameter:
    return nn.Parameter(nn.init.xavier_uniform_(torch.empty(rows, columns)))


def _biases(size: int) -> nn.Parameter:
    return nn.Parameter(nn.init.trunc_normal_(torch.empty(size), std=1e-3, a=-2e-3, b=2e-3))


class FromBagOfUser(nn.Module):
    """n bags and whose they are, (n,), −1 of people unknown → σ(Wx + v_user + b), (n, width).

    Who is unknown has v = 0, which is about the mean of all v: the bias has it, and v is held small.
    """

    def __init__(self, items: int, users: int, width: int) -> None:
        super().__init__()
        self.bag, self.user = FromBag(items, width), nn.Embedding(users + 1, width, padding_idx=0)
        self.user.weight.data.mul_(0.01)

    def forward(self, x: Bags, user: Tensor) -> Tensor:
        return torch.sigmoid(self.bag(x) + self.user(user + 1))


class GaussianFromBag(nn.Module):
    """(n, width) → N(mean, std²) over codes (n, latent)."""

    def __init__(self, width: int, latent: int) -> None:
        super().__init__()
        self.linear = dense(width, 2 * latent)

    def forward(self, features: Tensor) -> Gaussian:
        mean, log_variance = exact(self.linear(features)).chunk(2, 1)
        return Gaussian(mean, 0.5 * log_variance)


class DenseFromBag(nn.Module):
    """n bags → (n, width) by layers of which each sees the sum of all before: swish, then layer norm.

    Shenbin et al. 2020 (arXiv:1912.11160), §3.1, with the authors' ε of 0.1 in the norms.
    """

    def __init__(self, items: int, width: int, layers: int = 5) -> None:
        super().__init__()
        self.first = FromBag(items, width)
        self.rest = nn.ModuleList(nn.Linear(width, width) for _ in range(layers - 1))
        self.norms = nn.ModuleList(nn.LayerNorm(width, eps=0.1) for _ in range(layers))

    def forward(self, x: Bags) -> Tensor:
        h = self.norms[0](F.silu(self.first(x)))
        before = h
        for layer, norm in zip(self.rest, list(self.norms)[1:], strict=True):
            h = norm(F.silu(layer(h) + before))
            before = before + h
        return h
