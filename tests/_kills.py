"""Kills real processes: python _kills.py FOLDER RECIPE KILLS STEPS

Trains FOLDER/whole in peace and FOLDER/killed under SIGKILL, at seeded moments of the time that the
first took; prints how often it struck. Forks, so that torch is imported once.
"""

import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

import reparam
from _recipes import built, resumed, seed_of


def run(name: str, out: Path, steps: int) -> None:
    """Begins the run, or goes on with it."""
    if (out / "run.json").exists():
        resumed(built(name), out)
        return
    shutil.rmtree(out, ignore_errors=True)  # it was killed before it had begun
    options = {"batch_size": 8, "average": 0.99, "checkpoint_seconds": 0.02, "device": "cpu"}
    reparam.train(built(name), out, steps=steps, **options)


def child(name: str, out: Path, steps: int) -> int:
    """The process that runs."""
    if (pid := os.fork()) == 0:
        status = 1
        try:
            run(name, out, steps)
            status = 0
        finally:
            os._exit(status)
    return pid


def finished(pid: int) -> bool:
    """Whether the process came to its own good end; waits for any end."""
    _, status = os.waitpid(pid, 0)
    if not os.WIFSIGNALED(status) and os.WEXITSTATUS(status):
        raise SystemExit("the run failed by itself")
    return not os.WIFSIGNALED(status)


def main(folder: Path, name: str, kills: int, steps: int) -> None:
    """Trains twice; the second time with `kills` deaths at most."""
    run(name, folder / "warm", 2)  # what is imported on first use is imported here, once
    began = time.monotonic()
    finished(child(name, folder / "whole", steps))
    taken, draw, struck = time.monotonic() - began, random.Random(seed_of(name)), 0
    # Small parts of the run, so that the kills are spread over all of it.
    longest = max(2.5 * taken / kills, 0.1)
    while struck < kills:
        pid = child(name, folder / "killed", steps)
        time.sleep(draw.uniform(0, longest))
        os.kill(pid, signal.SIGKILL)
        struck += 1
        if finished(pid):
            shutil.rmtree(folder / "killed")  # it was faster: the kills go on in a new run
    finished(child(name, folder / "killed", steps))
    print(f"{struck} kills, {taken:.2f} s undisturbed")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
