"""Transformations of pictures: where pixels go, what is read off, and the losses of AET and AVT."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

import reparam
from reparam.distributions import Gaussian
from reparam.models.aet import AET
from reparam.models.avt import AVT
from reparam.transformations import Affine, Projective


def picture(height: int = 32, width: int = 32) -> Tensor:
    """A soft blob right of the middle, (1, 1, h, w) float64."""
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    blob = torch.exp(-((x - 0.625 * width).square() + (y - 0.5 * height).square()) / 8)
    return blob[None, None].double()


def middle(x: Tensor) -> tuple[float, float]:
    """Where the blob is, from −1 to 1: right and down."""
    x = x[0, 0] - x.min()
    height, width = x.shape
    right = (x.sum(0) * ((torch.arange(width) + 0.5) * 2 / width - 1)).sum() / x.sum()
    down = (x.sum(1) * ((torch.arange(height) + 0.5) * 2 / height - 1)).sum() / x.sum()
    return float(right), float(down)


def affine(
    angle: float = 0.0, dx: float = 0.0, dy: float = 0.0, size: float = 0.0, shear: float = 0.0
) -> Tensor:
    return torch.tensor([[angle, dx, dy, size, shear]]).double()


def test_nothing_is_moved_by_nothing():
    x = torch.rand(3, 2, 9, 13, dtype=torch.float64)
    assert_close(Affine().apply(x, affine().expand(3, 5)), x)
    assert_close(Projective().apply(x, torch.zeros(3, 8).double()), x)


@pytest.mark.parametrize("shape", [(32, 32), (24, 40)])
def test_an_affine_map_takes_the_blob_where_it_should(shape: tuple[int, int]):
    x = picture(*shape)
    quarter = middle(Affine().apply(x, affine(angle=0.5)))
    assert_close(quarter[0], 0.0, atol=0.02, rtol=0)
    assert_close(abs(quarter[1]), 0.25 * shape[1] / shape[0], atol=0.02, rtol=0)
    shifted = middle(Affine().apply(x, affine(dx=0.5, dy=-0.5)))
    assert_close(shifted, (0.25 - 0.2, 0.2), atol=0.02, rtol=0)
    larger = middle(Affine().apply(x, affine(size=1.0)))
    assert_close(larger[0], 0.25 * 1.3, atol=0.02, rtol=0)


def test_a_quarter_turn_is_one_to_the_pixel():
    x = torch.rand(1, 1, 8, 8, dtype=torch.float64)
    turned = Affine().apply(x, affine(angle=0.5))
    assert any(torch.allclose(turned, torch.rot90(x, k, (2, 3)), atol=1e-9) for k in (1, 3))


def test_a_projective_map_moves_the_corners_where_it_says():
    """The ramp's values are places: what is shown at a moved corner is the corner's own."""
    across = ((torch.arange(64) + 0.5) / 32 - 1).double()
    x = torch.stack([across.expand(64, 64), across[:, None].expand(64, 64)])[None]
    u = torch.tensor([[0.4, 0.6, -0.5, 0.3, 0.2, -0.4, -0.8, -0.7]]).double()
    warped = Projective().apply(x, u)
    inside = torch.tensor([[-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0], [1.0, 1.0]]).double() + 0.25 * u.view(4, 2)
    # The map takes a pixel of the result to its place in x: it shows the moved place in the corner.
    corners = warped[0, :, [0, 0, -1, -1], [0, -1, 0, -1]].T
    assert_close(corners, inside.clamp(-1 + 1 / 64, 1 - 1 / 64), atol=0.05, rtol=0)


def test_what_is_read_off_lies_between_minus_one_and_one():
    u = torch.rand(500, 5, dtype=torch.float64) * 2 - 1
    target = Affine().target(u)
    assert target.shape == (500, 6)
    assert target.abs().max() <= 1
    assert_close(torch.atan2(target[:, 1], target[:, 0]), math.pi * u[:, 0])
    assert_close(target[:, 2:], u[:, 1:])


class Flat(nn.Module):
    """x → its first four pixels, as a code or as a Gaussian of std ½."""

    def __init__(self, stochastic: bool) -> None:
        super().__init__()
        self.stochastic = stochastic
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor | Gaussian:
        code = self.scale * x.flatten(1)[:, :4]
        return Gaussian(code, torch.full_like(code, math.log(0.5))) if self.stochastic else code


def test_the_losses_are_what_they_say():
    x, u = torch.rand(5, 1, 8, 8), torch.rand(5, 5) * 2 - 1
    law, decoder = Affine(), nn.Linear(8, 6)
    seen = law.apply(x, u)
    aet = AET(Flat(False), decoder, law)
    read = decoder(torch.cat([x.flatten(1)[:, :4], seen.flatten(1)[:, :4]], 1))
    assert_close(aet.reading(x, t=u)["error"], (law.target(u) - read).square().sum(1))

    class Law(nn.Module):
        def forward(self, codes: Tensor) -> Gaussian:
            return Gaussian(decoder(codes), torch.zeros(()))

    eps = torch.randn(5, 4)
    avt = AVT(Flat(True), Law(), law, 4)
    read = decoder(torch.cat([x.flatten(1)[:, :4], seen.flatten(1)[:, :4] + 0.5 * eps], 1))
    expected = -torch.distributions.Normal(read, 1).log_prob(law.target(u)).sum(1)
    assert_close(avt.reading(x, t=u, eps=eps)["ignorance"], expected)


def test_vectors_are_not_turned():
    with pytest.raises(reparam.ReparamError, match="turn pictures"):
        reparam.build("aet", torch.randn(50, 4))


def test_what_reads_transformations_samples_nothing():
    system = reparam.build("aet", torch.rand(50, 1, 8, 8), width=16, latent=4)
    with pytest.raises(reparam.ReparamError, match="no sampler; systems that have one"):
        system.sample(4)
