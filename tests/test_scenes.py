"""Segmented scenes against scikit-learn, and glyphs before a reader of print."""

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score
from torch.testing import assert_close

from reparam.data.named import shared_file
from reparam.errors import ReparamError
from reparam.metrics.foreground_ari import adjusted_rand, contingency, foreground_ari
from reparam.metrics.glyphs import _reader, content_kept, read


def data(name: str) -> Path:
    try:
        return shared_file(name)
    except ReparamError:
        pytest.skip(f"{name} is not in REPARAM_DATA or shared/data")


def scenes(n: int = 60, *, seed: int = 0) -> torch.Tensor:
    """Segments (n, 20, 20): background 0, and three squares, which may cover one another."""
    rng = np.random.default_rng(seed)
    x = torch.zeros(n, 20, 20, dtype=torch.long)
    for image in x:
        for name in (1, 2, 3):
            i, j = rng.integers(0, 14, 2)
            image[i : i + 6, j : j + 6] = name
    return x


def test_adjusted_rand_against_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    for clusters in (1, 2, 5, 30):
        a, b = rng.integers(clusters, size=30), rng.integers(4, size=30)
        a[:10] = b[:10]
        assert_close(float(adjusted_rand(contingency(a, b))), float(adjusted_rand_score(a, b)))
    for a, b in (([0, 0, 0], [7, 7, 7]), ([0, 1, 2], [2, 0, 1]), ([0, 0, 0], [0, 1, 2]), ([4], [9])):
        expected = float(adjusted_rand_score(a, b))
        assert_close(float(adjusted_rand(contingency(np.array(a), np.array(b)))), expected)


def test_foreground_alone_counts() -> None:
    true = scenes()
    noise = torch.from_numpy(np.random.default_rng(1).integers(0, 9, true.shape))
    renamed = torch.tensor([8, 5, 4, 2])[true]
    assert (
        foreground_ari(torch.where(true == 0, noise, renamed), true).value == 1
    )  # the background may be anything
    predicted = torch.where(noise < 3, noise, true)
    expected = np.mean(
        [adjusted_rand_score(a[b > 0], b[b > 0]) for a, b in zip(predicted, true, strict=True)]
    )
    m = foreground_ari(predicted, true)
    assert_close(m.value, float(expected))
    assert m.low is not None
    assert m.high is not None
    assert m.low < m.value < m.high
    whole = np.mean([adjusted_rand_score(a.ravel(), b.ravel()) for a, b in zip(predicted, true, strict=True)])
    assert abs(m.value - whole) > 0.02  # over all pixels it would be another measure


def test_masks_are_taken_by_their_largest() -> None:
    true = scenes(10)
    masks = torch.nn.functional.one_hot(true, 5).movedim(-1, 1).float() + 0.1
    assert foreground_ari(masks, true).value == 1
    assert foreground_ari(masks.roll(2, 1), true).value == 1  # the order of slots does not matter
    assert foreground_ari(masks.numpy(), true.numpy()) == foreground_ari(masks, true)


def test_images_without_objects_are_left_out() -> None:
    true = torch.cat([scenes(3), torch.zeros(2, 20, 20, dtype=torch.long)])
    m = foreground_ari(true, true)
    assert (m.value, m.n) == (1.0, 3)
    assert "3 images of 5 that have one" in m.how


