"""reparam and pythae 0.1.2 side by side on MNIST: `make benchmark-peers`.

Each library trains in a process of its own per model; the two take turns, so that only one works at a
time, and the order changes from pair to pair. A pair has one seed: both start from the same weights, on the
same 10,000 digits, for as many steps of 100. What is timed is the call that trains, from its first line to
its return. Ratios are taken pair by pair. Samples and reconstructions of both are measured by the same code.

*As it ships*: each library's own trainer, optimisers and loss weights; the learning rates are ours on both
sides, because a rate is the user's to choose (pythae's default of 1e-4 has learned little after so few
steps), and so are the numbers that name a member of a family (K, β, γ, the penalty: `common.py`).
*Equal optimisers*: pythae is given our optimisers too, fused as ours are.
*Ours in bf16*: with `--precision bf16`, against pythae as it ships; its own mixed precision is CUDA only.
"""

import argparse
import importlib
import json
import multiprocessing
import os
import shutil
import statistics
import sys
import time
from importlib import metadata
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from common import BATCH, HIDDEN, LATENT, Job

ROOT = Path(__file__).parent.parent.parent
WORK, RESULT = ROOT / ".bench" / "peers", ROOT / "benchmarks" / "results" / "peers.json"
SIDES = ("reparam", "pythae")
MODELS = ["vae", "aae", "vae-gan", "iwae", "wae-mmd", "beta-tc-vae", "factor-vae", "spherical-vae", "vqvae"]
TARGETS = {"vae": 1.5, "aae": 1.0, "vae-gan": 1.6}  # samples per second against pythae's, as it ships
EXAMPLES, MEASURED = 10_000, 1_000
MEASURES = ("kernel_distance", "squared_error")
EXTRACTOR = "efficientnet-lite0-128"


class Run(NamedTuple):
    """What a training took, in all threads, and the file of its samples and reconstructions."""

    seconds: float
    cpu_seconds: float
    peak_mib: float
    parameters: int
    checksum: float
    made: Path


def peak_mib() -> float:
    """The most memory this process has held; getrusage's maximum would count its parent's, before exec."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def serve(pipe: Connection, side: str, threads: int) -> None:
    """A process of one library: trains what it is told, and answers with what that took."""
    # Both libraries report their progress as they do; here into a file.
    log = os.open(WORK / f"{side}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, sys.stdout.fileno())
    os.dup2(log, sys.stderr.fileno())
    import torch

    torch.set_num_threads(threads)
    library = importlib.import_module(f"with_{side}")
    while job := pipe.recv():
        shutil.rmtree(job.folder, ignore_errors=True)
        cpu = time.process_time()
        trained = library.train(job)
        cpu = time.process_time() - cpu
        peak = peak_mib()
        with np.load(job.digits) as file:
            x = torch.from_numpy(file["x_test"]).float() / 255
        made = job.folder / "made.npz"
        samples = {"samples": trained.sample(MEASURED)} if trained.sample else {}
        np.savez(made, reconstructions=trained.reconstruct(x), **samples)
        pipe.send(Run(trained.seconds, cpu, peak, trained.parameters, trained.checksum, made))


def digits() -> Path:
    """The first 10,000 of MNIST's training split, and 1,000 of validation and test each."""
    from reparam.data import load

    data, path = load("mnist"), WORK / "digits.npz"
    sizes = {"train": EXAMPLES, "validation": MEASURED, "test": MEASURED}
    np.savez(path, **{f"x_{split}": getattr(data, split).x[:n].numpy() for split, n in sizes.items()})
    return path


class Judge:
    """The same measures of both: on MNIST's test digits, after the last step."""

    def __init__(self, path: Path) -> None:
        from reparam.metrics.features import extractor
        from reparam.metrics.kernel_distance import kernel_distance_floor

        with np.load(path) as file:
            self.x = file["x_test"] / np.float32(255)
        self.extract = extractor(EXTRACTOR)
        self.features = self.extract(self.x)
        self.floor = kernel_distance_floor(self.features).value

    def __call__(self, made: Path) -> dict[str, float]:
        from reparam.metrics.kernel_distance import kernel_distance
        from reparam.metrics.reconstruction import squared_error

        with np.load(made) as file:
            found = {"squared_error": squared_error(self.x, file["reconstructions"]).mean().item()}
            if "samples" in file:
                features = self.extract(file["samples"])
                found["kernel_distance"] = kernel_distance(features, self.features, times=2).value
        return found


def interval(values: list[float]) -> dict[str, Any]:
    """Mean over seeds and its 95 % interval (Student's)."""
    from scipy import stats

    mean = statistics.mean(values)
    half = float(stats.t.ppf(0.975, len(values) - 1)) * statistics.stdev(values) / len(values) ** 0.5
    return {"mean": mean, "low": mean - half, "high": mean + half, "by_seed": values}


