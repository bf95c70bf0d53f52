"""Transformations of pictures as pure functions of noise: what AET and AVT read off a pair of pictures."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from reparam.noise import Source, Uniform


@dataclass(frozen=True)
class Affine:
    """Rotation, shift, scale and shear about the middle. u (n, 5) is uniform on [−1, 1).

    The ranges are those of Zhang et al. 2019's code: a whole turn, a fifth of the side, 0.7 to 1.3, 30°.
    """

    shift: float = 0.2
    scale: float = 0.3
    shear: float = math.pi / 6
    numbers: ClassVar[int] = 6

    @property
    def source(self) -> Source:
        """The law of u."""
        return Uniform((5,), -1.0, 1.0)

    def target(self, u: Tensor) -> Tensor:
        """What is to be read off, in [−1, 1]: cos and sin of the angle, and the rest of u: (n, 6)."""
        angle = math.pi * u[:, :1]
        return torch.cat([angle.cos(), angle.sin(), u[:, 1:]], 1)

    def apply(self, x: Tensor, u: Tensor) -> Tensor:
        """x (n, c, h, w), transformed. Pixels go on beyond the edge: a frame would tell the answer."""
        angle, shear = math.pi * u[:, 0], self.shear * u[:, 4]
        # Shifts are shares of the side, and the sides reach from −1 to 1.
        dx, dy = 2 * self.shift * u[:, 1], 2 * self.shift * u[:, 2]
        size = 1 + self.scale * u[:, 3]
        cos, sin, tan = angle.cos() / size, angle.sin() / size, shear.tan()
        # From a pixel of the result to its place in x.
        rows = [torch.stack([cos, sin + tan * cos, dx], 1), torch.stack([-sin, cos - tan * sin, dy], 1)]
        height, width = x.shape[2:]
        # In pixels the map is a rotation; in units of the sides, of a picture that is not square, it is none.
        ratio = torch.tensor(
            [[1.0, height / width, 1.0], [width / height, 1.0, 1.0]], dtype=x.dtype, device=x.device
        )
        return _warped(x, _grid(torch.stack(rows, 1) * ratio, height, width))


@dataclass(frozen=True)
class Projective:
    """The four corners moved, each in both directions. u (n, 8) is uniform on [−1, 1).

    Zhang et al. 2019's code moves them by up to an eighth of the side; its scaling and its turns by 90° are
    moves of the corners, too, and are left out.
    """

    reach: float = 0.25
    numbers: ClassVar[int] = 8

    @property
    def source(self) -> Source:
        """The law of u."""
        return Uniform((8,), -1.0, 1.0)

    def target(self, u: Tensor) -> Tensor:
        """What is to be read off: u itself, (n, 8)."""
        return u

    def apply(self, x: Tensor, u: Tensor) -> Tensor:
        """x (n, c, h, w), transformed: its corners show what was at the moved places."""
        corners = torch.tensor(
            [[-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0], [1.0, 1.0]], dtype=x.dtype, device=x.device
        )
        moved = corners + self.reach * u.view(-1, 4, 2)
        return _warped(x, _projected(_homography(corners.expand_as(moved), moved), *x.shape[2:]))


def _homography(start: Tensor, end: Tensor) -> Tensor:
    """The projective map that takes four points to four others: (n, 4, 2) twice → (n, 3, 3)."""
    one, zero = torch.ones_like(start[..., :1]), torch.zeros_like(start)
    point = torch.cat([start, one], 2)
    void = torch.cat([zero, zero[..., :1]], 2)
    across = torch.cat([point, void, -end[..., :1] * start], 2)
    down = torch.cat([void, point, -end[..., 1:] * start], 2)
    found = torch.linalg.solve(torch.cat([across, down], 1), torch.cat([end[..., 0], end[..., 1]], 1))
    return torch.cat([found, torch.ones_like(found[:, :1])], 1).view(-1, 3, 3)


def _places(height: int, width: int, like: Tensor) -> Tensor:
    """The middles of the pixels, between −1 and 1: (h · w, 2)."""
    y = (torch.arange(height, dtype=like.dtype, device=like.device) + 0.5) * (2 / height) - 1
    x = (torch.arange(width, dtype=like.dtype, device=like.device) + 0.5) * (2 / width) - 1
    return torch.stack([x.expand(height, width), y[:, None].expand(height, width)], 2).view(-1, 2)


def _grid(theta: Tensor, height: int, width: int) -> Tensor:
    """Where each pixel comes from, by an affine map (n, 2, 3): (n, h, w, 2)."""
    places = _places(height, width, theta)
    return (places @ theta[:, :, :2].transpose(1, 2) + theta[:, None, :, 2]).view(-1, height, width, 2)


def _projected(h: Tensor, height: int, width: int) -> Tensor:
    """Where each pixel comes from, by a projective map (n, 3, 3): (n, h, w, 2)."""
    places = _places(height, width, h)
    mapped = torch.cat([places, torch.ones_like(places[:, :1])], 1) @ h.transpose(1, 2)
    return (mapped[..., :2] / mapped[..., 2:]).view(-1, height, width, 2)


def _warped(x: Tensor, grid: Tensor) -> Tensor:
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)


Transformation = Affine | Projective
