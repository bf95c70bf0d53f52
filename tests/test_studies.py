"""Studies: what they measure, that a seed repeats them, and their command."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch.testing import assert_close

import reparam
from reparam.cli import main
from reparam.data import load
from reparam.errors import ReparamError
from reparam.metrics.gradient_noise import GradientNoise
from reparam.report.plots import Line, lines
from reparam.studies import STUDIES, one_sample, vae_against_gan, vae_as_pca
from reparam.studies.study import Study, spaced
from reparam.studies.vae_as_pca import EIGENVALUES, _collapse, _subspace, jacobians, known_covariance

SMALL = {"points": 2, "examples": 20, "batches": 2}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run."""
    out = tmp_path_factory.mktemp("runs") / "vae"
    system = reparam.build("vae", "digits", network="mlp", width=16, latent=4, seed=5)
    reparam.train(system, out, steps=6, batch_size=16)
    return out


# A gradient's noise


def test_the_parts_of_a_gradient_s_noise_are_unbiased():
    generator = torch.Generator().manual_seed(0)
    mean, of_batches, of_draws = 0.5, 2.0, 3.0
    found = []
    for _ in range(20):
        noise = GradientNoise()
        for _ in range(30):
            batch = mean + of_batches * torch.randn(50, generator=generator, dtype=torch.float64)
            draws = of_draws * torch.randn(4, 50, generator=generator, dtype=torch.float64)
            noise.add(batch + draws)
        found.append(torch.tensor(noise.parts()))
    wanted = torch.tensor([50 * mean**2, 50 * of_batches**2, 50 * of_draws**2])
    assert_close(torch.stack(found).mean(0), wanted, rtol=0.1, atol=0)


def test_more_draws_take_their_own_noise_away_and_no_more():
    noise = GradientNoise()
    noise.add(torch.tensor([[1.0, 0.0], [3.0, 0.0]]))
    noise.add(torch.tensor([[5.0, 0.0], [7.0, 0.0]]))
    parts = noise.parts()
    # Batch means 2 and 6, within each a variance of 2; the mean 4, whose own variance is 8 / 2.
    assert_close(tuple(parts), (16.0 - 4.0, 8.0 - 1.0, 2.0))
    assert parts.share_of_draws == pytest.approx(2 / 9)
    assert parts.ratio(1) == pytest.approx(math.sqrt(12 / 9))
    assert parts.ratio(2) == pytest.approx(math.sqrt(12 / 8))


def test_a_variance_needs_two():
    with pytest.raises(ReparamError, match="at least 2 draws"):
        GradientNoise().add(torch.zeros(1, 3))
    noise = GradientNoise()
    noise.add(torch.zeros(2, 3))
    with pytest.raises(ReparamError, match="at least 2"):
        noise.parts()


# Lines


def test_lines_are_drawn_where_their_numbers_are():
    image = lines({"up": Line([0, 10, 100], [0, 5, math.nan])}, across="x", up="y", size=(200, 100))
    assert isinstance(image, Image.Image)
    blue = [
        (x, y) for x in range(image.width) for y in range(image.height) if image.getpixel((x, y))[2] > 200
    ]  # pyright: ignore
    left = [p for p in blue if p[0] < 200]
    assert min(left)[1] > max(left)[1]  # it rises


def test_nothing_finite_is_refused():
    with pytest.raises(ReparamError, match="nothing finite"):
        lines({"a": Line([1], [math.nan])}, across="x", up="y")


def test_steps_begin_at_0_and_end_at_the_last():
    assert spaced(1000, 4) == [0, 1, 10, 100, 1000]
    assert spaced(1, 5) == [0, 1]


# One draw


def test_what_is_played_again_is_what_was(run: Path):
    again, ended = (one_sample(run, steps=steps, **SMALL).numbers["rows"] for steps in (6, 3))
    assert [row["step"] for row in ended] == [0, 1, 3, 6]
    assert again[-1] == ended[-1]  # the last of the one is played, of the other read


