"""The lines and the measure of walks between them."""

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from reparam.data import load
from reparam.data.lines import draw
from reparam.errors import ReparamError
from reparam.metrics.interpolation import on_lines


def walks(angles: np.ndarray) -> torch.Tensor:
    """(n, steps) angles → (n, steps, 1, 32, 32)."""
    pictures = torch.from_numpy(draw(angles.ravel())).float() / 255
    return pictures.view(*angles.shape, 1, 32, 32)


STARTS = np.linspace(0.3, 5.0, 12)[:, None]
STEADY = STARTS + np.linspace(0, 1.2, 9)


def test_a_line_points_where_it_says():
    x = torch.from_numpy(draw(np.array([0.0, np.pi / 2, np.pi]))).float()[:, 0]
    place = torch.arange(32) - 15.5
    across = (x.sum(1) * place).sum(1) / x.sum((1, 2))
    up = -(x.sum(2) * place).sum(1) / x.sum((1, 2))
    assert_close(across, torch.tensor([7.0, 0.0, -7.0]), atol=0.6, rtol=0)
    assert_close(up, torch.tensor([0.0, 7.0, 0.0]), atol=0.6, rtol=0)


def test_the_data_are_lines_of_every_angle():
    data = load("lines")
    assert data.shape == (1, 32, 32)
    assert data.train.y is not None
    assert torch.bincount(data.train.y).min() > 900


def test_a_steady_walk_is_perfect():
    found = on_lines(walks(STEADY))
    assert found["distance"].value < 1e-4
    assert abs(found["smoothness"].value) < 1e-2


def test_a_walk_across_zero_is_no_jump():
    found = on_lines(walks(np.linspace(-0.5, 0.5, 9)[None]))
    assert abs(found["smoothness"].value) < 1e-2


def test_fading_from_one_line_to_another_is_worse_than_turning():
    """What an autoencoder does between far codes: both ends shine through."""
    a, b = walks(STEADY[:, :1]), walks(STEADY[:, -1:])
    t = torch.linspace(0, 1, 9).view(1, -1, 1, 1, 1)
    faded, turned = on_lines((1 - t) * a + t * b), on_lines(walks(STEADY))
    for name in ("distance", "smoothness"):
        low = faded[name].low
        assert low is not None
        assert low > (turned[name].high or 0)


def test_a_jump_is_unsmooth():
    jump = STARTS + np.repeat([0.0, 1.2], [4, 5])
    assert_close(on_lines(walks(jump))["smoothness"].value, 1 - 1 / 8, atol=1e-3, rtol=0)


def test_what_is_no_walk_is_refused():
    with pytest.raises(ReparamError, match="steps ≥ 3"):
        on_lines(torch.rand(4, 2, 1, 32, 32))
    with pytest.raises(ReparamError, match="no walk turns"):
        on_lines(walks(np.full((3, 5), 0.4)))
