"""U-GAT-IT's networks: they attend to what tells two domains apart, and learn how to normalise."""

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrize import register_parametrization

from reparam.distributions import Attended
from reparam.nets import heads
from reparam.nets.conv import Norm
from reparam.nets.translation import Residual, climb, down, reflecting, strided
from reparam.noise import Shape


class SpectralNorm(nn.Module):
    """A weight over an estimate of its largest singular value; Miyato et al. 2018 (arXiv:1802.05957).

    Theirs begins at the last step's vectors, which a forward pass would have to write. Here a few iterations
    begin at one fixed vector each time, and the gradient goes through them: a pure function.
    """

    start: Tensor

    def __init__(self, rows: int, iterations: int = 4) -> None:
        super().__init__()
        self.iterations = iterations
        self.register_buffer("start", F.normalize(torch.randn(rows), dim=0))

    def forward(self, weight: Tensor) -> Tensor:
        # In float32: as bf16, every product would first convert the weight anew. The weights of a card are on
        # no device, and have no autocast.
        with torch.autocast("cpu" if weight.is_meta else weight.device.type, enabled=False):
            matrix, u = weight.flatten(1), self.start
            for _ in range(self.iterations):
                u = F.normalize(matrix @ (matrix.T @ u), dim=0)
            return weight / (matrix.T @ u).norm()


def normalise(network: nn.Module) -> None:
    """Gives every layer of a network its weight normalised, wherever it is read."""
    for layer in list(network.modules()):
        if isinstance(layer, nn.Conv2d | nn.Linear):
            register_parametrization(layer, "weight", SpectralNorm(len(layer.weight)))


