"""Every verdict on a small real run that has the disease, and on one that has not."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import reparam
from reparam.cli import main
from reparam.data import Data, load
from reparam.diagnosis import Case, Verdict, diagnose
from reparam.diagnosis.dead_codebook import dead_codebook
from reparam.diagnosis.discriminator_has_won import discriminator_has_won
from reparam.diagnosis.memorisation import memorisation
from reparam.diagnosis.missing_mode import missing_mode
from reparam.diagnosis.not_a_number import not_a_number
from reparam.diagnosis.posterior_collapse import posterior_collapse
from reparam.errors import ReparamError
from reparam.run import FAILURE, resume
from reparam.system import System

MLP = {"network": "mlp", "width": 32, "latent": 8}


@pytest.fixture(scope="module")
def digits() -> Data:
    """A few real digits, in memory."""
    data = load("digits")
    splits = {name: getattr(data, name) for name in ("train", "validation", "test")}
    return load({f"{k}_{name}": getattr(split, k)[:1000] for name, split in splits.items() for k in "xy"})


def case(name: str, data: Data, out: Path, judged_on: Data | None = None, **how: Any) -> Case:
    """A trained run: settings of the recipe, and `steps`, `batch_size` of the training."""
    options = {key: how.pop(key) for key in ("steps", "batch_size") if key in how}
    reparam.train(reparam.build(name, data, **how), out, device="cpu", **options)
    return Case(out, reparam.load(out), judged_on or data)


def verdict(found: Verdict | None) -> Verdict:
    assert found is not None
    assert found.finding.endswith(".")
    assert found.evidence
    assert bool(found.change) == (found.state != "well")
    return found


def value(found: Verdict, words: str) -> float:
    """The evidence with these words."""
    (one,) = [each.value for each in found.evidence if words in each.meaning]
    return one


# Collapse


@pytest.mark.parametrize("name", ["vae", "sigma-vae"])
def test_a_posterior_collapses_under_a_heavy_rate(name: str, digits: Data, tmp_path: Path) -> None:
    how = {**MLP, "lr": 3e-3, "steps": 120}
    # σ-VAE's own σ makes of a weight what it will: it needs more.
    heavy = {"vae": 50.0, "sigma-vae": 5000.0}[name]
    ill = verdict(posterior_collapse(case(name, digits, tmp_path / "ill", beta=heavy, **how)))
    assert ill.state == "ill"
    assert value(ill, "mutual information") < 0.1
    assert f"beta={heavy:g}" in ill.change[0].replace(".0)", ")")
    well = verdict(posterior_collapse(case(name, digits, tmp_path / "well", beta=1.0, **how)))
    assert well.state == "well"
    assert value(well, "mutual information") > 1
    assert value(well, "own saves") > 0.05


def test_a_deterministic_code_that_the_decoder_ignores(digits: Data, tmp_path: Path) -> None:
    made = case("autoencoder", digits, tmp_path / "run", steps=120, lr=3e-3, **MLP)
    assert verdict(posterior_collapse(made)).state == "well"
    with torch.no_grad():  # a decoder that is deaf: its first weights at 0
        next(p for p in made.system.model.get_submodule("decoder").parameters() if p.dim() == 2).zero_()
    deaf = verdict(posterior_collapse(made))
    assert (deaf.state, deaf.evidence[0].value) == ("ill", 0.0)


def test_a_gan_has_no_posterior(digits: Data, tmp_path: Path) -> None:
    made = case("gan", digits, tmp_path / "run", steps=2, **MLP)
    assert posterior_collapse(made) is None
    assert dead_codebook(made) is None


# Codebook


def test_a_codebook_far_too_large_dies(digits: Data, tmp_path: Path) -> None:
    how = {"width": 16, "dim": 8, "batch_size": 32}
    ill = verdict(dead_codebook(case("vqvae", digits, tmp_path / "ill", size=512, steps=20, **how)))
    assert ill.state == "ill"
    assert value(ill, "a tenth of an even share") < 0.1
    well = verdict(dead_codebook(case("vqvae", digits, tmp_path / "well", size=16, steps=150, **how)))
    assert well.state == "well"


class _Coded(nn.Module):
    """Stands for a model with a codebook of 16 entries: a code a pixel, from the levels `low` to `high`."""

    size = 16

    def __init__(self, entries: int) -> None:
        super().__init__()
        self.entries, self.weight = entries, nn.Parameter(torch.zeros(1))

    def indices(self, x: Tensor) -> Tensor:
        return (torch.linspace(0, 0.999, x[0].numel()).expand(len(x), -1) * self.entries).long()


@pytest.mark.parametrize(("entries", "state"), [(2, "ill"), (6, "unclear"), (16, "well")])
def test_how_dead_a_codebook_is(entries: int, state: str, digits: Data, tmp_path: Path) -> None:
    system = reparam.build("vae", digits, **MLP)
    system.recipe = type(system.recipe)(_Coded(entries))  # pyright: ignore[reportArgumentType]
    found = verdict(dead_codebook(Case(tmp_path, system, digits)))
    assert found.state == state
    assert value(found, "a tenth of an even share") == value(found, "at all") == entries / 16
    assert value(found, "perplexity") == pytest.approx(entries, rel=0.01)


# The game


def test_a_discriminator_fifty_times_as_fast_wins(digits: Data, tmp_path: Path) -> None:
    how = {**MLP, "steps": 300, "batch_size": 32}
    ill = verdict(
        discriminator_has_won(case("gan", digits, tmp_path / "ill", lr=2e-3, generator_lr=4e-5, **how))
    )
    assert ill.state == "ill"
    assert value(ill, "discrimination.real") < 0.01
    assert "0.002 in `discrimination`, against 4e-05 in `deception`" in ill.change[0]
    well = verdict(
        discriminator_has_won(case("gan", digits, tmp_path / "well", lr=5e-4, generator_lr=1e-3, **how))
    )
    assert well.state == "well"


@pytest.mark.parametrize(("name", "game"), [("gan", "hinge"), ("aae", None), ("vae-gan", None)])
def test_every_game_with_a_floor_is_seen(name: str, game: str | None, digits: Data, tmp_path: Path) -> None:
    how = {"game": game} if game else {}
    found = verdict(discriminator_has_won(case(name, digits, tmp_path, steps=160, **MLP, **how)))
    unsure = [e.meaning for e in found.evidence if "could not tell" in e.meaning]
    assert len(unsure) == {"gan": 2, "aae": 2, "vae-gan": 3}[name]
    assert all(f"{1.0 if game == 'hinge' else 0.693:.3g} if" in words for words in unsure)


@pytest.mark.parametrize("name", ["wgan-gp", "vae"])
def test_a_critic_cannot_be_too_good_and_a_vae_has_none(name: str, digits: Data, tmp_path: Path) -> None:
    assert discriminator_has_won(case(name, digits, tmp_path, steps=40, **MLP)) is None


# Modes


def blobs(classes: int) -> Data:
    """Gaussians on a circle, a class each."""
    draw = np.random.default_rng(0)
    y = np.arange(4000) % classes
    angle = 2 * np.pi * y / 5
    return load(
        {"x": 2 * np.stack([np.cos(angle), np.sin(angle)], 1) + 0.1 * draw.normal(size=(4000, 2)), "y": y},
        standardise=False,
    )


def test_a_mode_is_missing(tmp_path: Path) -> None:
    how = {"width": 64, "latent": 2, "steps": 600, "lr": 3e-3, "likelihood": "gaussian", "std": 0.1}
    four, five = blobs(4), blobs(5)
    made = case("vae", four, tmp_path / "run", **how)
    well = verdict(missing_mode(made))
    assert (well.state, value(well, "classes missing")) == ("well", 0)
    ill = verdict(missing_mode(Case(made.run, made.system, five)))
    assert (ill.state, value(ill, "classes missing")) == ("ill", 1)
    assert "4 (0.0% of samples" in ill.finding
    assert "training data hold no 4" in ill.change[0]


def test_a_collapsed_generator_of_pictures(digits: Data, tmp_path: Path) -> None:
    made = case("vae", digits, tmp_path / "run", steps=2, **MLP)
    one = digits.validation.x[digits.validation.y == 3].float() / 255  # pyright: ignore[reportOptionalMemberAccess]
    all_alike, all_kinds = one[:1].expand(1000, -1, -1, -1), digits.validation.x.float() / 255
    for samples, state in ((all_alike, "ill"), (all_kinds, "well")):
        shown = Case(made.run, made.system, digits)
        shown.__dict__["samples"] = samples
        assert verdict(missing_mode(shown)).state == state


def test_without_labels_it_is_unclear(tmp_path: Path) -> None:
    unlabelled = load(np.random.default_rng(0).normal(size=(100, 2)))
    found = missing_mode(case("vae", unlabelled, tmp_path, steps=2, width=16, latent=2))
    assert found is not None
    assert found.state == "unclear"


# Memorisation


def test_a_gan_of_twenty_examples_memorises(digits: Data, tmp_path: Path) -> None:
    how = {"network": "mlp", "width": 64, "latent": 8, "generator_lr": 1e-3, "steps": 900, "batch_size": 20}
    few = load({"x_train": digits.train.x[:20], "x_validation": digits.validation.x, "x_test": digits.test.x})
    ill = verdict(memorisation(case("gan", few, tmp_path / "ill", **how)))
    assert ill.state == "ill"
    assert value(ill, "share of samples") > 0.5
    assert verdict(memorisation(case("gan", digits, tmp_path / "well", **how))).state == "well"


def test_copies_and_blur(digits: Data, tmp_path: Path) -> None:
    made = case("vae", digits, tmp_path / "run", steps=2, **MLP)
    x, y = digits.train.x.float() / 255, digits.validation.x.float() / 255
    blurred = nn.functional.avg_pool2d(y, 5, 1, 2)
    noisy = (x + 0.05 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    for samples, state in ((x, "ill"), (noisy, "ill"), (y, "well"), (blurred, "well")):
        shown = Case(made.run, made.system, digits)
        shown.__dict__["samples"] = samples
        assert verdict(memorisation(shown)).state == state


# Numbers that are none


def test_a_rate_that_is_absurd_loses_a_term(digits: Data, tmp_path: Path) -> None:
    out = tmp_path / "ill"
    with pytest.raises(ReparamError, match="reparam diagnose"):
        case("vae", digits, out, steps=50, lr=1e6, **MLP)
    record = json.loads((out / FAILURE).read_text())
    (ill,) = diagnose(out, data=digits)  # it died before a step was saved: the rest is not asked
    assert ill.state == "ill"
    assert ill.evidence[0].value == record["step"] == len(record["before"]) + 1
    assert f"{record['term']!r} of turn 'negative_elbo'" in ill.finding
    assert "lr=1000000.0" in ill.change[0]
    assert verdict(not_a_number(case("vae", digits, tmp_path / "well", steps=40, **MLP))).state == "well"


def test_a_term_that_breaks_in_one_step(
    digits: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system, out = reparam.build("vae", digits, **MLP), tmp_path / "run"

    def spoil(step: int, *_: float) -> None:
        if step == 33:
            weight = system.model.get_parameter("decoder.1.log_std")
            weight.data.fill_(float("nan"))

    with pytest.raises(ReparamError, match="term 'distortion'"):
        reparam.train(system, out, steps=60, device="cpu", progress=spoil, checkpoint_every=10)
    (ill, *others) = diagnose(out, data=digits)
    assert (ill.name, ill.evidence[0].value) == ("not a number", 34)
    assert "broke in one step" in ill.change[0]
    assert {"posterior collapse", "memorisation"} <= {v.name for v in others}
    resume(out, data=digits, device="cpu")  # from the last good step, and to the end
    assert not (out / FAILURE).exists()
    assert "not a number" in {v.name for v in diagnose(out, data=digits) if v.state == "well"}


def test_weights_that_are_no_number(digits: Data, tmp_path: Path) -> None:
    system, out = reparam.build("sigma-vae", digits, **MLP), tmp_path / "run"

    def spoil(step: int, *_: float) -> None:
        if step == 5:
            system.model.get_buffer("variance").fill_(float("nan"))

    with pytest.raises(ReparamError, match="variance became infinite"):
        reparam.train(system, out, steps=20, device="cpu", checkpoint_every=2, progress=spoil)
    assert "weights variance became nan by step 6" in diagnose(out, data=digits)[0].finding


# The whole


def test_the_command(digits: Data, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, data = tmp_path / "run", tmp_path / "digits.npz"
    np.savez(data, x=digits.train.x, y=np.asarray(digits.train.y))
    words = ("--steps", "60", "--set", "network=mlp", "width=16", "latent=4", "beta=1000")
    assert main(["train", "vae", "--data", str(data), "--out", str(out), *words]) == 0
    capsys.readouterr()
    assert main(["diagnose", str(out), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    states = [each["state"] for each in found]
    assert states == sorted(states, key=("ill", "unclear", "well").index)
    collapse = next(each for each in found if each["name"] == "posterior collapse")
    assert collapse["state"] == "ill"
    assert collapse["evidence"][0]["value"] < 0.05
    assert main(["diagnose", str(out)]) == 0
    said = capsys.readouterr().out
    assert said.index("ill") < said.index("well")
    assert "\nPosterior collapse\n" in said
    assert "beta=1000" in said
    assert main(["diagnose", str(out), "--data", "8gaussians"]) == 2
    assert "built for data of shape (1, 28, 28)" in capsys.readouterr().err


def test_a_saved_system_and_a_run_that_has_not_begun(digits: Data, tmp_path: Path) -> None:
    system: System = reparam.build("gan", digits, **MLP)
    system.save(tmp_path / "saved")
    assert {v.name for v in diagnose(tmp_path / "saved", data=digits)} >= {"memorisation", "missing mode"}
    case("gan", digits, tmp_path / "run", steps=1, **MLP)
    for folder in (tmp_path / "run" / "checkpoints").glob("*1"):
        folder.rename(tmp_path / "taken")
    with pytest.raises(ReparamError, match="not been trained yet"):
        diagnose(tmp_path / "run", data=digits)
