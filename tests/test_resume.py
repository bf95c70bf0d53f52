"""A run that dies at any moment and goes on is the run that never died, to the bit."""

import json
import os
import random
import subprocess
import sys
from collections import defaultdict
from functools import partial, wraps
from pathlib import Path

import pytest
import torch

import reparam
from _deaths import Place, counted, dies
from _recipes import NAMES, assert_same_run, built, datasets, resumed, rows, scheduled, seed_of, tensors
from reparam import ReparamError, checkpoint, registry, run
from reparam.data import load
from reparam.noise import Control

STEPS, EVERY, DEATHS = 13, 4, 20
OPTIONS = {"batch_size": 8, "average": 0.99, "checkpoint_every": EVERY, "device": "cpu"}


@pytest.fixture(autouse=True)
def short_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "LOG_EVERY", 5)
    monkeypatch.setitem(registry.recipes(), "scheduled", scheduled)


def chosen(places: list[Place], seed: int) -> list[int]:
    """Moments to die at, once the run has begun: in every file, and in as many functions as can be."""
    draw, found = random.Random(seed), defaultdict(lambda: defaultdict(list))
    begun = places.index(("run", "save"))
    for moment, (file, function) in enumerate(places[begun:], begun + 1):
        found[file][function].append(moment)
    quotas = {"checkpoint": 6, "run": 6, "trainer": 6, "engine": 1, "system": 1}
    moments = []
    for file, quota in quotas.items():
        functions = draw.sample(sorted(found[file]), len(found[file]))
        moments += [draw.choice(found[file][functions[i % len(functions)]]) for i in range(quota)]
    return moments


@pytest.mark.parametrize("name", [*NAMES, "scheduled"])
def test_death_at_any_line_changes_nothing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)  # two thirds of the time, and no death is the machine's
    reference = built(name)
    places = counted(lambda: reparam.train(reference, tmp_path / "whole", steps=STEPS, **OPTIONS))
    draw = random.Random(seed_of(name))
    for number, moment in enumerate(chosen(places, seed_of(name))):
        out, system, done = tmp_path / f"dead-{number}", built(name), [0]
        begin = partial(
            reparam.train,
            system,
            out,
            steps=STEPS,
            progress=lambda step, *_, d=done: d.append(step),
            **OPTIONS,
        )
        assert dies(begin, moment)
        kept = checkpoint.steps(out / "checkpoints") or [0]
        assert done[-1] - kept[-1] <= EVERY
        if number % 2:  # and once more on the way
            dies(partial(resumed, system, out), draw.randrange(1, len(places)))
        resumed(system, out)
        assert_same_run(tmp_path / "whole", out)