class AdaLIN(nn.Module):
    """Adaptive layer-instance norm: maps (n, c, h, w), scale and shift (n, c) → (n, c, h, w).

    Kim et al. 2020, eq. 1.

    The share ρ of instance norm is learned for each channel. The paper clips it to [0, 1] after each step;
    here it is a sigmoid, which cannot leave [0, 1], so that nothing but the optimiser writes a weight.
    """

    def __init__(self, channels: int, share: float = 0.9) -> None:
        super().__init__()
        self.share = nn.Parameter(torch.full((channels, 1, 1), math.log(share / (1 - share))))

    def forward(self, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        layer, instance = F.layer_norm(x, x.shape[1:]), F.instance_norm(x)
        mixed = layer + torch.sigmoid(self.share) * (instance - layer)
        return mixed * scale[:, :, None, None] + shift[:, :, None, None]


class LIN(nn.Module):
    """The same with a learned scale and shift: (n, c, h, w) → (n, c, h, w).

    It begins near layer norm, at ρ = 0.1; the paper's 0 is no sigmoid's.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = AdaLIN(channels, share=0.1)
        self.scale, self.shift = nn.Parameter(torch.ones(1, channels)), nn.Parameter(torch.zeros(1, channels))

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x, self.scale, self.shift)


class AdaLINResidual(nn.Module):
    """Two 3 × 3 convolutions beside a skip, normalised as they are told: (n, c, h, w) → (n, c, h, w)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = reflecting(channels, channels, 3), reflecting(channels, channels, 3)
        self.first_norm, self.second_norm = AdaLIN(channels), AdaLIN(channels)

    def forward(self, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        branch = F.relu(self.first_norm(self.first(x), scale, shift))
        return x + self.second_norm(self.second(branch), scale, shift)


class Attention(nn.Module):
    """Class activation maps, Zhou et al. 2016: maps (n, c, h, w) → maps (n, c, h, w), logits (n, 2).

    A linear classifier tells the domain from each map's mean, another from its largest value; the maps are
    then weighed by what they mean to the two.
    """

    def __init__(self, channels: int, slope: float = 0.0) -> None:
        super().__init__()
        self.of_mean, self.of_largest = (nn.Linear(channels, 1, bias=False) for _ in range(2))
        self.mix, self.slope = nn.Conv2d(2 * channels, channels, 1), slope

    def forward(self, x: Tensor) -> Attended:
        logits = torch.cat([self.of_mean(x.mean((2, 3))), self.of_largest(x.amax((2, 3)))], 1)
        weights = torch.cat([self.of_mean.weight, self.of_largest.weight], 1)
        weighed = torch.cat([x, x], 1) * weights[:, :, None, None]
        return Attended(F.leaky_relu(self.mix(weighed), self.slope), heads.exact(logits))


class AttentiveTranslator(nn.Module):
    """(n, c, h, w) → the translation (n, c, h, w), and logits (n, 2): is the picture of the first domain?

    Kim et al. 2020 (arXiv:1907.10830), §2.1, the light one: scale and shift of all blocks are made of the
    maps' means. The scale is 1 + what is made, so that blocks begin as plain ones.
    """

    def __init__(
        self,
        shape: Shape,
        base: int = 64,
        blocks: int = 4,
        *,
        bounded: bool = True,
        norm: Norm = nn.InstanceNorm2d,
        halvings: int = 2,
    ) -> None:
        super().__init__()
        widths = [base * 2**i for i in range(halvings + 1)]
        wide = widths[-1]
        self.down = nn.Sequential(
            down(shape[0], base, norm, halvings), *(Residual(wide, norm) for _ in range(blocks))
        )
        self.attention = Attention(wide)
        self.look = nn.Sequential(
            nn.Linear(wide, wide), nn.ReLU(), nn.Linear(wide, wide), nn.ReLU(), nn.Linear(wide, 2 * wide)
        )
        self.blocks = nn.ModuleList(AdaLINResidual(wide) for _ in range(blocks))
        self.up = nn.ModuleList(
            nn.Sequential(reflecting(a, b, 3), LIN(b), nn.ReLU()) for a, b in pairwise(widths[::-1])
        )
        self.last = nn.Sequential(reflecting(base, shape[0], 7), heads.Image(bounded))

    def forward(self, x: Tensor) -> Attended:
        maps, logits = self.attention(self.down(2 * x - 1))
        scale, shift = self.look(maps.mean((2, 3))).chunk(2, 1)
        for block in self.blocks:
            maps = block(maps, 1 + scale, shift)
        return Attended(self.last(climb(maps, self.up, x.shape[2:])), logits)


class AttentiveCritic(nn.Module):
    """(n, c, h, w) → logits of patches (n, h', w'), and of the attention's classifier (n, 2)."""

    def __init__(self, shape: Shape, base: int = 64, layers: int = 3) -> None:
        super().__init__()
        wide = [shape[0], *(base * min(2**i, 8) for i in range(layers + 1))]
        stages: list[nn.Module] = []
        for i, (before, after) in enumerate(pairwise(wide)):
            stages.append(nn.Conv2d(before, after, 4, stride=2 if i < layers else 1, padding=1))
            stages.append(nn.LeakyReLU(0.2))
        self.body = nn.Sequential(*stages)
        self.attention = Attention(wide[-1], slope=0.2)
        self.last = nn.Conv2d(wide[-1], 1, 4, padding=1, bias=False)
        normalise(self)

    def forward(self, x: Tensor) -> Attended:
        maps, logits = self.attention(self.body(2 * x - 1))
        return Attended(heads.exact(self.last(maps)).squeeze(1), logits)


class LocalAndGlobal(nn.Module):
    """Two critics of one picture, of patches and, two strided layers deeper, of nearly all of it.

    (n, c, h, w) → four tensors of logits (n, …): patches and classifier of the one and of the other.
    """

    def __init__(self, shape: Shape, base: int = 64, layers: int = 3) -> None:
        super().__init__()
        self.near = AttentiveCritic(shape, base, strided(shape, layers))
        self.far = AttentiveCritic(shape, base, strided(shape, layers + 2))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return (*self.near(x), *self.far(x))