def compare(job: Job, pairs: int, pipes: dict[str, Connection], judge: Judge | None) -> dict[str, Any]:
    """One row of the table: medians over pairs, and what the judge says of every seed."""
    runs: dict[str, list[Run]] = {side: [] for side in SIDES}
    qualities: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
    for seed in range(pairs):
        for side in SIDES if seed % 2 == 0 else SIDES[::-1]:
            pipes[side].send(job._replace(seed=seed, folder=WORK / side))
            runs[side].append(pipes[side].recv())
            if judge:
                qualities[side].append(judge(runs[side][-1].made))
    both = list(zip(*runs.values(), strict=True))
    if any(ours.parameters != theirs.parameters for ours, theirs in both):
        raise SystemExit(f"{job.model}: the two sides' networks differ in size")
    if any(abs(ours.checksum / theirs.checksum - 1) > 1e-9 for ours, theirs in both):
        raise SystemExit(f"{job.model}: the two sides start from different weights")
    ratios = [theirs.seconds / ours.seconds for ours, theirs in both]
    row = {
        "model": job.model,
        "setting": job.setting,
        "parameters": both[0][0].parameters,
        "epochs": job.epochs,
        "pairs": pairs,
        "ratio": statistics.median(ratios),
        "ratios": sorted(round(ratio, 3) for ratio in ratios),
        "cpu_ratio": statistics.median(theirs.cpu_seconds / ours.cpu_seconds for ours, theirs in both),
    }
    for side in SIDES:
        seconds = statistics.median(run.seconds for run in runs[side]) / job.epochs
        row[side] = {
            "seconds_an_epoch": seconds,
            "milliseconds_a_step": seconds * BATCH / EXAMPLES * 1e3,
            "samples_a_second": EXAMPLES / seconds,
            **{
                name: interval([of[name] for of in qualities[side]])
                for name in MEASURES
                if judge and name in qualities[side][0]
            },
        }
        if (
            job.setting == "as it ships"
        ):  # the first row of its process: later ones add what the allocator keeps
            row[side]["peak_mib"] = runs[side][0].peak_mib
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="3 pairs of two epochs; writes no result")
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--epochs", type=int, default=6, help="of 10,000 digits, in one training")
    parser.add_argument("--threads", type=int, default=2, help="1 is steadier on a busy machine")
    parser.add_argument("--only", nargs="*", default=MODELS, choices=MODELS)
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.pairs, arguments.epochs = 3, 2
    WORK.mkdir(parents=True, exist_ok=True)
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)  # of the processes to come
    path = digits()
    judge, rows = Judge(path), []
    for model in arguments.only:
        pipes = started(arguments.threads)
        first = Job(model, "as it ships", 0, 1, path, WORK)
        compare(first, 1, pipes, None)  # not counted: first calls are slow
        ships = first._replace(epochs=arguments.epochs)
        equal = first._replace(epochs=(arguments.epochs + 1) // 2, setting="equal optimisers")
        half = [ships._replace(setting="ours in bf16")] if model in TARGETS else []
        for job in (ships, equal, *half):
            # A fused optimiser takes the steps of its slower self: there quality needs no second look.
            row = compare(job, arguments.pairs, pipes, None if job is equal else judge)
            rows.append(row | ({"target": TARGETS[model]} if job is ships and model in TARGETS else {}))
            print(words(row), flush=True)
        for pipe in pipes.values():
            pipe.send(None)
    if arguments.quick:
        return
    from gradients import vae_gan

    from reparam.engine import versions

    about = {
        "figure": "peers",
        "data": f"MNIST, {EXAMPLES} training digits an epoch, batch {BATCH}",
        "networks": f"fully connected 784-{HIDDEN}-{LATENT} and back; the VQ-VAE's convolutional",
        "threads": arguments.threads,
        "rows": [*kept(arguments), *rows],
        "measured_on": f"{MEASURED} test digits, {EXTRACTOR}; the last step's weights; 95 % over seeds",
        "kernel_distance_floor": judge.floor,
        "findings": {"pythae VAE-GAN, gradients": vae_gan()},
        "versions": {**versions(), "threads": arguments.threads, "pythae": metadata.version("pythae")},
    }
    about["rows"].sort(key=lambda row: MODELS.index(row["model"]))
    RESULT.write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n")


def kept(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """The rows of models that were not measured anew. Raises SystemExit if they are of other threads."""
    before = json.loads(RESULT.read_text()) if RESULT.is_file() else {"rows": []}
    rows = [row for row in before["rows"] if row["model"] not in arguments.only]
    if rows and before["threads"] != arguments.threads:
        raise SystemExit(f"{RESULT.name} holds rows of {before['threads']} threads; measure all models anew")
    return rows


def started(threads: int) -> dict[str, Connection]:
    """A fresh process of each library."""
    context, pipes = multiprocessing.get_context("spawn"), {}
    for side in SIDES:
        pipes[side], other = context.Pipe()
        context.Process(target=serve, args=(other, side, threads), daemon=True).start()
    return pipes


def words(row: dict[str, Any]) -> str:
    """A row for the terminal."""
    times = ""
    for side in SIDES:
        measured = "".join(
            f", {name} {row[side][name]['mean']:.4f}" for name in MEASURES if name in row[side]
        )
        times += f"  {side} {row[side]['seconds_an_epoch']:.3f} s{measured}"
    return f"{row['model']:14}{row['setting']:17} × {row['ratio']:.2f} (CPU × {row['cpu_ratio']:.2f}){times}"


if __name__ == "__main__":
    main()