def killed(name: str, out: Path, kills: int, steps: int) -> None:
    script = Path(__file__).parent / "_kills.py"
    command = [sys.executable, str(script), str(out), name, str(kills), str(steps)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith(f"{kills} kills")
    assert_same_run(out / "whole", out / "killed")


@pytest.mark.parametrize("name", ["vae-gan", "wgan-gp"])
def test_killed_processes_go_on(name: str, tmp_path: Path) -> None:
    killed(name, tmp_path, {"vae-gan": 3, "wgan-gp": 2}[name], 80)


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
def test_twenty_killed_processes_go_on(name: str, tmp_path: Path) -> None:
    killed(name, tmp_path, 20, 1000)


# The log


def test_log_windows_do_not_depend_on_checkpoints(tmp_path: Path) -> None:
    for every in (1, 3, 100):
        options = {"steps": 17, "batch_size": 8, "checkpoint_every": every}
        reparam.train(built("aae"), tmp_path / str(every), **options)
    assert rows(tmp_path / "1") == rows(tmp_path / "3") == rows(tmp_path / "100")
    assert [step for step, _ in rows(tmp_path / "1")] == [5, 10, 15, 17]


def test_a_row_is_the_mean_of_its_window(tmp_path: Path) -> None:
    reparam.train(built("vae"), tmp_path / "wide", steps=10, batch_size=8)
    run.LOG_EVERY = 1  # put back by the fixture
    reparam.train(built("vae"), tmp_path / "each", steps=10, batch_size=8)
    each, wide = [terms for _, terms in rows(tmp_path / "each")], rows(tmp_path / "wide")
    for step, terms in wide:
        for name, value in terms.items():
            mean = sum(row[name] for row in each[step - 5 : step]) / 5
            assert value == pytest.approx(mean, rel=1e-12)


def test_a_torn_row_is_dropped_and_written_again(tmp_path: Path) -> None:
    system = built("vae")
    reparam.train(system, tmp_path / "whole", steps=13, batch_size=8)
    reparam.train(built("vae"), tmp_path / "torn", steps=7, batch_size=8)
    log = tmp_path / "torn" / "log.jsonl"
    log.write_text(log.read_text()[:-20])
    assert [step for step, _ in rows(tmp_path / "torn")] == [5]
    resumed(system, tmp_path / "torn", steps=13)
    assert rows(tmp_path / "torn") == rows(tmp_path / "whole")


# Ends


@pytest.mark.parametrize("ends", [{"steps": 12}, {"epochs": 2.0}], ids=str)
@pytest.mark.parametrize("name", ["vae", "wgan-gp"])
def test_a_longer_run_is_the_shorter_one_gone_on(name: str, ends: dict[str, float], tmp_path: Path) -> None:
    system = built(name)
    reparam.train(system, tmp_path / "short", batch_size=8, **ends)
    reparam.train(built(name), tmp_path / "long", steps=23, batch_size=8)
    resumed(system, tmp_path / "short", steps=23)
    assert_same_run(tmp_path / "long", tmp_path / "short")


def test_an_epoch_is_every_example_once(tmp_path: Path) -> None:
    steps: list[int] = []
    for name, expected in (("vae", 12), ("wgan-gp", 3)):  # 2 × 48 examples by 8, five batches a step
        count = lambda step, *_: steps.append(step)  # noqa: E731
        reparam.train(built(name), tmp_path / name, epochs=2, batch_size=8, progress=count)
        assert steps[-1] == expected


def test_a_finished_run_stays_as_it_is(tmp_path: Path) -> None:
    system, out = built("vae"), tmp_path / "run"
    reparam.train(system, out, steps=7, batch_size=8)
    before = {path: path.stat().st_mtime_ns for path in (out / "checkpoints").rglob("*")}
    weights, log = tensors(out), rows(out)
    resumed(system, out)
    assert before == {path: path.stat().st_mtime_ns for path in (out / "checkpoints").rglob("*")}
    assert rows(out) == log
    assert all(torch.equal(t, weights[name]) for name, t in tensors(out).items())


def test_a_budget_is_kept_and_only_its_rest_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(run.time, "monotonic", lambda: now[0])
    system, out = built("vae"), tmp_path / "run"

    def tick(step: int, seconds: float, part: float) -> None:
        now[0] += 1.0
        assert part == pytest.approx(min(seconds / 10, 1))
        if step == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reparam.train(system, out, budget=10, batch_size=8, checkpoint_every=2, progress=tick)
    assert checkpoint.load(out / "checkpoints").facts["seconds"] == 3.0
    now[0] += 1e6  # the time between does not count
    seen: list[float] = []

    def again(step: int, seconds: float, part: float) -> None:
        now[0] += 1.0
        seen.append(seconds)

    resumed(system, out, progress=again)
    assert seen == [3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0]
    read = checkpoint.load(out / "checkpoints")
    assert (read.step, read.facts["seconds"]) == (12, 10.0)


def test_a_budget_in_real_seconds(tmp_path: Path) -> None:
    began = run.time.monotonic()
    reparam.train(built("vae"), tmp_path / "run", budget=0.5, batch_size=8)
    assert 0.5 <= run.time.monotonic() - began < 2.5
    assert 0.5 <= checkpoint.load(tmp_path / "run" / "checkpoints").facts["seconds"] < 1.0


@pytest.mark.parametrize(
    "ends", [{"steps": 5, "epochs": 1}, {"steps": 0}, {"epochs": -1}, {"budget": 0}], ids=str
)
def test_wrong_ends_are_refused_before_anything_is_written(ends: dict[str, float], tmp_path: Path) -> None:
    with pytest.raises(ReparamError):
        reparam.train(built("vae"), tmp_path / "run", **ends)
    assert not (tmp_path / "run").exists()
    reparam.train(built("vae"), tmp_path / "good", steps=2)
    with pytest.raises(ReparamError):
        resumed(built("vae"), tmp_path / "good", steps=-1)
    assert run.read_settings(tmp_path / "good").steps == 2


# What must be as it was


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_an_existing_out_is_not_touched(kind: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    if kind == "folder":
        out.mkdir()
        (out / "mine").write_text("mine")
    else:
        out.write_text("mine")
    with pytest.raises(ReparamError, match="is not empty"):
        reparam.train(built("vae"), out, steps=2)
    assert [p.name for p in tmp_path.rglob("*")] == (["run", "mine"] if kind == "folder" else ["run"])


def test_an_empty_out_is_welcome(tmp_path: Path) -> None:
    reparam.train(built("vae"), tmp_path, steps=2)


def test_other_data_is_refused(tmp_path: Path) -> None:
    system = built("vae")
    reparam.train(system, tmp_path / "run", steps=3, batch_size=8)
    with pytest.raises(ReparamError, match=r"data .* changed"):
        reparam.resume(tmp_path / "run", data=load(torch.randn(60, 6)))
    with pytest.raises(ReparamError, match="memory"):
        reparam.resume(tmp_path / "run")


@pytest.mark.parametrize(("file", "field", "value"), [("run.json", "seed", 4), ("system.json", "lr", 0.5)])
def test_settings_altered_by_hand_are_refused(file: str, field: str, value: float, tmp_path: Path) -> None:
    system = built("vae")
    reparam.train(system, tmp_path / "run", steps=3, batch_size=8)
    path = tmp_path / "run" / file
    content = json.loads(path.read_text())
    (content["settings"] if file == "system.json" else content)[field] = value
    path.write_text(json.dumps(content))
    with pytest.raises(ReparamError, match=f"{field} changed"):
        resumed(system, tmp_path / "run")


@pytest.mark.parametrize("file", ["run.json", "system.json"])
@pytest.mark.parametrize("content", ["", "{", "[]", "null", "{}", '"text"'])
def test_a_damaged_description_is_an_error(file: str, content: str, tmp_path: Path) -> None:
    system = built("vae")
    reparam.train(system, tmp_path / "run", steps=3, batch_size=8)
    (tmp_path / "run" / file).write_text(content)
    with pytest.raises(ReparamError, match="damaged"):
        resumed(system, tmp_path / "run")


def test_no_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ReparamError, match="holds no run"):
        reparam.resume(tmp_path)
    built("vae").save(tmp_path / "saved")
    with pytest.raises(ReparamError, match="holds no training"):
        resumed(built("vae"), tmp_path / "saved")


def test_controlled_randomness_is_resumed(tmp_path: Path) -> None:
    control = Control(5, {"eps": 9}, freeze=("order",))
    system = built("vae")
    reparam.train(system, tmp_path / "whole", steps=11, batch_size=8, control=control)
    reparam.train(built("vae"), tmp_path / "parts", steps=4, batch_size=8, control=control)
    resumed(system, tmp_path / "parts", steps=11)
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_a_pin_that_does_not_fit_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ReparamError, match="cannot be pinned"):
        reparam.train(built("vae"), tmp_path / "run", steps=2, control=Control(0, pin={"eps": [1.0, 2.0]}))
    assert not (tmp_path / "run").exists()


