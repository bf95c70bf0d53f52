"""What training Mult-VAE costs here and in RecBole 1.2.1: the last part of `make benchmark-multivae`.

Each library works in a process and an environment of its own; the two take turns, so that only one works at
a time, and the order changes from pair to pair; the machine must be quiet. Networks, batch, annealing and
optimiser are the same. On movielens100k what is timed is the call that trains, `reparam.train` and
RecBole's `Trainer.fit`; at ML-20M's shape a few steps are, by `reparam.trainer.Trainer` and by the lines of
RecBole's `_train_epoch`, on the events of `benchmarks/recommend.py`. What each library makes of the data
beforehand is not timed; the memory that it takes is counted. Quality on the same splits is in
`mult-vae.json`. Writes `results/multivae.json`.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
WORK, RESULT = ROOT / ".bench" / "multivae", ROOT / "benchmarks" / "results" / "multivae.json"
PYTHONS = {
    "ours": Path(sys.executable),
    "ours in bf16": Path(sys.executable),
    "RecBole": ROOT / ".bench" / "recbole-venv" / "bin" / "python",
}
EPOCHS, BATCH, ANNEAL = 40, 100, 300  # on movielens100k
LARGE_STEPS, LARGE_BATCH = 2, 500  # at ML-20M's shape

Timed = Callable[[], object]


class Work(NamedTuple):
    """ready() prepares, untimed, what is then called and timed: so many steps, of so many users in all."""

    ready: Callable[[], Timed]
    steps: int
    users: int


def ours(precision: str, users: int) -> Work:
    """`reparam.train` on movielens100k, split 0."""
    import reparam
    from reparam.data import load

    data, run = load("movielens100k", seed=0), WORK / "run"
    if data.train.n != users:
        raise SystemExit("split-0.npz is of another split: make benchmark-multivae writes it anew")
    steps = EPOCHS * -(-users // BATCH)  # RecBole ends an epoch with a smaller batch

    def ready() -> Timed:
        shutil.rmtree(run, ignore_errors=True)
        system = reparam.build("mult-vae", data, beta=0.2, anneal=ANNEAL)
        options: Any = {"steps": steps, "batch_size": BATCH, "precision": precision}
        return lambda: reparam.train(system, run, data=data, **options)

    return Work(ready, steps, steps * BATCH)


def recbole(users: int) -> Work:
    """`Trainer.fit` on the training users of split 0."""
    import numpy as np
    from multivae import prepared

    with np.load(WORK / "split-0.npz", allow_pickle=False) as file:
        seen = file["train"]
    rows, items = seen.nonzero()

    def ready() -> Timed:
        own = prepared(rows, items, seen.shape[1], epochs=EPOCHS, batch=BATCH, anneal=ANNEAL, seed=0)
        return lambda: own.trainer.fit(own.batches, saved=False, verbose=False)

    return Work(ready, EPOCHS * -(-users // BATCH), EPOCHS * users)


def ours_large(precision: str) -> Work:
    """Steps of our trainer at ML-20M's shape."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    from recommend import histories, trainer

    own = trainer(histories(), precision)  # pyright: ignore[reportArgumentType]

    def some() -> None:
        for _ in range(LARGE_STEPS):
            own.take_step()

    return Work(lambda: some, LARGE_STEPS, LARGE_STEPS * LARGE_BATCH)


def recbole_large() -> Work:
    """Steps as RecBole's `_train_epoch` takes them, at ML-20M's shape."""
    import numpy as np
    from multivae import prepared

    with np.load(WORK / "histories.npz", allow_pickle=False) as file:
        rows, items, n_items = file["users"], file["items"], int(file["n_items"])
    own = prepared(rows, items, n_items, epochs=1, batch=LARGE_BATCH, anneal=40_000, seed=0)
    model: Any = own.model.train()
    batches = iter(own.batches)

    def some() -> None:
        for _ in range(LARGE_STEPS):
            interaction = next(batches)
            own.trainer.optimizer.zero_grad()
            loss = model.calculate_loss(interaction)
            loss.item()
            loss.backward()
            own.trainer.optimizer.step()

    return Work(lambda: some, LARGE_STEPS, LARGE_STEPS * LARGE_BATCH)