def test_broken_segmentations_rank_below_the_good_one() -> None:
    true = scenes()
    rng = np.random.default_rng(2)
    random = torch.from_numpy(rng.integers(0, 4, true.shape))
    good = foreground_ari(torch.where(random == 0, random, true), true)
    row = torch.arange(20)
    broken = {
        "one slot takes all": torch.zeros_like(true),
        "at random": random,
        "stripes": (row // 5).expand_as(true),
        "another image's": true.roll(1, 0),
    }
    for name, predicted in broken.items():
        m = foreground_ari(predicted, true)
        assert m.high is not None
        assert good.low is not None
        assert m.high < good.low, name
    assert foreground_ari(torch.zeros_like(true), true).value < 0.1
    assert abs(foreground_ari(random, true).value) < 0.02  # chance is 0


def test_wrong_segments_are_named() -> None:
    true = scenes(2)
    with pytest.raises(
        ReparamError, match=r"predicted torch.int64 \(2, 9, 9\) and true torch.int64 \(2, 20, 20\)"
    ):
        foreground_ari(torch.zeros(2, 9, 9, dtype=torch.long), true)
    with pytest.raises(ReparamError, match="as whole numbers"):
        foreground_ari(true.float(), true)
    with pytest.raises(ReparamError, match="none of 2 images"):
        foreground_ari(true, torch.zeros_like(true))
    with pytest.raises(ReparamError, match="NaN"):
        foreground_ari(torch.full((2, 3, 20, 20), torch.nan), true)


# glyphs


def test_reader_missing_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    _reader.cache_clear()
    monkeypatch.setitem(sys.modules, "rapidocr_onnxruntime", None)
    with pytest.raises(
        ReparamError, match=r'package .rapidocr_onnxruntime.: pip install "reparam\[glyphs\]"'
    ):
        content_kept(torch.zeros(1, 1, 64, 64), "一")


def test_wrong_glyphs_are_named() -> None:
    with pytest.raises(ReparamError, match="2 glyphs and 1 characters"):
        content_kept(torch.zeros(2, 1, 64, 64), "一")
    with pytest.raises(ReparamError, match="expected one each"):
        content_kept(torch.zeros(1, 1, 64, 64), ["一二"])
    with pytest.raises(ReparamError, match="divide bytes by 255"):
        read(torch.zeros(1, 1, 64, 64, dtype=torch.uint8))
    with pytest.raises(ReparamError, match="ink is 'blue'"):
        read(torch.zeros(1, 1, 64, 64), ink="blue")


@pytest.fixture(scope="module")
def hanzi() -> Iterator[tuple[torch.Tensor, list[str], list[str]]]:
    """Glyphs (30 typefaces, 12 characters, 1, 64, 64), the characters, and the style of each typeface."""
    if find_spec("rapidocr_onnxruntime") is None:
        pytest.skip("rapidocr-onnxruntime, of the extra `glyphs`, is not installed")
    with np.load(data("hanzi.npz"), allow_pickle=False) as found:
        columns = np.random.default_rng(0).choice(len(found["chars"]), 12, replace=False)
        glyphs = torch.from_numpy(found["images"][:, columns]).float().div(255)[:, :, None]
        yield glyphs, found["chars"][columns].tolist(), found["style"].tolist()


def test_reader_reads_print_and_stumbles_over_cursive(hanzi: tuple) -> None:
    glyphs, characters, styles = hanzi

    def kept(*of: str) -> float:
        rows = [i for i, style in enumerate(styles) if style in of]
        return content_kept(glyphs[rows].flatten(0, 1), characters * len(rows)).value

    printed, cursive = kept("song", "hei"), kept("cursive")
    assert printed > 0.9  # the data's own notes: 90 – 97 % of print, 18 % of cursive, 88 % of all
    assert cursive < 0.5


def test_broken_glyphs_rank_below_the_real_ones(hanzi: tuple) -> None:
    glyphs, characters, styles = hanzi
    real, noise = glyphs[styles.index("song")], torch.Generator().manual_seed(0)
    good = content_kept(real, characters)
    broken = {
        "blurred": torch.nn.functional.avg_pool2d(real, 17, 1, 8),
        "noisy": (0.3 * real + 0.7 * torch.rand(real.shape, generator=noise)),
        "another character": real.roll(1, 0),
        "mirrored": real.flip(-1),
        "empty": torch.zeros_like(real),
    }
    for name, x in broken.items():
        m = content_kept(x, characters)
        assert m.high is not None
        assert good.low is not None
        assert m.high < good.low, name
    assert good == content_kept(real, characters)
    assert content_kept(1 - real, characters, ink="dark").value == good.value
    assert "RapidOCR 1." in good.how
    assert json.loads(json.dumps(asdict(good), allow_nan=False)) == asdict(good)