def dropping() -> torch.nn.Module:
    from reparam.nets.choose import encoder

    net = encoder((6,), 4, "mlp", 16)
    net.insert(1, torch.nn.Dropout(0.5))
    return net


def test_networks_that_draw_by_themselves_are_resumed(tmp_path: Path) -> None:
    data = datasets()[0]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        networks = [dropping() for _ in range(3)]
        for network in networks[1:]:
            network.load_state_dict(networks[0].state_dict())
        options = {"latent": 4, "width": 16}
        reparam.train(reparam.build("vae", data, encoder=networks[0], **options), tmp_path / "whole", steps=9)
        torch.rand(7)
        system = reparam.build("vae", data, encoder=networks[1], **options)
        reparam.train(system, tmp_path / "parts", steps=4)
        before = torch.get_rng_state()
        reparam.resume(tmp_path / "parts", data=data, encoder=networks[2], steps=9)
        assert torch.equal(before, torch.get_rng_state())
    assert_same_run(tmp_path / "whole", tmp_path / "parts")


def test_weights_that_no_seed_gives_are_resumed(tmp_path: Path) -> None:
    """A trained system is trained further; the run dies before its first regular checkpoint."""
    system = built("vae")
    reparam.train(system, tmp_path / "first", steps=5, batch_size=8)
    weights = {name: t.clone() for name, t in system.model.state_dict().items()}
    reparam.train(system, tmp_path / "whole", steps=5, batch_size=8)
    system.model.load_state_dict(weights)
    begin = partial(reparam.train, system, tmp_path / "dead", steps=5, batch_size=8)
    moment = counted(partial(reparam.train, built("vae"), tmp_path / "counted", steps=5, batch_size=8))
    assert dies(begin, moment.index(("trainer", "take_step")) + 50)
    resumed(built("vae"), tmp_path / "dead")
    assert_same_run(tmp_path / "whole", tmp_path / "dead")


