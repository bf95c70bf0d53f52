"""Convolutional networks for images of any size and number of channels.

Each stage halves the sides (rounding up) until the shorter one is at most 4. Normalisation is by
groups of channels unless another is given: an example's output then depends on that example alone.
"""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

from reparam.nets.batch_norm import BatchNorm
from reparam.noise import Shape

Norm = Callable[[int], nn.Module]
"""A normalisation of so many channels."""


def pyramid(height: int, width: int, coarsest: int = 4) -> list[tuple[int, int]]:
    """The sizes of the stages, largest first: each half the last, rounded up, down to a side of coarsest."""
    sizes = [(height, width)]
    while min(sizes[-1]) > coarsest:
        h, w = sizes[-1]
        sizes.append(((h + 1) // 2, (w + 1) // 2))
    return sizes


def widths(base: int, stages: int, most: int = 8) -> list[int]:
    """Channels of each stage: doubled each time, at most `most` times the base."""
    return [base * min(2**i, most) for i in range(stages)]


def group_norm(channels: int) -> nn.GroupNorm:
    """Group normalisation with 8 groups where they divide the channels."""
    return nn.GroupNorm(next(g for g in (8, 4, 2, 1) if channels % g == 0), channels)


def biased(norm: Norm | None) -> bool:
    """Whether a linear map before the norm has a bias."""
    # Batch norm takes a bias away again; what gradient rounding leaves it, Adam would blow up to full steps.
    return not (isinstance(norm, type) and issubclass(norm, BatchNorm))


class ConvBody(nn.Module):
    """(n, c, h, w) in [0, 1] → (n, features): strided 4×4 convolutions, as in DCGAN.

    raw features are the last convolution's own, before normalisation and activation. coarsest is the side at
    which the stages end.
    """

    def __init__(
        self,
        shape: Shape,
        base: int = 32,
        *,
        norm: Norm | None = group_norm,
        slope: float = 0.0,
        raw: bool = False,
        coarsest: int = 4,
    ) -> None:
        super().__init__()
        channels, height, width = shape
        sizes = pyramid(height, width, coarsest)
        wide = [channels, *widths(base, len(sizes) - 1)]
        layers: list[nn.Module] = []
        for i, (before, after) in enumerate(pairwise(wide)):
            last = raw and i == len(wide) - 2
            then = norm if i > 0 and not last else None
            layers.append(nn.Conv2d(before, after, 4, stride=2, padding=1, bias=biased(then)))
            if last:
                break
            if then:
                layers.append(then(after))
            layers.append(nn.LeakyReLU(slope) if slope else nn.ReLU())
        self.net = nn.Sequential(*layers)
        # An odd side must be padded to even for the halves to round up.
        self.pad = [(w % 2, h % 2) for h, w in sizes[:-1]]
        self.features = wide[-1] * sizes[-1][0] * sizes[-1][1]

    def forward(self, x: Tensor) -> Tensor:
        return self.maps(x).flatten(1)

    def maps(self, x: Tensor) -> Tensor:
        """The last stage's maps: (n, channels, h, w)."""
        x, stage = 2 * x - 1, 0
        for layer in self.net:
            if isinstance(layer, nn.Conv2d):
                right, below = self.pad[stage]
                if right or below:
                    x = nn.functional.pad(x, (0, right, 0, below), mode="replicate")
                stage += 1
            x = layer(x)
        return x


class ConvGenerator(nn.Module):
    """(n, latent) → (n, c, h, w), linear at the end: transposed 4×4 convolutions, as in DCGAN."""

    def __init__(self, latent: int, shape: Shape, base: int = 32, norm: Norm = group_norm) -> None:
        super().__init__()
        channels, height, width = shape
        self.sizes = pyramid(height, width)[::-1]
        wide = [*widths(base, len(self.sizes) - 1)[::-1], channels]
        self.start = (wide[0], *self.sizes[0])
        first = wide[0] * self.sizes[0][0] * self.sizes[0][1]
        self.project = nn.Sequential(
            nn.Linear(latent, first), nn.Unflatten(1, self.start), norm(wide[0]), nn.ReLU()
        )
        self.stages = nn.ModuleList()
        for i, (before, after) in enumerate(pairwise(wide)):
            last = i == len(wide) - 2
            up = nn.ConvTranspose2d(
                before, after, 4, stride=2, padding=1, bias=biased(None if last else norm)
            )
            self.stages.append(up if last else nn.Sequential(up, norm(after), nn.ReLU()))

    def forward(self, z: Tensor) -> Tensor:
        x = self.project(z)
        for stage, (height, width) in zip(self.stages, self.sizes[1:], strict=True):
            x = stage(x)[:, :, :height, :width]
        return x.contiguous(memory_format=torch.contiguous_format)
