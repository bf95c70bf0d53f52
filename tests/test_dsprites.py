"""dSprites by formula: every factor changes what it should, and nothing else."""

import numpy as np
import pytest

from reparam.data import Data, load
from reparam.data.dsprites import SIZES, N, factors, render
from reparam.errors import ReparamError

HALF_PIXEL = 0.5


def row(shape: int = 0, scale: int = 5, orientation: int = 0, x: int = 16, y: int = 16) -> np.ndarray:
    at = np.broadcast_arrays(*(np.atleast_1d(v) for v in (shape, scale, orientation, x, y)))
    return np.ravel_multi_index(at, tuple(SIZES.values()))


def white(rows: np.ndarray) -> np.ndarray:
    return render(rows)[:, 0] > 0


def mass(pictures: np.ndarray) -> np.ndarray:
    """Centres of mass (n, 2), x to the right and y downwards, in pixels from the corner."""
    at = np.arange(64) + 0.5
    area = pictures.sum((1, 2))
    return np.stack([(pictures.sum(1) * at).sum(1), (pictures.sum(2) * at).sum(1)], 1) / area[:, None]


def test_rows_are_in_the_published_order() -> None:
    assert N == 737_280
    last = factors(np.array([0, 1, 32, N - 1]))
    assert [list(v) for v in last.values()] == [
        [0, 0, 0, 2], [0, 0, 0, 5], [0, 0, 0, 39], [0, 0, 1, 31], [0, 1, 0, 31]
    ]  # fmt: skip
    assert (row(**{k: v[-1] for k, v in last.items()}) == N - 1).all()


def test_pictures_depend_on_their_row_alone() -> None:
    rows = np.random.default_rng(0).integers(N, size=200)
    pictures = render(rows)
    assert set(np.unique(pictures)) == {0, 255}
    assert (render(rows[::-1])[::-1] == pictures).all()
    assert (render(rows[7:8]) == pictures[7:8]).all()


@pytest.mark.parametrize("shape", range(3))
def test_the_centre_of_mass_is_the_position(shape: int) -> None:
    rng = np.random.default_rng(shape)
    of = {k: rng.integers(SIZES[k], size=300) for k in ("scale", "orientation", "x", "y")}
    found = mass(white(row(shape, **of)))
    expected = 16 + 32 / 31 * np.stack([of["x"], of["y"]], 1)
    assert np.abs(found - expected).max() < 0.4  # of a small heart, at the most: a pixel is white or not
    assert np.abs((found - expected).mean(0)).max() < 0.05


@pytest.mark.parametrize(
    ("shape", "area"), [(0, 19.2**2), (1, np.pi * 12.8 * 7.2), (2, 11.2**2 * (1 + np.pi / 4))]
)
def test_scale_scales_the_area(shape: int, area: float) -> None:
    turned = np.arange(39)[None]
    found = white(row(shape, np.arange(6)[:, None], turned).ravel()).reshape(6, 39, -1).sum(2).mean(1)
    np.testing.assert_allclose(found, area * np.linspace(0.5, 1, 6) ** 2, rtol=0.025)


def test_orientation_turns_counter_clockwise_and_comes_round() -> None:
    # The heart's tip points down; an eighth of a turn later, to the lower right.
    heart = white(row(2, orientation=np.arange(40)))
    points = np.argwhere(heart[5]) + HALF_PIXEL
    tip = points[np.abs(points - mass(heart)[5][::-1]).sum(1).argmax()] - mass(heart)[5][::-1]
    assert tip[0] > 5  # down
    assert tip[1] > 5  # right
    assert (heart[0] == heart[39]).all()
    assert len({h.tobytes() for h in heart}) == 39
    # Halfway round lies between two steps: an ellipse turned by 19 steps is one turned back by half a step.
    ellipse = white(row(1, orientation=np.arange(40)))
    assert (ellipse[10] ^ ellipse[0]).sum() > 100  # a quarter: it stands
    assert (ellipse[19] ^ ellipse[0]).sum() < 40
    # The square has four orientations that look alike, to a quarter of a step.
    square = white(row(0, orientation=np.arange(40)))
    assert (square[10] ^ square[0]).sum() < 40 < (square[5] ^ square[0]).sum()


def test_ellipse_lies_and_heart_is_upright_at_orientation_nought() -> None:
    square, ellipse, heart = white(row(np.arange(3), x=0, y=0))
    assert np.ptp(np.argwhere(square), axis=0).tolist() == [19, 19]
    assert np.ptp(np.argwhere(ellipse), axis=0).tolist() == [13, 25]
    assert (heart[:, :16] == heart[:, 31:15:-1]).all()  # its mirror image
    rows = heart.sum(1)
    assert rows[np.flatnonzero(rows)[-1]] <= 4 < 16 < rows.max()  # the tip is below


def test_every_sprite_is_whole() -> None:
    rng = np.random.default_rng(0)
    corners = white(
        row(*(rng.integers(n, size=2_000) for n in (3, 6, 40)), *(31 * rng.integers(2, size=(2, 2_000))))
    )
    assert not corners[:, :2].any()
    assert not corners[:, -2:].any()
    assert not corners[:, :, :2].any()
    assert not corners[:, :, -2:].any()


def test_rows_that_are_none_are_named() -> None:
    for bad in (np.array([N]), np.array([-1]), np.array([0.5]), np.array(3)):
        with pytest.raises(ReparamError, match="0 to 737,279"):
            render(bad)


@pytest.fixture(scope="module")
def data() -> Data:
    return load("dsprites")


def test_the_named_dataset(data: Data) -> None:
    assert data.levels == "binary"
    assert data.classes == ("square", "ellipse", "heart")
    assert abs(data.train.x.double().mean() / 255 - 0.0425) < 2e-4  # as the published pictures
    known = {name: data.attributes[name]["test"].numpy() for name in SIZES}
    assert (known["shape"] == data.test.y.numpy()).all()
    rows = np.ravel_multi_index(tuple(known.values()), tuple(SIZES.values()))
    assert (render(rows[:50]) == data.test.x[:50].numpy()).all()
    for name, n in SIZES.items():
        counts = np.bincount(data.attributes[name]["train"].numpy(), minlength=n)
        assert len(counts) == n
        assert np.abs(counts / counts.mean() - 1).max() < 0.2  # a random choice of rows


def test_no_row_is_in_two_splits(data: Data) -> None:
    rows = [
        set(
            np.ravel_multi_index(
                [data.attributes[k][s].numpy() for k in SIZES], tuple(SIZES.values())
            ).tolist()
        )
        for s in ("train", "validation", "test")
    ]
    assert sum(map(len, rows)) == len(set.union(*rows)) == 30_000
