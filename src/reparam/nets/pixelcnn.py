"""The gated PixelCNN: a convolutional law of a grid of categories, each given those read before it."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reparam.nets.heads import exact


class GatedLayer(nn.Module):
    """A layer of both stacks: (n, c, h, w) twice → the same; van den Oord et al. 2016, figure 2.

    A position of the vertical stack sees its own row and those above, one of the horizontal stack its own row
    up to itself and, from the vertical stack, the rows above. Padding and shifts do what masks are for,
    without weights that are always 0.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.vertical = nn.Conv2d(channels, 2 * channels, (2, 3))
        self.horizontal = nn.Conv2d(channels, 2 * channels, (1, 3))
        self.link = nn.Conv2d(2 * channels, 2 * channels, 1)
        self.out = nn.Conv2d(channels, channels, 1)

    def forward(self, v: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        above = self.vertical(F.pad(v, (1, 1, 1, 0)))
        left = self.horizontal(F.pad(h, (2, 0, 0, 0))) + self.link(_down(above))
        return _gated(above), h + self.out(_gated(left))


class PixelCNN(nn.Module):
    """Indices (n, L) of the first rows of a grid → logits (n, L, size), each of the indices before it alone.

    van den Oord et al. 2016, Conditional Image Generation with PixelCNN Decoders, arXiv:1606.05328. Positions
    are embedded too: faces stand in the middle. A context (n, channels, *grid) is added where it is given.
    """

    def __init__(self, size: int, grid: tuple[int, int], channels: int = 64, layers: int = 8) -> None:
        super().__init__()
        self.width = grid[1]
        self.embedding = nn.Embedding(size, channels)
        self.position = nn.Parameter(torch.zeros(channels, *grid))
        self.layers = nn.ModuleList(GatedLayer(channels) for _ in range(layers))
        self.head = nn.Sequential(nn.ReLU(), nn.Conv2d(channels, channels, 1), nn.ReLU())
        self.logits = nn.Linear(channels, size)

    def forward(self, indices: Tensor, context: Tensor | None = None) -> Tensor:
        v = self.embedding(indices).transpose(1, 2).unflatten(2, (-1, self.width))
        place = self.position[:, : v.shape[2]]
        if context is not None:
            place = place + context[:, :, : v.shape[2]]
        h = F.pad(v, (1, 0))[..., :-1] + place
        v = v + place
        for layer in self.layers:
            v, h = layer(v, h)
        return exact(self.logits(self.head(h).flatten(2).transpose(1, 2)))


def _down(x: Tensor) -> Tensor:
    return F.pad(x, (0, 0, 1, 0))[:, :, :-1]


def _gated(x: Tensor) -> Tensor:
    value, gate = x.chunk(2, 1)
    return torch.tanh(value) * torch.sigmoid(gate)
