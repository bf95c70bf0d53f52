"""Discriminators of pairs: (n, *shape) data and (n, latent) codes → logits (n,)."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reparam.nets.conv import Norm, biased, pyramid, widths
from reparam.nets.heads import exact
from reparam.nets.mlp import mlp
from reparam.noise import Shape

SLOPE = 0.2


def _leaky() -> nn.Module:
    return nn.LeakyReLU(SLOPE)


class JointDiscriminator(nn.Module):
    """Features of the data and of the code, each by layers of its own, judged together.

    Dumoulin et al. 2017 (arXiv:1606.00704), appendix A.
    """

    def __init__(self, body: nn.Module, features: int, latent: int, width: int) -> None:
        super().__init__()
        self.body, self.code = body, mlp([latent, width, width], _leaky)
        self.judge = nn.Sequential(*mlp([features + width, width, width], _leaky), nn.Linear(width, 1))

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        return exact(self.judge(torch.cat([self.body(x), self.code(z)], 1))).squeeze(1)


class Centred(nn.Module):
    """[0, 1] → [−1, 1]."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * x - 1


class InjectedDiscriminator(nn.Module):
    """The code enters every layer by a linear map of its own, not only at the end.

    Each stage gives (n, channels, …); the code's map is added to its channels, and a norm may follow.
    Donahue et al. 2017 (arXiv:1605.09782), §3 and the authors' code.
    """

    def __init__(
        self,
        stages: Sequence[nn.Module],
        channels: Sequence[int],
        features: int,
        latent: int,
        norms: Sequence[Norm | None] | None = None,
    ) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.injections, self.norms = nn.ModuleList(), nn.ModuleList()
        for c, norm in zip(channels, norms or [None] * len(channels), strict=True):
            self.injections.append(nn.Linear(latent, c, bias=biased(norm)))
            self.norms.append(norm(c) if norm else nn.Identity())
        self.logit, self.last = nn.Linear(features, 1), nn.Linear(latent, 1)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        for stage, injection, norm in zip(self.stages, self.injections, self.norms, strict=True):
            x = stage(x)
            x = norm(x + injection(z).view(*x.shape[:2], *[1] * (x.dim() - 2)))
            x = F.leaky_relu(x, SLOPE)
        return exact(self.logit(x.flatten(1)) + self.last(z)).squeeze(1)


def injected_mlp(shape: Shape, latent: int, width: int, norm: Norm | None = None) -> InjectedDiscriminator:
    """Two fully connected stages of equal width, the second normalised, where a norm is given."""
    first = nn.Sequential(nn.Flatten(1), nn.Linear(math.prod(shape), width))
    second = nn.Linear(width, width, bias=biased(norm))
    return InjectedDiscriminator([first, second], [width, width], width, latent, [None, norm])


def injected_conv(shape: Shape, latent: int, base: int) -> InjectedDiscriminator:
    """Strided 4 × 4 convolutions, sides halved (rounding up) until the shorter is at most 4."""
    sizes = pyramid(*shape[1:])
    wide = [shape[0], *widths(base, len(sizes) - 1)]
    stages = [
        nn.Sequential(
            nn.ReplicationPad2d((0, sizes[i][1] % 2, 0, sizes[i][0] % 2)),
            nn.Conv2d(wide[i], wide[i + 1], 4, stride=2, padding=1),
        )
        for i in range(len(sizes) - 1)
    ]
    stages[0] = nn.Sequential(Centred(), stages[0])
    return InjectedDiscriminator(stages, wide[1:], wide[-1] * math.prod(sizes[-1]), latent)
