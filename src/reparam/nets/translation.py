"""Networks from picture to picture, and the discriminator of patches."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from reparam.nets import heads
from reparam.nets.conv import Norm, group_norm
from reparam.nets.mlp import mlp
from reparam.noise import Shape

NormName = Literal["instance", "group"]
"""Of translators: the papers' instance norm, or group norm, which keeps a picture's tint."""

NORMS: dict[NormName, Norm] = {"instance": nn.InstanceNorm2d, "group": group_norm}


def reflecting(before: int, after: int, size: int, stride: int = 1) -> nn.Sequential:
    """A convolution that sees maps mirrored beyond their edges: (n, before, h, w) → (n, after, h', w')."""
    return nn.Sequential(nn.ReflectionPad2d((size - 1) // 2), nn.Conv2d(before, after, size, stride))


def begin_small(network: nn.Module) -> None:
    """CycleGAN's initial weights, N(0, 0.02²), of every convolution."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, std=0.02)


class Residual(nn.Module):
    """Two 3 × 3 convolutions beside a skip: (n, c, h, w) → (n, c, h, w)."""

    def __init__(self, channels: int, norm: Norm = nn.InstanceNorm2d) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            reflecting(channels, channels, 3),
            norm(channels),
            nn.ReLU(),
            reflecting(channels, channels, 3),
            norm(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x)


def down(channels: int, base: int, norm: Norm = nn.InstanceNorm2d, halvings: int = 2) -> nn.Sequential:
    """The stages before the residual blocks: each halving the sides, rounded up, and doubling the maps.

    (n, c, h, w) → (n, 4 base, h / 4, w / 4) by two halvings.
    """
    wide = [base * 2**i for i in range(halvings + 1)]
    stages = [(channels, base, 7, 1), *((a, b, 3, 2) for a, b in pairwise(wide))]
    return nn.Sequential(
        *(nn.Sequential(reflecting(a, b, size, stride), norm(b), nn.ReLU()) for a, b, size, stride in stages)
    )


def climb(x: Tensor, stages: nn.ModuleList, size: Sequence[int]) -> Tensor:
    """The stages after the blocks, each behind a doubling by repetition, up to maps of a size (h, w)."""
    for left, stage in zip(reversed(range(len(stages))), stages, strict=True):
        sides = [-(-side // 2**left) for side in size]  # rounded up, as on the way down
        x = stage(F.interpolate(x, size=sides, mode="nearest"))
    return x


class ResidualTranslator(nn.Module):
    """(n, c, h, w) → (n, c, h, w): halvings, residual blocks, and as many doublings.

    Zhu et al. 2017 (arXiv:1703.10593), §4, after Johnson et al. 2016; doubling by repetition and a
    convolution in the place of transposed ones, whose uneven overlap shows as a checkerboard. Under instance
    norm a picture and the same one tinted, a colour added everywhere, have the same maps: of drawings with
    flat grounds the tints are lost. Another norm keeps them. Small pictures want one halving.
    """

    def __init__(
        self,
        shape: Shape,
        base: int = 64,
        blocks: int = 6,
        *,
        bounded: bool = True,
        norm: Norm = nn.InstanceNorm2d,
        halvings: int = 2,
    ) -> None:
        super().__init__()
        wide = [base * 2**i for i in range(halvings + 1)]
        self.down = down(shape[0], base, norm, halvings)
        self.middle = nn.Sequential(*(Residual(wide[-1], norm) for _ in range(blocks)))
        self.up = nn.ModuleList(
            nn.Sequential(reflecting(a, b, 3), norm(b), nn.ReLU()) for a, b in pairwise(wide[::-1])
        )
        self.last = nn.Sequential(reflecting(base, shape[0], 7), heads.Image(bounded))
        begin_small(self)

    def forward(self, x: Tensor) -> Tensor:
        maps = self.middle(self.down(2 * x - 1))
        return self.last(climb(maps, self.up, x.shape[2:]))


class PatchDiscriminator(nn.Module):
    """(n, c, h, w) → logits (n, h', w'), each of a patch: Isola et al. 2017 (arXiv:1611.07004), §3.2.2.

    layers strided ones and two more: three judge patches of 70 pixels, two of 34, one of 16.
    """

    def __init__(
        self, shape: Shape, base: int = 64, layers: int = 3, *, norm: Norm | None = nn.InstanceNorm2d
    ) -> None:
        super().__init__()
        stages: list[nn.Module] = []
        wide = [shape[0], *(base * min(2**i, 8) for i in range(layers + 1))]
        for i, (before, after) in enumerate(pairwise(wide)):
            stages.append(nn.Conv2d(before, after, 4, stride=2 if i < layers else 1, padding=1))
            stages += [norm(after)] if norm and i else []
            stages.append(nn.LeakyReLU(0.2))
        self.net = nn.Sequential(*stages, nn.Conv2d(wide[-1], 1, 4, padding=1))
        begin_small(self.net)

    def forward(self, x: Tensor) -> Tensor:
        return heads.exact(self.net(2 * x - 1)).squeeze(1)


def strided(shape: Shape, most: int) -> int:
    """How many of so many strided layers a picture has room for before two more take a pixel each."""
    return min(most, max(min(shape[1:]) // 3, 1).bit_length() - 1)


class MLPTranslator(nn.Sequential):
    """(n, d) → (n, d), linear at the end."""

    def __init__(self, shape: Shape, width: int) -> None:
        d = math.prod(shape)
        super().__init__(
            nn.Flatten(1), *mlp([d, width, width], nn.ReLU), nn.Linear(width, d), nn.Unflatten(1, shape)
        )