def test_averaged_weights_are_what_is_returned_and_loaded(tmp_path: Path) -> None:
    options = {"steps": 9, "batch_size": 8}
    averaged = reparam.train(built("vae"), tmp_path / "run", average=0.9, **options)
    plain = reparam.train(built("vae"), tmp_path / "plain", **options)
    loaded, last = reparam.load(tmp_path / "run"), reparam.load(tmp_path / "run", averaged=False)
    assert torch.equal(loaded.sample(5), averaged.sample(5))
    assert torch.equal(last.sample(5), plain.sample(5))
    assert not torch.equal(averaged.sample(5), plain.sample(5))


# Numbers that are none


@pytest.mark.parametrize("every", [1, 7, None])
def test_a_loss_that_is_no_number_stops_the_run(
    every: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system, out = built("aae"), tmp_path / "run"
    lowered, calls = system.model.discrimination, [0]

    @wraps(lowered)
    def discrimination(*fields: torch.Tensor, **noise: torch.Tensor) -> dict[str, torch.Tensor]:
        calls[0] += 1
        terms = lowered(*fields, **noise)
        return terms if calls[0] != 8 else terms | {"fake": terms["fake"] / 0}

    monkeypatch.setattr(system.model, "discrimination", discrimination)
    with pytest.raises(ReparamError, match=r"step 8: turn 'discrimination', term 'fake'"):
        reparam.train(system, out, steps=20, batch_size=8, checkpoint_every=every)
    kept = {1: 7, 7: 7, None: 0}[every]
    assert checkpoint.load(out / "checkpoints").step == kept
    assert all(torch.isfinite(t).all() for t in tensors(out).values())
    resumed(built("aae"), out)


def test_weights_that_are_no_number_are_never_saved(tmp_path: Path) -> None:
    system, out = built("sigma-vae"), tmp_path / "run"

    def spoil(step: int, *_: float) -> None:
        if step == 5:
            system.model.get_buffer("variance").fill_(float("nan"))

    with pytest.raises(ReparamError, match="variance became infinite or no number by step 6"):
        reparam.train(system, out, steps=20, batch_size=8, checkpoint_every=2, progress=spoil)
    assert checkpoint.load(out / "checkpoints").step == 4
