"""The figures that the models must reach, on real data: `python benchmarks/figures.py NAME …`.

Each trains in `.bench/NAME` (and goes on there if it was stopped), measures, and writes
`benchmarks/results/NAME.json`. Choices were made on validation data; the test set is used once, here.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch

import reparam
from reparam.data import Data
from reparam.data import load as load_data
from reparam.engine import versions
from reparam.run import read_log
from reparam.system import System

ROOT = Path(__file__).parent.parent
RUNS, RESULTS = ROOT / ".bench", Path(__file__).parent / "results"


def trained(run: str, name: str, data: Data, *, steps: int, seed: int = 0, options: Any = None, **settings: Any) -> System:
    """The system of a run, trained or taken up where it was left; its CPU time is kept beside it."""
    folder = RUNS / run
    began = time.process_time()
    if (folder / "run.json").exists():
        reparam.resume(folder, data=data)
    else:
        reparam.train(reparam.build(name, data, seed=seed, **settings), folder, data=data, steps=steps, **(options or {}))
    spent = folder / "cpu_seconds.json"
    before = json.loads(spent.read_text()) if spent.exists() else 0.0
    spent.write_text(json.dumps(before + time.process_time() - began))
    return reparam.load(folder)


def record(name: str, content: dict[str, Any]) -> None:
    """Writes a result with what it depends on."""
    RESULTS.mkdir(exist_ok=True)
    content = {"figure": name, **content, "versions": versions()}
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    print(json.dumps(content, indent=1))


def cpu_seconds(run: str) -> float:
    """CPU seconds that a run's training used, over all its sessions."""
    return json.loads((RUNS / run / "cpu_seconds.json").read_text())


def vae_mnist() -> None:
    """VAE on dynamically binarised MNIST: importance-weighted estimate, K = 500, whole test set."""
    from reparam.metrics.likelihood import importance_weighted

    data = load_data("mnist", binarise="dynamic")
    steps = 60_000
    system = trained(
        "vae-mnist",
        "vae",
        data,
        steps=steps,
        options={"batch_size": 100, "average": 0.999},
        network="conv",
        width=256,
        latent=32,
        decay_steps=steps,
    )
    print(importance_weighted, system, read_log(RUNS / "vae-mnist")[-1])


FIGURES = {"vae-mnist": vae_mnist}

if __name__ == "__main__":
    torch.set_num_threads(1)
    for name in sys.argv[1:] or FIGURES:
        FIGURES[name]()
