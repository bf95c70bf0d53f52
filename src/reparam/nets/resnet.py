"""Residual networks for images of any size: more accurate than plain convolutions, and slower."""

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from reparam.nets.conv import Norm, group_norm, pyramid, widths
from reparam.noise import Shape


class Block(nn.Module):
    """Pre-activation block (He et al. 2016, arXiv:1603.05027): (n, before, h, w) → (n, after, h, w)."""

    def __init__(self, before: int, after: int, norm: Norm | None = group_norm) -> None:
        super().__init__()
        norm = norm or nn.Identity
        self.branch = nn.Sequential(
            norm(before),
            nn.SiLU(),
            nn.Conv2d(before, after, 3, padding=1),
            norm(after),
            nn.SiLU(),
            nn.Conv2d(after, after, 3, padding=1),
        )
        self.skip = nn.Identity() if before == after else nn.Conv2d(before, after, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.skip(x) + self.branch(x)


class ResidualBody(nn.Module):
    """(n, c, h, w) in [0, 1] → (n, features): one block a stage, then average pooling by two.

    raw features are the last block's own, before the activation.
    """

    def __init__(
        self, shape: Shape, base: int = 32, *, norm: Norm | None = group_norm, raw: bool = False
    ) -> None:
        super().__init__()
        channels, height, width = shape
        self.sizes = pyramid(height, width)
        wide = [base, *widths(base, len(self.sizes) - 1, most=4)]
        self.stem = nn.Conv2d(channels, base, 3, padding=1)
        self.blocks = nn.ModuleList(Block(a, b, norm) for a, b in pairwise(wide))
        self.last = nn.Sequential(Block(wide[-1], wide[-1], norm), nn.Identity() if raw else nn.SiLU())
        self.features = wide[-1] * self.sizes[-1][0] * self.sizes[-1][1]

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(2 * x - 1)
        for block in self.blocks:
            x = F.avg_pool2d(block(x), 2, ceil_mode=True)
        return self.last(x).flatten(1)


class ResidualGenerator(nn.Module):
    """(n, latent) → (n, c, h, w), linear at the end: one block a stage after doubling by repetition."""

    def __init__(self, latent: int, shape: Shape, base: int = 32, norm: Norm = group_norm) -> None:
        super().__init__()
        channels, height, width = shape
        self.sizes = pyramid(height, width)[::-1]
        wide = [*widths(base, len(self.sizes) - 1, most=4)[::-1], base]
        start = (wide[0], *self.sizes[0])
        self.project = nn.Sequential(
            nn.Linear(latent, start[0] * start[1] * start[2]),
            nn.Unflatten(1, start),
            Block(wide[0], wide[0], norm),
        )
        self.blocks = nn.ModuleList(Block(a, b, norm) for a, b in pairwise(wide))
        self.last = nn.Sequential(norm(base), nn.SiLU(), nn.Conv2d(base, channels, 3, padding=1))

    def forward(self, z: Tensor) -> Tensor:
        x = self.project(z)
        for block, size in zip(self.blocks, self.sizes[1:], strict=True):
            x = block(F.interpolate(x, size=size, mode="nearest"))
        return self.last(x)
