"""Convolutional networks that halve by average pooling and double by repetition, without normalisation.

Those of Berthelot et al. 2019 (arXiv:1807.07543), §3.1: two 3 × 3 convolutions a stage, leaky ReLUs, initial
weights that keep the variance. A shift of the picture moves their features with it, and no example's
output depends on another's.
"""

import math
from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from reparam.nets.conv import pyramid, widths
from reparam.noise import Shape

SLOPE = 0.2


def _conv(before: int, after: int, size: int = 3) -> nn.Conv2d:
    layer = nn.Conv2d(before, after, size, padding=size // 2)
    # He et al. 2015 for a leaky ReLU.
    nn.init.normal_(layer.weight, std=math.sqrt(2 / ((1 + SLOPE**2) * before * size**2)))
    nn.init.zeros_(layer.bias)  # pyright: ignore[reportArgumentType]
    return layer


def _stage(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(_conv(before, after), nn.LeakyReLU(SLOPE), _conv(after, after), nn.LeakyReLU(SLOPE))


class PooledBody(nn.Module):
    """(n, c, h, w) in [0, 1] → (n, features): maps of `channels` channels, flattened."""

    def __init__(self, shape: Shape, base: int = 16, channels: int = 16) -> None:
        super().__init__()
        sizes = pyramid(*shape[1:])
        wide = [base, *widths(base, len(sizes) - 1)]
        self.stem = _conv(shape[0], base, 1)
        self.stages = nn.ModuleList(_stage(a, b) for a, b in pairwise(wide))
        self.last = nn.Sequential(_conv(wide[-1], wide[-1]), nn.LeakyReLU(SLOPE), _conv(wide[-1], channels))
        self.features = channels * math.prod(sizes[-1])

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(2 * x - 1)
        for stage in self.stages:
            x = F.avg_pool2d(stage(x), 2, ceil_mode=True)
        return self.last(x).flatten(1)


class PooledGenerator(nn.Module):
    """(n, channels · h' · w') → (n, c, h, w), linear at the end: codes are maps of `channels` channels."""

    def __init__(self, shape: Shape, base: int = 16, channels: int = 16) -> None:
        super().__init__()
        self.sizes = pyramid(*shape[1:])[::-1]
        wide = [channels, *widths(base, len(self.sizes) - 1)[::-1]]
        self.start = nn.Unflatten(1, (channels, *self.sizes[0]))
        self.stages = nn.ModuleList(_stage(a, b) for a, b in pairwise(wide))
        self.last = nn.Sequential(_conv(wide[-1], wide[-1]), nn.LeakyReLU(SLOPE), _conv(wide[-1], shape[0]))

    def forward(self, z: Tensor) -> Tensor:
        x = self.start(z)
        for stage, size in zip(self.stages, self.sizes[1:], strict=True):
            x = F.interpolate(stage(x), size=size, mode="nearest")
        return self.last(x)
