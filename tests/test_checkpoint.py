"""Checkpoints: whole or not there, and never believed when they are damaged."""

import contextlib
import errno
import json
import os
import shutil
import subprocess
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

import reparam
from _deaths import counted, dies
from _recipes import assert_same_run, built, resumed
from reparam import ReparamError, checkpoint

FACTS = {"seconds": 0.1 + 0.2, "window": [{"loss.term": 1 / 3}]}


def content(step: int) -> dict[str, dict[str, torch.Tensor]]:
    return {"weights": {"w": torch.full((5,), float(step))}, "training": {"m": torch.arange(3) + step}}


def written(folder: Path, *steps: int) -> None:
    for step in steps:
        checkpoint.save(folder, step, content(step), FACTS)


def assert_whole(read: checkpoint.Checkpoint, *among: int) -> None:
    assert read.step in among
    assert read.facts == FACTS
    for name, found in content(read.step).items():
        assert all(torch.equal(found[key], t) for key, t in read.files[name].items())


def test_two_are_kept(tmp_path: Path) -> None:
    written(tmp_path, 1, 2, 30, 400)
    assert checkpoint.steps(tmp_path) == [30, 400]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["000000030", "000000400"]
    assert_whole(checkpoint.load(tmp_path), 400)


def test_views_shared_and_transposed_tensors_come_back(tmp_path: Path) -> None:
    base = torch.arange(12.0).view(3, 4)
    given = {
        "base": base,
        "same": base,
        "row": base[1],
        "turned": base.t(),
        "expanded": base[:, :1].expand(3, 9),
    }
    given |= {"scalar": torch.tensor(2.0), "none": torch.zeros(0), "half": base.bfloat16(), "flags": base > 3}
    checkpoint.save(tmp_path, 1, {"weights": given}, {})
    read = checkpoint.load(tmp_path).files["weights"]
    assert all(torch.equal(read[name], t) and read[name].dtype == t.dtype for name, t in given.items())


# Damage

FILES = ("checkpoint.json", "weights.safetensors", "training.safetensors")


def flip(position: float) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        data = bytearray(path.read_bytes())
        data[int(position * (len(data) - 1))] ^= 0x10
        path.write_bytes(data)

    return damage