def test_the_record_of_one_draw(run: Path, tmp_path: Path):
    study = one_sample(run, **SMALL)
    for row in study.numbers["rows"]:
        assert row["over_draws"] > 0
        assert row["weighted"][1] < row["weighted"][50]
        assert set(row["gradient"]) == {"encoder", "decoder"}
        for part in row["gradient"].values():
            assert 0 < part["share_of_draws"] < 1
            assert part["signal_to_noise"][1] <= part["signal_to_noise"][50]
    path = study.save(tmp_path / "out")
    assert sorted(p.name for p in path.parent.iterdir()) == sorted(
        ["study.json", *(f"{name}.png" for name in study.pictures)]
    )
    assert json.loads(path.read_text()) == json.loads(json.dumps(one_sample(run, **SMALL).record()))


def test_models_without_a_distortion_are_refused(tmp_path: Path):
    system = reparam.build("gan", "digits", network="mlp", width=8, latent=2)
    reparam.train(system, tmp_path / "gan", steps=1, batch_size=8)
    with pytest.raises(ReparamError, match="no term `distortion`"):
        one_sample(tmp_path / "gan")
    with pytest.raises(ReparamError, match="give at least"):
        one_sample(tmp_path / "gan", batches=1)
    few = load({"x": torch.randn(60, 3, generator=torch.Generator()), "y": torch.arange(60) % 3}, labels=12)
    reparam.train(reparam.build("m2", few, width=8, latent=2), tmp_path / "m2", data=few, steps=1)
    with pytest.raises(ReparamError, match="more than held-out data have"):
        one_sample(tmp_path / "m2", data=few)


# PCA


def test_the_covariance_is_exact():
    x = known_covariance(500, 3).double()
    eigenvalues = torch.linalg.eigvalsh(x.T.cov(correction=0)).flip(0)
    assert_close(eigenvalues, torch.tensor(EIGENVALUES).double(), rtol=1e-5, atol=0)


def test_the_slope_of_a_linear_decoder_is_its_weight():
    system = reparam.build("linear-vae", known_covariance(100, 0), latent=3)
    slopes = jacobians(system, torch.zeros(2, 3))
    assert_close(slopes, system.model.decoder[0].weight.expand(2, 8, 3).detach())  # pyright: ignore


def test_a_linear_vae_finds_the_principal_directions():
    data = load(known_covariance(500, 0), standardise=False)
    subspace, _ = _subspace(data, 500, 0)
    collapse, _ = _collapse(data, 200, 0)
    assert subspace["largest_angle"] < 0.5 < subspace["rows"][0]["largest_angle"]
    assert subspace["log_likelihood"] - subspace["elbo"] < 0.01
    assert collapse["used"] == collapse["predicted"] == [4, 4, 3, 2, 1, 0]


# Against the GAN


def test_one_gaussian_for_two_modes_covers_the_gap():
    study = vae_against_gan(steps=300, seeds=1)
    rows = {row["model"]: row for row in study.numbers["gaussian"]["rows"]}
    assert rows["vae"]["between"] > 0.2 > 0.01 > study.numbers["gaussian"]["between_in_data"]


@pytest.mark.parametrize(
    "study",
    [lambda: vae_as_pca(steps=10, examples=100, seed=2), lambda: vae_against_gan(steps=3, seeds=1, seed=2)],
)
def test_a_seed_repeats_a_study(study: Callable[[], Study]):
    first, second = study(), study()
    assert first.record() == second.record()
    for name, picture in first.pictures.items():
        assert picture.tobytes() == second.pictures[name].tobytes()


@pytest.mark.parametrize("study", [lambda: vae_as_pca(steps=1), lambda: vae_against_gan(seeds=0)])
def test_too_little_is_refused(study: Callable[[], Study]):
    with pytest.raises(ReparamError, match="give"):
        study()


# The command


def test_the_command(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "study"
    assert main(["study", "one-sample", str(run), "--steps", "1", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "Why does one draw" in said
    assert "signal to noise" in said
    assert (out / "study.json").is_file()
    assert (out / "gradients.png").is_file()


def test_an_unknown_study(capsys: pytest.CaptureFixture[str]):
    assert main(["study", "one-sampel"]) == 2
    assert "did you mean 'one-sample'" in capsys.readouterr().err
    assert main(["study"]) == 2
    said = capsys.readouterr().out
    assert all(name in said for name in STUDIES)