def serve(side: str, workload: str, threads: int, users: int) -> None:
    """A process of one library: works for each line it is sent, and answers with what that took."""
    answers = os.fdopen(os.dup(1), "w")
    log = os.open(WORK / f"{side.replace(' ', '-')}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)  # both libraries report their progress
    os.dup2(log, 2)
    os.chdir(WORK)  # RecBole leaves its logs where it is run
    import torch
    from run import peak_mib

    torch.set_num_threads(threads)
    precision = "bf16" if side == "ours in bf16" else "float32"
    if side == "RecBole":
        work = recbole(users) if workload == "movielens100k" else recbole_large()
    else:
        work = ours(precision, users) if workload == "movielens100k" else ours_large(precision)
    print("{}", file=answers, flush=True)
    for _ in sys.stdin:
        timed = work.ready()
        began = time.perf_counter()
        timed()
        seconds = time.perf_counter() - began
        answer = {"seconds": seconds, "steps": work.steps, "users": work.users, "peak_mib": peak_mib()}
        print(json.dumps(answer), file=answers, flush=True)


def compare(workload: str, rounds: int, threads: int, facts: dict[str, Any]) -> list[dict[str, Any]]:
    """A row a side: medians over rounds, the first of which only warms up."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    sides = {
        side: subprocess.Popen(
            [python, __file__, "serve", side, workload, str(threads), str(facts["users"])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        for side, python in PYTHONS.items()
    }

    def answer(process: Any) -> dict[str, float]:
        if not (line := process.stdout.readline()):
            raise SystemExit(f"a side ended: read the logs in {WORK}")
        return json.loads(line)

    for process in sides.values():
        answer(process)
    found: dict[str, list[dict[str, float]]] = {side: [] for side in sides}
    for i in range(rounds + 1):
        for side in sides if i % 2 == 0 else reversed(sides):
            process: Any = sides[side]
            process.stdin.write("\n")
            process.stdin.flush()
            found[side].append(answer(process))
    for process in sides.values():
        process.communicate()
    rows = []
    for side, runs in found.items():
        runs = runs[1:]
        seconds, first = statistics.median(run["seconds"] for run in runs), runs[0]
        pairs = zip(found["RecBole"][1:], runs, strict=True)
        ratios = sorted(  # of users per second: RecBole's last batch of an epoch is smaller
            own["users"] / own["seconds"] / (their["users"] / their["seconds"]) for their, own in pairs
        )
        row = {
            "workload": workload,
            "who": side,
            "steps": first["steps"],
            "milliseconds_a_step": seconds / first["steps"] * 1e3,
            "seconds_an_epoch": seconds * facts["users"] / first["users"],
            "users_per_second": first["users"] / seconds,
            "ratio": statistics.median(ratios),
            "ratios": [round(r, 2) for r in ratios],
            # Of the whole process, after its first work: later ones add what the allocator keeps.
            "peak_mib": found[side][0]["peak_mib"],
        }
        rows.append(row)
        print(
            f"{workload:16} {side:13} {row['milliseconds_a_step']:8.1f} ms a step, × {row['ratio']:.2f}, "
            f"{row['peak_mib']:.0f} MiB",
            flush=True,
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", nargs="*", default=["movielens100k", "ML-20M's shape"])
    arguments = parser.parse_args()
    import numpy as np

    sys.path.insert(0, str(ROOT / "benchmarks"))
    from recommend import ITEMS, USERS, histories
    from reparam.engine import versions

    with np.load(WORK / "split-0.npz", allow_pickle=False) as file:
        users, items = file["train"].shape
    facts: dict[str, dict[str, Any]] = {
        "movielens100k": {"users": users, "items": items, "batch": BATCH, "epochs": EPOCHS},
        "ML-20M's shape": {"users": USERS, "items": ITEMS, "batch": LARGE_BATCH},
    }
    rows = []
    for workload in arguments.only:
        if workload != "movielens100k":
            bags = histories()
            rows_of = np.repeat(np.arange(USERS), bags.lengths.numpy())
            np.savez(WORK / "histories.npz", users=rows_of, items=bags.items.numpy(), n_items=ITEMS)
            del bags, rows_of
        rows += compare(workload, arguments.rounds, arguments.threads, facts[workload])
    content = {
        "figure": "multivae",
        "workloads": facts,
        "rounds": arguments.rounds,
        "threads": arguments.threads,
        "optimiser": "Adam, 1e-3; ours fused, RecBole's as torch has it by default",
        "rows": rows,
        "versions": {**versions(), "recbole": "1.2.1"},
    }
    RESULT.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
    else:
        main()