DAMAGES: dict[str, Callable[[Path], Any]] = {
    "flipped at the start": flip(0.0),
    "flipped at a third": flip(1 / 3),
    "flipped in the middle": flip(0.5),
    "flipped at the end": flip(1.0),
    "cut in half": lambda path: os.truncate(path, path.stat().st_size // 2),
    "emptied": lambda path: os.truncate(path, 0),
    "lengthened": lambda path: path.write_bytes(path.read_bytes() + b" x"),
    "deleted": lambda path: path.unlink(),
    "a list": lambda path: path.write_text("[]"),
    "a number": lambda path: path.write_text("3"),
    "null": lambda path: path.write_text("null"),
    "noise": lambda path: path.write_bytes(bytes(range(256))),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("file", FILES)
def test_a_damaged_one_is_passed_over_with_a_warning(file: str, damage: str, tmp_path: Path) -> None:
    written(tmp_path, 10, 20)
    DAMAGES[damage](tmp_path / "000000020" / file)
    with pytest.warns(UserWarning, match="checkpoint of step 20 .* is damaged"):
        assert_whole(checkpoint.load(tmp_path), 10)
    DAMAGES[damage](tmp_path / "000000010" / file)
    every = pytest.raises(ReparamError, match=r"every checkpoint .* is damaged")
    with pytest.warns(UserWarning, match="damaged"), every:
        checkpoint.load(tmp_path)


def test_no_byte_of_the_description_can_change_unseen(tmp_path: Path) -> None:
    written(tmp_path, 10, 20)
    path = tmp_path / "000000020" / "checkpoint.json"
    whole, unseen = path.read_bytes(), 0
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            read = checkpoint.load(tmp_path)
        assert_whole(read, 10 if warned else 20)  # unseen is only what means the same: 1.0 as 1.00
        unseen += not warned
    assert unseen < 5


def test_none_is_an_error(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ReparamError, match="there is no checkpoint"):
            checkpoint.load(folder)


@pytest.mark.parametrize("file", FILES)
def test_a_run_goes_on_from_the_one_before(file: str, tmp_path: Path) -> None:
    system, out = built("sigma-vae"), tmp_path / "run"
    reparam.train(system, tmp_path / "whole", steps=14, batch_size=8)
    reparam.train(built("sigma-vae"), out, steps=10, batch_size=8, checkpoint_every=4)
    assert checkpoint.steps(out / "checkpoints") == [8, 10]
    DAMAGES["flipped in the middle"](out / "checkpoints" / "000000010" / file)
    with pytest.warns(UserWarning, match="step 10 .* damaged"):
        resumed(system, out, steps=14)
    assert_same_run(tmp_path / "whole", out)


def test_a_damaged_later_one_does_not_push_out_whole_ones(tmp_path: Path) -> None:
    written(tmp_path, 10, 20)
    flip(0.5)(tmp_path / "000000020" / "weights.safetensors")
    written(tmp_path, 15)
    assert checkpoint.steps(tmp_path) == [10, 15]


# Death and a full disk


def test_death_at_every_line_of_a_save_leaves_a_whole_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)  # most of the time, and no death is the machine's
    written(tmp_path / "counted", 10, 20)
    moments = len(counted(partial(written, tmp_path / "counted", 30)))
    assert moments > 20
    for moment in range(1, moments + 1):
        folder = tmp_path / str(moment)
        written(folder, 10, 20)
        assert dies(partial(written, folder, 30), moment)
        assert_whole(checkpoint.load(folder), 20, 30)
        written(folder, 30, 40)  # what the dead one left is in nobody's way
        assert sorted(p.name for p in folder.iterdir()) == ["000000030", "000000040"]


@pytest.mark.parametrize("call", ["save_file", "_digest", "_flush"])
def test_a_full_disk_loses_nothing_saved(call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    system, out = built("vae"), tmp_path / "run"
    real, calls = getattr(checkpoint, call), [0]

    def full(*arguments: Any) -> Any:
        calls[0] += 1
        if calls[0] >= 14:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(*arguments)

    monkeypatch.setattr(checkpoint, call, full)
    with pytest.raises(ReparamError, match=r"No space left on device.*Checkpoints kept: \d"):
        reparam.train(system, out, steps=30, batch_size=8, checkpoint_every=2)
    monkeypatch.undo()
    assert len(checkpoint.steps(out / "checkpoints")) == 2
    assert not (out / "checkpoints" / ".draft").exists()
    resumed(built("vae"), out)
    reparam.train(built("vae"), tmp_path / "whole", steps=30, batch_size=8)
    assert_same_run(tmp_path / "whole", out)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real disk of 256 kB, in memory."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    command = [str(mount), "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if os.geteuid() or not mount or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting a small disk takes root and its capabilities")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_real_full_disk_loses_nothing_saved(small_disk: Path, tmp_path: Path) -> None:
    system, out = built("vae"), small_disk / "run"
    filler = small_disk / "filler"

    def fill(step: int, *_: float) -> None:
        if step == 9:
            with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
                while file.write(b"0" * 512):
                    pass

    options = {"steps": 30, "batch_size": 8, "checkpoint_every": 4}
    with pytest.raises(ReparamError, match="could not write") as caught:
        reparam.train(system, out, progress=fill, **options)
    assert "space" in str(caught.value).lower()
    assert checkpoint.load(out / "checkpoints").step == 8
    with pytest.raises(ReparamError, match="could not write"):  # still full
        resumed(built("vae"), out)
    assert checkpoint.load(out / "checkpoints").step == 8
    filler.unlink()
    resumed(built("vae"), out)
    reparam.train(built("vae"), tmp_path / "whole", **options)
    assert_same_run(tmp_path / "whole", out)


def test_what_cannot_be_written_at_all_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ReparamError, match="could not write"):
        reparam.train(built("vae"), tmp_path / "file" / "run", steps=2)


def test_the_description_is_for_people(tmp_path: Path) -> None:
    reparam.train(built("vae"), tmp_path / "run", steps=3, batch_size=8)
    folder = tmp_path / "run" / "checkpoints" / "000000003"
    assert sorted(p.name for p in folder.iterdir()) == sorted(FILES)
    about = json.loads((folder / "checkpoint.json").read_text())
    assert about["step"] == 3
    assert about["facts"]["trained"] is True
