"""MUNIT's networks: what a picture shows apart from how it looks."""

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from reparam.distributions import Factored
from reparam.nets import heads
from reparam.nets.conv import ConvBody
from reparam.nets.translation import PatchDiscriminator, Residual, climb, down, reflecting, strided
from reparam.noise import Shape


def begin_wide(network: nn.Module) -> None:
    """The initial weights of the authors' encoders and decoders: He et al. 2015 (arXiv:1502.01852).

    With CycleGAN's small ones a first translation is one flat grey, and instance norm, through which it is
    read again, makes a picture of the rounding.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


class ContentAndStyle(nn.Module):
    """(n, c, h, w) → content maps (n, 4 base, h / 4, w / 4), rounded up, and a style (n, style).

    Huang et al. 2018 (arXiv:1804.04732), §3. Instance norm takes the look out of the content, and would
    take it out of the style, which is unnormalised.
    """

    def __init__(self, shape: Shape, style: int = 8, base: int = 64, blocks: int = 4) -> None:
        super().__init__()
        self.content = nn.Sequential(down(shape[0], base), *(Residual(4 * base) for _ in range(blocks)))
        self.look = ConvBody(shape, base, norm=None)
        channels = [layer for layer in self.look.net if isinstance(layer, nn.Conv2d)][-1].out_channels
        self.style = nn.Linear(channels, style)
        begin_wide(self)

    def forward(self, x: Tensor) -> Factored:
        style = self.style(self.look.maps(x).mean((2, 3)))
        return Factored(self.content(2 * x - 1), heads.exact(style))


class StyledResidual(nn.Module):
    """Two 3 × 3 convolutions beside a skip, with adaptive instance norm: (n, c, h, w) → (n, c, h, w)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = reflecting(channels, channels, 3), reflecting(channels, channels, 3)

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        """told (n, 4, c): scale and shift of either norm."""
        a, b, c, d = (each[:, :, None, None] for each in told.unbind(1))
        branch = F.relu(F.instance_norm(self.first(x)) * (1 + a) + b)
        return x + F.instance_norm(self.second(branch)) * (1 + c) + d


class StyledDecoder(nn.Module):
    """Content maps and a style (n, style) → (n, c, h, w): the style sets the norms of the residual blocks.

    Huang & Belongie 2017 (arXiv:1703.06868). Upwards it is layer norm: instance norm would undo the style.
    """

    def __init__(
        self, shape: Shape, style: int = 8, base: int = 64, blocks: int = 4, *, bounded: bool = True
    ) -> None:
        super().__init__()
        wide = 4 * base
        self.size = shape[1:]
        self.told = nn.Sequential(
            nn.Linear(style, wide), nn.ReLU(), nn.Linear(wide, wide), nn.ReLU(),
            nn.Linear(wide, blocks * 4 * wide), nn.Unflatten(1, (blocks, 4, wide)),
        )  # fmt: skip
        self.blocks = nn.ModuleList(StyledResidual(wide) for _ in range(blocks))
        self.up = nn.ModuleList(
            nn.Sequential(reflecting(a, b, 5), nn.GroupNorm(1, b), nn.ReLU())
            for a, b in pairwise((wide, wide // 2, base))
        )
        self.last = nn.Sequential(reflecting(base, shape[0], 7), heads.Image(bounded))
        begin_wide(self)

    def forward(self, content: Tensor, style: Tensor) -> Tensor:
        for block, told in zip(self.blocks, self.told(style).unbind(1), strict=True):
            content = block(content, told)
        return self.last(climb(content, self.up, self.size))


class Scales(nn.Module):
    """Critics of a picture at its size, at half, at a quarter …: (n, c, h, w) → logits (n, h', w') of each.

    Wang et al. 2018 (arXiv:1711.11585). As many as leave 8 pixels to a side.
    """

    def __init__(self, shape: Shape, base: int = 64, layers: int = 3, scales: int = 3) -> None:
        super().__init__()
        channels, height, width = shape
        sizes = [(height, width)]
        while len(sizes) < scales and min(sizes[-1]) >= 16:
            sizes.append((sizes[-1][0] // 2, sizes[-1][1] // 2))
        self.critics = nn.ModuleList(
            PatchDiscriminator((channels, *size), base, strided((channels, *size), layers), norm=None)
            for size in sizes
        )

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        first, *rest = self.critics
        found = [first(x)]
        for critic in rest:
            x = F.avg_pool2d(x, 2)
            found.append(critic(x))
        return tuple(found)
