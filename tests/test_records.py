"""Records of evaluations: what is in them, what they are worth, and what is refused."""

import json
import mmap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import reparam
from reparam.cli import main
from reparam.compare import compare
from reparam.data import Data, load
from reparam.evaluate import LABELS, Yardstick, evaluate
from reparam.memory import Peak
from reparam.report.schema import Evaluation


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of three classes, each with its own half bright."""
    path = tmp_path_factory.mktemp("data") / "halves.npz"
    y = np.arange(300) % 3
    x = np.random.default_rng(0).integers(0, 90, (300, 16, 16), dtype=np.uint8)
    x[y == 0, :8] += 120
    x[y == 1, 8:] += 120
    np.savez(path, x=x, y=y)
    return path


@pytest.fixture(scope="module")
def data(file: Path) -> Data:
    return load(file)


def trained(name: str, data: Data, out: Path, **options: Any) -> Path:
    system = reparam.build(name, data, seed=3, width=16, latent=2)
    reparam.train(system, out, data=data, steps=8, device="cpu", **options)
    return out


@pytest.fixture(scope="module")
def vae(data: Data, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained("vae", data, tmp_path_factory.mktemp("vae") / "run", control=5, average=0.9)


@pytest.fixture(scope="module")
def gan(data: Data, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained("gan", data, tmp_path_factory.mktemp("gan") / "run")


@pytest.fixture(scope="module")
def record(vae: Path) -> Evaluation:
    return evaluate(vae, extractor="pixels", seed=7)


def test_a_record_says_under_what_conditions(record: Evaluation, data: Data, vae: Path) -> None:
    on = record.conditions
    assert (on.data, on.fingerprint, on.split, on.n) == ("halves", data.fingerprint, "test", 30)
    assert (on.binarisation, on.seed) == ("none", 7)
    assert on.machine.versions["torch"] == str(torch.__version__)
    assert (record.checkpoint.rule, record.checkpoint.step, record.checkpoint.averaged) == ("last", 8, 0.9)
    assert record.seeds == {"weights": 3, "run": 5}
    assert Evaluation.model_validate_json((vae / "measures.json").read_bytes()) == record
    assert sum(m.seconds or 0 for m in record.measures.values()) < 3 * record.seconds


def test_what_belongs_to_a_measure_stands_on_it(record: Evaluation) -> None:
    facts = {key: (m.extractor, m.sampling, m.importance_samples) for key, m in record.measures.items()}
    assert facts == {
        "sharpness": (None, "prior draws", None),
        "mse": (None, "posterior mean", None),
        "psnr": (None, "posterior mean", None),
        "ssim": (None, "posterior mean", None),
        "class_kept": (None, "posterior mean", None),
        "probe": (None, "posterior mean", None),
        "knn": (None, "posterior mean", None),
        "cluster_accuracy": (None, "posterior mean", None),
        "cluster_nmi": (None, "posterior mean", None),
        "mutual_information": (None, "posterior sample", None),
        "aggregate_kl": (None, "posterior sample", None),
        "code_mmd": (None, "posterior sample", None),
        "dimension_kl": (None, "posterior mean", None),
        "active_units": (None, "posterior mean", None),
        "code_use": (None, "posterior mean", None),
        "recall": ("pixels", "prior draws", None),
        "coverage": ("pixels", "prior draws", None),
        "diversity": ("pixels", "prior draws", None),
        "balance": (None, "prior draws", None),
        "kernel_distance": ("pixels", "prior draws", None),
        "sliced_wasserstein": ("pixels", "prior draws", None),
        "frechet": ("pixels", "prior draws", None),
        "precision": ("pixels", "prior draws", None),
        "density": ("pixels", "prior draws", None),
        "memorisation": ("pixels", "prior draws", None),
        "likelihood": (None, "posterior sample", 50),
        "bits": (None, "posterior sample", 50),
        "elbo": (None, "posterior sample", None),
        "rate": (None, "posterior sample", None),
        "distortion": (None, "posterior sample", None),
    }
    for key, m in record.measures.items():
        assert m.seconds is not None, key
        assert m.seconds > 0, key
        assert (m.interval is None) == (key == "frechet"), key
        assert m.better == LABELS[key].better, key
    assert "training examples are" in record.measures["frechet"].how  # its floor


def test_the_seed_is_all_that_chance_depends_on(record: Evaluation, vae: Path) -> None:
    def values(found: Evaluation) -> dict[str, Any]:
        return {key: (m.value, m.low, m.high) for key, m in found.measures.items()}

    assert values(evaluate(vae, extractor="pixels", seed=7)) == values(record)
    other = values(evaluate(vae, extractor="pixels", seed=8))
    assert other["mse"][0] == values(record)["mse"][0]  # reconstructions draw nothing
    assert other["mse"][1:] != values(record)["mse"][1:]
    for key in ("sharpness", "kernel_distance", "sliced_wasserstein", "likelihood"):
        assert other[key] != values(record)[key], key


def test_validation_has_a_record_of_its_own(vae: Path, data: Data, record: Evaluation) -> None:
    before = (vae / "measures.json").read_bytes()
    found = evaluate(vae, split="validation", n=20, extractor=lambda x: x.mean((2, 3)))
    assert (found.conditions.split, found.conditions.n) == ("validation", 20)
    assert found.measures["recall"].extractor == "<lambda>"
    assert found.measures["mse"].value != record.measures["mse"].value
    assert Evaluation.model_validate_json((vae / "measures-validation.json").read_bytes()) == found
    assert (vae / "measures.json").read_bytes() == before
    held_out = Yardstick(data, split="validation", n=20, extractor="pixels").held_out
    assert torch.equal(held_out, data.batch(data.validation, torch.arange(20))["x"])


def test_a_model_without_an_encoder_says_so(gan: Path) -> None:
    found = evaluate(gan, extractor="random-conv")
    assert found.checkpoint.averaged == 0.995  # by its recipe
    assert found.measures["mse"].value is None
    assert found.measures["mse"].sampling is None
    assert found.measures["likelihood"].how == "gan gives no bound on log p(x)."


def test_vectors_are_compared_as_they_are(tmp_path: Path) -> None:
    data = load({"x": np.random.default_rng(0).normal(size=(200, 3)).astype(np.float32)})
    run = trained("vae", data, tmp_path / "run")
    found = evaluate(run, data=data)
    assert list(found.measures) == [
        "mse", "mutual_information", "aggregate_kl", "code_mmd", "dimension_kl", "active_units", "code_use",
        "recall", "coverage", "diversity", "mmd", "sliced_wasserstein", "frechet", "precision",
        "density", "memorisation", "likelihood", "elbo", "rate", "distortion",
    ]  # fmt: skip
    assert found.measures["mmd"].extractor is None
    assert "the vectors themselves, test split, RBF kernel" in found.measures["mmd"].how
    own = evaluate(run, data=data, extractor=lambda x: x.square())
    assert own.measures["mmd"].extractor == "<lambda>"
    with pytest.raises(reparam.ReparamError, match="vectors"):
        evaluate(run, data=data, extractor="pixels")


def test_a_toy_knows_its_modes(tmp_path: Path) -> None:
    data = load("8gaussians")
    system = reparam.build("gan", data, width=16)
    found = Yardstick(data, n=100).measure(system)
    assert (found["modes"].question, found["quality"].question) == ("diverse", "quality")
    assert found["modes"].n == found["quality"].n == 10_000
    assert found["modes"].value < 3  # untrained

    def perfect(n: int, seed: int = 0) -> torch.Tensor:
        return data.validation.x[:n]

    system.sample = perfect  # type: ignore[method-assign]
    found = Yardstick(data, n=100).measure(system)
    assert found["modes"].value == 8
    assert found["quality"].value > 0.98


def test_a_measure_that_refuses_does_not_take_the_others_with_it(data: Data) -> None:
    # Every picture twice: whatever the split, its copy mostly stands in the training data.
    x = np.random.default_rng(0).random((40, 12, 12), dtype=np.float32)
    twice = load({"x": np.concatenate([x] * 8)})
    system = reparam.build("gan", twice, width=16)
    found = Yardstick(twice, extractor="pixels").measure(system)
    assert found["memorisation"].value is None
    assert "split them first" in found["memorisation"].how
    assert found["memorisation"].better == "one"
    assert found["kernel_distance"].value is not None

    wild = reparam.build("gan", data, width=16)
    wild.sample = lambda n, seed=0: torch.full((n, 1, 16, 16), torch.nan)  # type: ignore[method-assign]
    lost = Yardstick(data, extractor="pixels").measure(wild)
    assert "30 of 30 rows hold NaN" in lost["kernel_distance"].how
    assert all(record.value is None for record in lost.values())


def test_too_few_examples_say_how_many_are_needed(vae: Path) -> None:
    with pytest.raises(reparam.ReparamError, match=r"5 examples of the test split .* need 6"):
        evaluate(vae, n=5, extractor="pixels")
    few = load({"x": np.random.default_rng(0).random((40, 12, 12), dtype=np.float32)})
    with pytest.raises(reparam.ReparamError, match="4 examples of the validation split"):
        Yardstick(few, split="validation")


def test_other_data_are_refused(vae: Path, gan: Path, file: Path, data: Data, tmp_path: Path) -> None:
    black = load(file, binarise="threshold")  # of the same name and shape
    with pytest.raises(reparam.ReparamError, match=r"trained on other data.*binarisation"):
        evaluate(vae, data=black)
    other = trained("vae", black, tmp_path / "black")
    with pytest.raises(reparam.ReparamError, match=f"{other} was trained on other data"):
        compare([str(gan), str(other)], out=tmp_path / "report", device="cpu")
    assert not (tmp_path / "report").exists()


def test_the_command_line(vae: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["evaluate", str(vae), "--split", "validation", "--n", "24", "--extractor", "pixels"]
    assert main([*words, "--seed", "1", "--device", "cpu"]) == 0
    said = capsys.readouterr().out
    assert "vae at step 8 (the last checkpoint, weights averaged with decay 0.9)" in said
    assert "24 of the validation split of halves" in said
    assert "measures-validation.json" in said
    assert main([*words, "--json", "--device", "cpu"]) == 0
    assert Evaluation.model_validate(json.loads(capsys.readouterr().out)).conditions.n == 24
    for wrong, answer in {
        ("--n", "3"): "need 6", ("--n", "0"): "at least 1", ("--extractor", "pixel"): "did you mean 'pixels'",
        ("--extractor", "nothing:here"): "module:function",
    }.items():  # fmt: skip
        assert main(["evaluate", str(vae), "--device", "cpu", *wrong]) == 2
        assert answer in capsys.readouterr().err


def test_peak_memory_is_of_the_training(record: Evaluation) -> None:
    peak = Peak(torch.device("cpu"))
    if peak.mib() is None:
        pytest.skip("the peak of a process cannot be reset on this system")
    before = peak.mib()
    # Mapped anew: an allocator may have as much lying about from other tests, resident already.
    held = mmap.mmap(-1, 64 * 2**20)
    for page in range(0, len(held), mmap.PAGESIZE):
        held[page] = 1
    assert before is not None
    assert 50 < (peak.mib() or 0) - before < 90
    held.close()
    lower = Peak(torch.device("cpu")).mib()  # begins afresh
    assert lower is not None
    assert lower < before + 40
    assert record.cost.peak_memory_mib is not None
    assert 100 < record.cost.peak_memory_mib < 5000
