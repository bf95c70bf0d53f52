"""The command line: every command on a tiny real run, and every kind of bad input."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reparam.cli import main
from reparam.commands import options, training
from reparam.commands.reference import reference
from reparam.errors import ReparamError
from reparam.report.schema import Card

TINY = ("--steps", "3", "--batch-size", "16", "--set", "width=16", "latent=4")
Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Runs the command line in this process: exit code, stdout, stderr."""
    monkeypatch.setenv("COLUMNS", "100")

    def run(*words: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main([str(word) for word in words])
        return code, *capsys.readouterr()

    return run


@pytest.fixture(scope="module")
def vae(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "vae"
    assert main(["train", "vae", "--data", "digits", "--out", str(out), *TINY]) == 0
    return out


@pytest.fixture(scope="module")
def gan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "gan"
    assert main(["train", "gan", "--data", "digits", "--out", str(out), *TINY]) == 0
    return out


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Vectors far from standardised."""
    path = tmp_path_factory.mktemp("data") / "table.npz"
    x = np.random.default_rng(0).normal(100, 10, (200, 2))
    np.savez(path, x=x, y=np.arange(200) % 3)
    return path


@pytest.fixture(scope="module")
def flat(tmp_path_factory: pytest.TempPathFactory, table: Path) -> Path:
    """A run on vectors."""
    out = tmp_path_factory.mktemp("runs") / "flat"
    assert main(["train", "vae", "--data", str(table), "--out", str(out), *TINY]) == 0
    return out


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Twelve pictures of 8 × 8."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(12):
        pixels = np.random.default_rng(i).integers(0, 256, (8, 8), np.uint8)
        Image.fromarray(pixels).save(folder / f"{i:02}.png")
    return folder


def complains(result: tuple[int, str, str], *words: str) -> None:
    """One message on stderr with these words, exit code 2, no traceback."""
    code, _, error = result
    assert code == 2, error
    assert error.startswith("reparam: "), error
    assert "Traceback" not in error
    assert error.count("\n") == 1, error
    for word in words:
        assert word in error, error


# Every command


def test_models(cli: Cli) -> None:
    code, out, _ = cli("models")
    assert code == 0
    for word in ("vae-gan", "Kingma & Welling", "discriminator", "criticism × 5", "eps ~ N(0, I)"):
        assert word in out
    found = {entry["name"]: entry for entry in json.loads(cli("models", "--json")[1])}
    assert found["vae"]["players"] == ["encoder", "decoder"]
    assert found["vae"]["takes"] == ["image", "vector"]
    assert found["faces"]["takes"] == ["image"]
    assert found["vae"]["settings"]["latent"] == 32


def test_card(cli: Cli, vae: Path) -> None:
    code, out, _ = cli("card", "vae", "--binarise", "dynamic", "--set", "latent=5")
    assert code == 0
    assert "3. Randomness" in out
    assert "binarise ~ U[0, 1)" in out
    assert "latent=5" in out
    made = Card.model_validate_json(cli("card", vae, "--json")[1])
    assert made.players[0].shapes[-1].output == "Gaussian: mean (4), log_std (4)"


def test_train_says_what_next(cli: Cli, tmp_path: Path) -> None:
    out = tmp_path / "run"
    seeds = ("--seed", "3", "order=5", "--seed", "weights=7", "--freeze", "eps", "--pin", "z=0.5")
    code, said, error = cli("train", "vae", "--data", "digits", "--out", out, *TINY, *seeds)
    assert code == 0, error
    assert f"{out}: trained to step 3" in said
    assert "reparam sample" in said
    settings = json.loads((out / "run.json").read_text())
    assert settings["seed"] == 3
    assert settings["seeds"] == {"order": 5, "weights": 7}
    assert settings["freeze"] == ["eps"]
    assert settings["pin"] == {"z": 0.5}
    assert json.loads((out / "system.json").read_text())["settings"] == {"width": 16, "latent": 4}


def test_train_by_budget_and_by_epochs(cli: Cli, tmp_path: Path, pictures: Path) -> None:
    common = ("--set", "width=16", "--batch-size", "5", "--average", "0.9", "--mirror")
    for name, limit in (("epochs", "2"), ("budget", "1s")):
        code, _, error = cli(
            "train", "vae", "--data", pictures, "--out", tmp_path / name, *common, f"--{name}", limit
        )
        assert code == 0, error
    assert json.loads((tmp_path / "budget" / "run.json").read_text())["budget"] == 1.0


def test_resume(cli: Cli, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert cli("train", "vae", "--data", "digits", "--out", out, *TINY)[0] == 0
    code, said, _ = cli("resume", out, "--steps", "5")
    assert code == 0
    assert "trained to step 5" in said


def test_sample(cli: Cli, vae: Path, tmp_path: Path) -> None:
    assert cli("sample", vae, "--n", "9", "--out", tmp_path / "grid.png", "--npz", tmp_path / "x.npz")[0] == 0
    assert Image.open(tmp_path / "grid.png").size[0] > 3 * 28
    x = np.load(tmp_path / "x.npz")["x"]
    assert x.shape == (9, 1, 28, 28)
    assert cli("sample", vae, "--out", tmp_path / "pinned.npz", "--pin", "z=0", "--n", "2")[0] == 0
    pinned = np.load(tmp_path / "pinned.npz")["x"]
    np.testing.assert_array_equal(pinned[0], pinned[1])
    assert cli("sample", vae, "--seed", "1", "--out", tmp_path / "other.npz", "--n", "9")[0] == 0
    assert not np.array_equal(np.load(tmp_path / "other.npz")["x"], x)


def test_reconstruct_and_interpolate(cli: Cli, vae: Path, gan: Path, tmp_path: Path) -> None:
    arrays = tmp_path / "r.npz"
    assert cli("reconstruct", vae, "--n", "8", "--npz", arrays)[0] == 0
    assert (vae / "reconstructions.png").is_file()
    assert np.load(arrays)["reconstruction"].shape == np.load(arrays)["x"].shape == (8, 1, 28, 28)
    for run in (vae, gan):
        assert cli("interpolate", run, "--rows", "2", "--steps", "5", "--npz", arrays)[0] == 0
        assert np.load(arrays)["x"].shape == (2, 5, 1, 28, 28)
        assert (run / "interpolation.png").is_file()


@pytest.fixture(scope="module")
def cvae(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "cvae"
    assert main(["train", "cvae", "--data", "digits", "--out", str(out), *TINY]) == 0
    return out


@pytest.fixture(scope="module")
def munit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run between two files of pictures, photos.npz and drawings.npz, beside it."""
    folder = tmp_path_factory.mktemp("runs")
    for i, name in enumerate(("photos", "drawings")):
        x = np.random.default_rng(i).integers(0, 256, (40, 1, 8, 8), np.uint8)
        np.savez(folder / f"{name}.npz", x=x)
    domains = ["--data", str(folder / "photos.npz"), "--to", str(folder / "drawings.npz")]
    small = ["--steps", "2", "--set", "width=16", "blocks=1"]
    assert main(["train", "munit", *domains, "--out", str(folder / "munit"), *small]) == 0
    return folder / "munit"


def test_a_class_is_sampled_by_its_name(cli: Cli, cvae: Path, vae: Path, tmp_path: Path) -> None:
    def drawn(*words: object) -> np.ndarray:
        assert cli("sample", cvae, "--n", "4", "--out", tmp_path / "x.npz", *words)[0] == 0
        return np.load(tmp_path / "x.npz")["x"]

    np.testing.assert_array_equal(drawn("--label", "3"), drawn("--pin", "y=3"))
    assert not np.array_equal(drawn("--label", "3"), drawn("--label", "4"))
    complains(cli("sample", cvae, "--label", "30"), "unknown label of digits '30'", "did you mean '3'")
    complains(cli("sample", cvae, "--label", "3", "--pin", "y=4"), "a label pins y")
    complains(cli("sample", vae, "--label", "3"), "vae does not sample by class", "cvae-gan")


def test_the_seed_of_one_source(cli: Cli, cvae: Path, tmp_path: Path) -> None:
    """Another seed of z, and the classes stay the same."""
    arrays = []
    for words in ((), ("--seed", "z=5")):
        assert cli("sample", cvae, "--out", tmp_path / "x.npz", "--pin", "y=1", *words)[0] == 0
        arrays.append(np.load(tmp_path / "x.npz")["x"])
    assert not np.array_equal(*arrays)
    complains(cli("sample", cvae, "--seed", "zz=5"), "unknown noise source 'zz'", "did you mean 'z'")


@pytest.mark.parametrize("name", ["vae", "cvae"])
def test_complete(cli: Cli, name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    run, arrays = request.getfixturevalue(name), tmp_path / "x.npz"
    for where in ("left", "box"):
        words = ("complete", run, "--mask", where, "--n", "6", "--rounds", "3", "--npz", arrays)
        assert cli(*words)[0] == 0
        with np.load(arrays) as file:
            x, gone, made = file["x"], file["missing"], file["completed"]
        np.testing.assert_array_equal(made[~gone], x[~gone])
        assert not np.array_equal(made[gone], x[gone])
        if where == "box":  # the place is drawn for each
            assert np.unique(gone.reshape(6, -1), axis=0).shape[0] > 1
            assert cli(*words, "--freeze", "box")[0] == 0
            assert np.unique(np.load(arrays)["missing"].reshape(6, -1), axis=0).shape[0] == 1
        else:
            assert gone[..., :14].all()
            assert not gone[..., 14:].any()
    assert (run / "completions.png").is_file()


def test_complete_by_a_file(cli: Cli, vae: Path, tmp_path: Path) -> None:
    white = np.zeros((28, 28), np.uint8)
    white[3:9, 20:] = 255
    Image.fromarray(white).save(tmp_path / "mask.png")
    words = ("complete", vae, "--n", "3", "--rounds", "2", "--out", tmp_path / "x.npz", "--mask")
    assert cli(*words, tmp_path / "mask.png")[0] == 0
    np.testing.assert_array_equal(np.load(tmp_path / "x.npz")["missing"][1, 0], white > 0)
    Image.fromarray(white[:20]).save(tmp_path / "small.png")
    complains(cli(*words, tmp_path / "small.png"), "28×20", "28×28")
    Image.fromarray(0 * white).save(tmp_path / "nothing.png")
    complains(cli(*words, tmp_path / "nothing.png"), "must be missing")
    (tmp_path / "text.png").write_text("no picture")
    complains(cli(*words, tmp_path / "text.png"), "cannot be read as a picture")
    complains(cli(*words, tmp_path / "absent.png"), "does not exist")
    complains(cli(*words, "centre"), "unknown mask 'centre'", "did you mean 'center'")


def test_complete_asks_for_what_it_needs(cli: Cli, gan: Path, flat: Path, vae: Path) -> None:
    complains(cli("complete", gan), "gan has no encoder")
    complains(cli("complete", flat), "a mask is for pictures")
    complains(cli("complete", vae, "--pin", "eps=0"), "unknown noise source 'eps'")
    complains(cli("complete", vae, "--rounds", "0"), "at least 1")


def test_translate(cli: Cli, munit: Path, tmp_path: Path) -> None:
    def translated(*words: object) -> np.ndarray:
        words = ("translate", munit, "--n", "4", "--npz", tmp_path / "x.npz", *words)
        assert cli(*words)[0] == 0
        return np.load(tmp_path / "x.npz")["translation"]

    forth = translated("--to", "drawings")
    assert (munit / "to-drawings.png").is_file()
    assert not np.array_equal(forth, translated("--to", "drawings", "--seed", "style_y=4"))
    held = translated("--to", "drawings", "--pin", "style_y=0")
    assert not np.array_equal(held, forth)
    assert not np.array_equal(held, translated("--to", "photos", "--pin", "style_x=0"))
    like = translated("--to", "drawings", "--like", munit.parent / "drawings.npz")
    assert not np.array_equal(like, forth)
    assert np.load(tmp_path / "x.npz")["like"].shape == like.shape


def test_translate_asks_for_what_there_is(cli: Cli, munit: Path, vae: Path) -> None:
    complains(
        cli("translate", munit, "--to", "drawing"), "unknown domain 'drawing'", "did you mean 'drawings'"
    )
    complains(
        cli("translate", munit, "--to", "drawings", "--freeze", "style_x"), "source 'style_x'", "style_y"
    )
    complains(cli("translate", vae, "--to", "drawings"), "vae has no translator", "munit")


def test_codes_are_a_dataset(cli: Cli, vae: Path, tmp_path: Path) -> None:
    codes = tmp_path / "codes.npz"
    assert cli("encode", vae, "--out", codes)[0] == 0
    with np.load(codes) as file:
        assert file["x_train"].shape == (8000, 4)
        assert file["y_test"].shape == (1000,)
    assert "vector" in cli("data", "show", codes)[1]


def test_score_ranks_the_least_typical_first(cli: Cli, vae: Path, tmp_path: Path) -> None:
    out = tmp_path / "scores.csv"
    code, said, _ = cli("score", vae, "--show", "2", "--out", out)
    assert code == 0
    with out.open() as file:
        rows = list(csv.DictReader(file))
    least = min(rows, key=lambda row: float(row["score"]))
    first = said.splitlines()[2].split()
    assert first[:3] == ["1", "test", least["row"]]
    assert len(rows) == 1000


def test_vectors_come_back_in_their_units(cli: Cli, flat: Path, table: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.csv"
    assert cli("sample", flat, "--n", "50", "--out", out)[0] == 0
    assert np.loadtxt(out, delimiter=",", skiprows=1).mean() > 50
    for command in ("sample", "reconstruct", "interpolate"):
        assert cli(command, flat)[0] == 0  # two numbers an example: a scatter
    assert (flat / "samples.png").is_file()
    # The same rows, told to be other data, are standardised by the run's own scale, not by theirs.
    moved = tmp_path / "moved.npz"
    with np.load(table) as file:
        np.savez(moved, x=file["x"] + 1000)
    found = {}
    for data in (table, moved):
        assert cli("score", flat, "--data", data, "--out", out)[0] == 0
        with out.open() as file:
            found[data] = [float(row["score"]) for row in csv.DictReader(file)]
    assert max(found[moved]) < min(found[table])


def test_data(cli: Cli) -> None:
    code, out, _ = cli("data", "list")
    assert code == 0
    assert "digits" in out
    assert "25gaussians" in out
    assert {entry["name"] for entry in json.loads(cli("data", "list", "--json")[1])} >= {"digits", "mnist"}
    assert "1×28×28" in cli("data", "show", "digits")[1]


def test_compare_passes_on_what_was_said(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = {}

    def compare(names: list[str], **rest: object) -> None:
        told.update(rest, names=names)

    monkeypatch.setitem(sys.modules, "reparam.compare", types.SimpleNamespace(compare=compare))
    words = ("--data", "digits", "--budget", "1m", "--set", "vae.latent=8", "gan.lr=1e-4", "--size", "8")
    words += ("--split", "validation", "--n", "500", "--extractor", "pixels")
    assert cli("compare", "vae", "gan", *words, "--out", tmp_path)[0] == 0
    progress = told.pop("progress")
    assert callable(progress)
    assert told == {
        "names": ["vae", "gan"],
        "data": "digits",
        "out": tmp_path,
        "budget": 60.0,
        "steps": None,
        "seed": 0,
        "settings": {"vae": {"latent": 8}, "gan": {"lr": 1e-4}},
        "split": "validation",
        "n": 500,
        "extractor": "pixels",
        "device": "auto",
        "data_options": {
            "binarise": "none",
            "size": 8,
            "mirror": False,
            "skip_bad": False,
            "labels": None,
            "to": None,
            "disjoint": False,
            "aligned": False,
            "units": None,
            "length": None,
            "min_count": 2,
            "vocabulary_size": None,
            "lower": False,
            "rated": False,
            "threshold": None,
            "per_user": 5,
            "per_item": 0,
        },
    }


# Bad input


def test_unknown_names_get_the_nearest(cli: Cli, tmp_path: Path, vae: Path) -> None:
    out = tmp_path / "run"
    complains(cli("trian"), "did you mean 'train'")
    complains(cli("train", "vaes", "--data", "digits", "--out", out), "did you mean 'vae'")
    complains(cli("train", "vae", "--data", "digts", "--out", out), "did you mean 'digits'")
    complains(cli("card", "wgan_gp"), "did you mean 'wgan-gp'")
    setting = ("train", "vae", "--data", "digits", "--out", out, "--set", "latnt=3")
    complains(cli(*setting), "did you mean 'latent'")
    source = ("train", "vae", "--data", "digits", "--out", out, "--seed", "ordr=3")
    complains(cli(*source), "did you mean 'order'")
    complains(cli("sample", vae, "--freeze", "y"), "unknown noise source 'y'")
    complains(cli("compare", "vae", "--data", "digits", "--set", "gan.latent=3"), "gan")
    complains(cli("data", "show", "digit"), "did you mean 'digits'")
    assert not out.exists()


def test_wrong_values(cli: Cli, tmp_path: Path, vae: Path) -> None:
    train = ("train", "vae", "--data", "digits", "--out", tmp_path / "run")
    complains(cli(*train, "--set", "latent=many"), "latent", "integer")
    complains(cli(*train, "--set", "latent"), "name=value")
    complains(cli(*train, "--seed", "x"), "whole number")
    complains(cli(*train, "--seed", "1", "2"), "one seed")
    complains(cli(*train, "--pin", "eps=high"), "number")
    complains(cli(*train, "--device", "gpu"), "device")
    complains(cli(*train, "--steps", "-3"), "steps")
    complains(cli("sample", vae, "--n", "0"), "--n 0")
    complains(cli("sample", vae, "--out", "x.jpg"), ".png")
    complains(cli("sample", vae, "--out", "x.csv"), "images")
    complains(cli("encode", vae, "--out", "codes.png"), ".npz")
    complains(cli("data", "fetch", "digits"), "hub:")


def test_usage_errors_are_two_as_well(cli: Cli) -> None:
    code, out, error = cli("train", "vae")
    assert (code, out) == (2, "")
    assert "--data" in error
    assert cli("train", "vae", "--data", "digits", "--out", "x", "--steps", "few")[0] == 2
    assert cli("train", "vae", "--data", "digits", "--out", "x", "--binarise", "no")[0] == 2
    assert cli()[0] == 2
    assert cli("--help")[0] == 0
    assert cli("--version")[0] == 0


@pytest.mark.parametrize("budget", ["soon", "10d", "-5s", "0s", "5 0s", ""])
def test_bad_budgets(cli: Cli, tmp_path: Path, budget: str) -> None:
    words = ("train", "vae", "--data", "digits", "--out", tmp_path / "run", f"--budget={budget}")
    complains(cli(*words), "60s, 5m, 1h")


def test_budgets() -> None:
    given = {"60s": 60, "5m": 300, "1.5h": 5400, "90": 90}
    assert {text: options.seconds(text) for text in given} == given


def test_steps_and_budget(cli: Cli, tmp_path: Path) -> None:
    words = ("--steps", "3", "--budget", "3s")
    complains(cli("train", "vae", "--data", "digits", "--out", tmp_path / "x", *words), "not several")
    complains(cli("compare", "vae", "--data", "digits", *words), "not both")


def test_bernoulli_on_grey_data_names_the_alternatives(cli: Cli, tmp_path: Path) -> None:
    words = ("train", "vae", "--data", "digits", "--out", tmp_path / "x", "--set", "likelihood=bernoulli")
    complains(cli(*words), "grey", "--binarise dynamic", "continuous-bernoulli", "discretised-logistic")


def test_out_that_holds_a_run(cli: Cli, vae: Path) -> None:
    before = (vae / "run.json").read_bytes()
    complains(cli("train", "gan", "--data", "digits", "--out", vae), "reparam resume")
    assert (vae / "run.json").read_bytes() == before


def test_no_run(cli: Cli, tmp_path: Path) -> None:
    for command in ("sample", "resume", "reconstruct", "interpolate", "score", "evaluate"):
        complains(cli(command, tmp_path / "gone"), "gone")
        complains(cli(command, tmp_path), str(tmp_path))
    complains(cli("compare", tmp_path / "gone"), "gone")


def test_a_run_named_like_a_model(cli: Cli, vae: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(vae.parent)
    complains(cli("compare", "vae", "--data", "digits"), "./vae")


def test_a_gan_has_no_encoder(cli: Cli, gan: Path, tmp_path: Path) -> None:
    complains(cli("encode", gan, "--out", tmp_path / "codes.npz"), "gan has no encoder", "vae-gan")
    complains(cli("reconstruct", gan), "gan has no encoder")


def test_pictures_of_mixed_sizes_and_a_corrupt_one(cli: Cli, pictures: Path, tmp_path: Path) -> None:
    train = ("train", "vae", "--data", pictures, *TINY, "--out")
    (pictures / "05.png").write_bytes(b"no picture")
    complains(cli(*train, tmp_path / "a"), "05.png", "--skip-bad")
    code, _, error = cli(*train, tmp_path / "b", "--skip-bad", "--batch-size", "4")
    assert code == 0, error
    assert "reparam: warning:" in error
    assert "05.png" in error
    Image.new("L", (9, 8)).save(pictures / "05.png")
    complains(cli(*train, tmp_path / "c"), "05.png", "9×8")
    assert cli(*train, tmp_path / "d", "--size", "8", "--batch-size", "4")[0] == 0


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_no_numbers(cli: Cli, tmp_path: Path, bad: float) -> None:
    x = np.zeros((30, 2))
    x[17, 1] = bad
    np.savez(tmp_path / "x.npz", x=x)
    words = ("train", "vae", "--data", tmp_path / "x.npz", "--out", tmp_path / "run")
    complains(cli(*words), "x.npz", "row 17", "column 1")


def test_a_loss_that_turns_nan(cli: Cli, tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = (*TINY, "lr=1e30", "--steps", "50", "--checkpoint-every", "1")
    result = cli("train", "vae", "--data", "digits", "--out", out, *words)
    complains(result, "negative_elbo", "step", "checkpoint")
    assert list((out / "checkpoints").iterdir())
    assert cli("card", out)[0] == 0


def test_data_of_another_shape(cli: Cli, vae: Path, table: Path, pictures: Path) -> None:
    complains(cli("score", vae, "--data", table), "(1, 28, 28)", "(2,)")
    complains(cli("score", vae, "--data", pictures), "(1, 28, 28)", "(1, 8, 8)")


def test_no_picture_of_three_numbers(cli: Cli, tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=np.random.default_rng(0).normal(size=(50, 3)))
    run = tmp_path / "run"
    assert cli("train", "vae", "--data", tmp_path / "x.npz", "--out", run, *TINY)[0] == 0
    complains(cli("sample", run, "--out", tmp_path / "x.png"), "vectors of 3 numbers", ".csv")
    assert cli("sample", run)[0] == 0
    assert (run / "samples.csv").read_text().startswith("x0,x1,x2\n")


# The process


def test_interrupted(cli: Cli, vae: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("reparam.run.resume", stop)
    code, _, error = cli("resume", vae)
    assert code == 130
    assert error == f"reparam: stopped; `reparam resume {vae}` goes on from step 3.\n"
    assert "nothing was written" in training._stopped(tmp_path / "gone")


def test_of_several_processes_the_first_speaks(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    assert cli("models") == (0, "", "")
    assert "reparam (process 1): unknown dataset" in cli("data", "show", "digts")[2]


def command(*words: object, module: str = "reparam") -> list[str]:
    return [sys.executable, "-m", module, *map(str, words)]


def test_a_real_process_killed_by_control_c_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = ("--set", "width=16", "--batch-size", "16", "--checkpoint-every", "1")
    train = command("train", "vae", "--data", "digits", "--out", out, "--steps", "100000", *words)
    process = subprocess.Popen(train, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 40
    # Two are kept, and a step takes less time than a look: any later one will do.
    while not any(int(path.name) > 1 for path in out.glob("checkpoints/[0-9]*")):
        assert time.monotonic() < deadline, "no checkpoint in 40 seconds"
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=30)
    assert process.returncode == 130, error
    assert f"`reparam resume {out}` goes on from step" in error
    assert "Traceback" not in error
    step = max(int(path.name) for path in (out / "checkpoints").glob("[0-9]*"))
    gone_on = subprocess.run(command("resume", out, "--steps", step + 2), capture_output=True, text=True)
    assert gone_on.returncode == 0, gone_on.stderr
    assert f"trained to step {step + 2}" in gone_on.stdout


@pytest.mark.parametrize("words", [["train", "--help"], ["--help"], ["trian"], ["train", "vae"]])
def test_help_and_wrong_usage_without_torch(words: list[str]) -> None:
    """Two seconds that nobody who asks for help should wait."""
    code = (
        "import sys, reparam.cli\n"
        f"assert reparam.cli.main({words!r}) in (0, 2)\n"
        "assert not {'torch', 'numpy', 'pydantic'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_models_stays_a_function() -> None:
    """The package of the models has its name, and is loaded by what the function does."""
    code = (
        "import reparam\n"
        "assert 'vae' in reparam.models()\n"
        "import reparam.models.vae\n"
        "from reparam.models.gan import GAN\n"
        "assert reparam.models()['gan'] is GAN\n"
        "assert set(reparam.__all__) <= set(dir(reparam))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_page_of_the_documentation_is_up_to_date() -> None:
    page = Path(__file__).parents[1] / "docs" / "cli.md"
    assert page.read_text() == reference(), f"run: python -m reparam.commands.reference > {page.name}"


def test_names_and_values() -> None:
    words = (("a=1", "b-c=[1, 2]"), ("d=1e-4", "e=true", "f=x"))
    assert options.pairs(words, "set") == {"a": 1, "b_c": [1, 2], "d": 1e-4, "e": True, "f": "x"}
    with pytest.raises(ReparamError, match="whose setting"):
        options.by_model((("latent=3",),))
    assert os.environ.get("RANK") is None
