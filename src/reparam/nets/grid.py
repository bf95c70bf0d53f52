"""Networks between an image and a grid of vectors, after van den Oord et al. 2017, §4.1."""

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from reparam.nets.heads import exact
from reparam.noise import Shape

Size = tuple[int, int]


def halved(size: Size, times: int | None = None) -> list[Size]:
    """The sizes from an image to its grid, each half the last, rounded up.

    Without a number of times, until the shorter side is at most 8, but at least once.
    """
    sizes = [size]
    while len(sizes) <= times if times is not None else len(sizes) == 1 or min(sizes[-1]) > 8:
        height, width = sizes[-1]
        sizes.append(((height + 1) // 2, (width + 1) // 2))
    return sizes


class Residual(nn.Module):
    """x + 1×1(ReLU(3×3(ReLU(x)))): (n, c, h, w) → (n, c, h, w)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        narrow = max(channels // 2, 1)
        self.branch = nn.Sequential(
            nn.ReLU(), nn.Conv2d(channels, narrow, 3, padding=1), nn.ReLU(), nn.Conv2d(narrow, channels, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x)


class GridEncoder(nn.Module):
    """(n, c, h, w) in [0, 1] → (n, dim, *grid): strided 4×4 convolutions and two residual blocks.

    The last layer is linear: a norm or a rectifier before a codebook would bound what it may hold.
    """

    def __init__(self, shape: Shape, sizes: list[Size], dim: int, channels: int = 128) -> None:
        super().__init__()
        wide = [shape[0], *_widths(channels, len(sizes) - 1)]
        # An odd side must be padded to even for the halves to round up.
        self.pads = [(0, width % 2, 0, height % 2) for height, width in sizes[:-1]]
        self.stages = nn.ModuleList(nn.Conv2d(a, b, 4, stride=2, padding=1) for a, b in pairwise(wide))
        self.last = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            Residual(channels),
            Residual(channels),
            nn.ReLU(),
            nn.Conv2d(channels, dim, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = 2 * x - 1
        for pad, stage in zip(self.pads, self.stages, strict=True):
            x = F.relu(stage(F.pad(x, pad, mode="replicate")))
        return exact(self.last(x))


class GridDecoder(nn.Module):
    """(n, dim, *grid) → (n, c, h, w), linear at the end: the encoder mirrored."""

    def __init__(self, shape: Shape, sizes: list[Size], dim: int, channels: int = 128) -> None:
        super().__init__()
        self.sizes = sizes[-2::-1]
        wide = [*_widths(channels, len(sizes) - 1)[::-1], shape[0]]
        self.first = nn.Sequential(
            nn.Conv2d(dim, channels, 3, padding=1), Residual(channels), Residual(channels)
        )
        self.stages = nn.ModuleList(
            nn.ConvTranspose2d(a, b, 4, stride=2, padding=1) for a, b in pairwise(wide)
        )

    def forward(self, z: Tensor) -> Tensor:
        x = self.first(z)
        for (height, width), stage in zip(self.sizes, self.stages, strict=True):
            x = stage(F.relu(x))[:, :, :height, :width]
        return x


def _widths(channels: int, stages: int) -> list[int]:
    """Half as many channels in the first stage, where the maps are largest."""
    return [max(channels // 2, 1), *[channels] * (stages - 1)] if stages > 1 else [channels]
