"""The number of processes changes nothing: 1, 2 and 4 at the same global batch, and two hosts."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from _recipes import NAMES, assert_same_run, built, deviation, resumed, rows, tensors
from _world_script import HALVES, STEPS, train, train_all
from reparam import checkpoint

SCRIPT = str(Path(__file__).parent / "_world_script.py")
TORCHRUN = [sys.executable, "-m", "torch.distributed.run"]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
WORLDS = (2, 4)


def torchrun(world: int) -> list[str]:
    """The command that starts so many processes on this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    return [*TORCHRUN, "--nproc-per-node", str(world), "--master-addr", "127.0.0.1", "--master-port", port]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every recipe, trained by this process."""
    folder = tmp_path_factory.mktemp("alone")
    train_all(folder, NAMES)
    for name in HALVES:
        train(name, folder / "half" / name, "float32", steps=STEPS["float32"] // 2)
    return folder


@pytest.fixture(scope="module")
def together(alone: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """Every recipe, trained by 2 or 4 processes; each goes on with runs that another number began."""
    folders: dict[int, Path] = {}

    def launched(world: int) -> Path:
        if world in folders:
            return folders[world]
        folder = folders[world] = tmp_path_factory.mktemp(f"world-{world}")
        begun_by = alone if world == WORLDS[0] else launched(WORLDS[0])
        for name in HALVES:
            shutil.copytree(begun_by / "half" / name, folder / "other" / name)
        command = [*torchrun(world), SCRIPT, str(folder), "train"]
        result = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT)
        assert result.returncode == 0, result.stderr[-4000:]
        assert result.stdout == ""
        assert "destroy_process_group" not in result.stderr
        return folder

    return launched


def moved(name: str, out: Path) -> float:
    """How far the farthest weight went."""
    final = tensors(out)
    first = built(name).model.named_parameters()
    return max(float((p.detach() - final[f"weights/{key}"]).abs().max()) for key, p in first)


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("name", NAMES)
def test_the_same_weights(
    name: str,
    world: int,
    alone: Path,
    together: Callable[[int], Path],
    record_testsuite_property: Callable[..., None],
) -> None:
    folder = together(world)
    exact = deviation(alone / "float64" / name, folder / "float64" / name)
    single = deviation(alone / "float32" / name, folder / "float32" / name)
    record_testsuite_property(f"{name} on {world}, float64 SGD", exact)
    record_testsuite_property(f"{name} on {world}, float32", single)
    print(f"{name} on {world} processes: off by {exact:.1e} (float64, SGD), {single:.1e} (float32)")
    assert moved(name, alone / "float64" / name) > 1e-3
    assert exact < 1e-9
    assert single < 1e-2
    for (step, ours), (other, theirs) in zip(
        rows(alone / "float64" / name), rows(folder / "float64" / name), strict=True
    ):
        assert step == other
        assert theirs == pytest.approx(ours, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("name", HALVES)
def test_resume_on_another_number_of_processes(
    name: str, world: int, alone: Path, together: Callable[[int], Path], tmp_path: Path
) -> None:
    folder = together(world)
    assert deviation(alone / "float32" / name, folder / "other" / name) < 1e-2
    shutil.copytree(folder / "half" / name, tmp_path / name)
    resumed(built(name), tmp_path / name, steps=STEPS["float32"])
    assert deviation(alone / "float32" / name, tmp_path / name) < 1e-2
    assert [step for step, _ in rows(tmp_path / name)] == [step for step, _ in rows(alone / "float32" / name)]


@pytest.mark.parametrize("world", WORLDS)
def test_all_processes_refuse_alike(world: int, together: Callable[[int], Path]) -> None:
    folder = together(world)
    said = [json.loads((folder / f"said-{rank}.json").read_text()) for rank in range(world)]
    for each in said:
        assert each["indivisible"].startswith(f"a batch of 15 cannot be shared by {world} processes")
        assert "is not empty" in each["taken"]
        assert "is no device" in each["device"]
        assert "became infinite or no number" in each["nan"]
        assert each["threads"] == "1"
    assert [each["full"] for each in said] == [
        "the disk is full",
        *["the first process failed; its message says why."] * (world - 1),
    ]
    assert not (folder / "odd").exists()
    assert checkpoint.load(folder / "budget" / "checkpoints").facts["seconds"] >= 0.2


# Two hosts


@pytest.fixture
def two_hosts() -> Iterator[tuple[str, str]]:
    """Two network namespaces and a cable between them."""
    ip = shutil.which("ip")
    if os.geteuid() or not ip:
        pytest.skip("network namespaces take root and the command `ip`")
    names = (f"rp{os.getpid()}a", f"rp{os.getpid()}b")

    def call(*arguments: str) -> int:
        return subprocess.run([str(ip), *arguments], capture_output=True).returncode

    try:
        cable = ("type", "veth", "peer", "cable", "netns", names[1])
        if any(call("netns", "add", name) for name in names):
            pytest.skip("this machine allows no network namespaces")
        if call("link", "add", "cable", "netns", names[0], *cable):
            pytest.skip("this machine allows no virtual cables")
        for host, name in enumerate(names, 1):
            call("-n", name, "address", "add", f"10.213.7.{host}/24", "dev", "cable")
            call("-n", name, "link", "set", "cable", "up")
            call("-n", name, "link", "set", "lo", "up")
        yield names
    finally:
        for name in names:
            call("netns", "delete", name)


def test_two_hosts(
    two_hosts: tuple[str, str], alone: Path, together: Callable[[int], Path], tmp_path: Path
) -> None:
    names = ["sigma-vae", "wgan-gp"]
    options = ["--nnodes=2", "--nproc-per-node=1", "--master-addr=10.213.7.1", "--master-port=29511"]
    job = [SCRIPT, str(tmp_path), "few", *names]
    hosts = [
        subprocess.Popen(
            ["ip", "netns", "exec", host, *TORCHRUN, *options, f"--node-rank={rank}", *job],
            env={**ENVIRONMENT, "GLOO_SOCKET_IFNAME": "cable"},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank, host in enumerate(two_hosts)
    ]
    ends = [host.communicate(timeout=120) for host in hosts]
    assert [host.returncode for host in hosts] == [0, 0], [errors[-2000:] for _, errors in ends]
    for name in names:
        assert_same_run(together(2) / "float64" / name, tmp_path / "float64" / name)
        assert_same_run(together(2) / "float32" / name, tmp_path / "float32" / name)
        assert deviation(alone / "float64" / name, tmp_path / "float64" / name) < 1e-9
