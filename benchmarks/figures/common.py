"""What the figures share: runs that are taken up where they were left, and records of results."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import reparam
from reparam import evaluate_likelihood, registry
from reparam.data import Data
from reparam.engine import versions
from reparam.system import System

BENCHMARKS = Path(__file__).parent.parent
RUNS, RESULTS = BENCHMARKS.parent / ".bench", BENCHMARKS / "results"


def trained(
    run: str, name: str, data: Data, *, steps: int, seed: int = 0, options: Any = None, **settings: Any
) -> System:
    """The system of a run, trained or taken up where it was left; its CPU time is kept beside it."""
    folder = RUNS / run
    networks: dict[str, Any] = {key: net for key, net in settings.items() if isinstance(net, torch.nn.Module)}
    began = time.process_time()
    if (folder / "run.json").exists():
        reparam.resume(folder, data=data, **networks)
    else:
        # A recipe whose rate falls over its steps must know them.
        told = {"steps": steps} if "steps" in registry.settings(name) else {}
        reparam.train(
            reparam.build(name, data, seed=seed, **told, **settings),
            folder,
            data=data,
            steps=steps,
            **(options or {}),
        )
    spent = folder / "cpu_seconds.json"
    before = json.loads(spent.read_text()) if spent.exists() else 0.0
    spent.write_text(json.dumps(before + time.process_time() - began))
    return reparam.load(folder, **networks)


def recorded(name: str) -> dict[str, Any]:
    """The result as it was recorded before; one without rows, if there is none."""
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else {"rows": []}


def record(name: str, content: dict[str, Any]) -> None:
    """Writes a result with what it depends on; what was tried on the way is kept from the one before."""
    RESULTS.mkdir(exist_ok=True)
    path, tried = RESULTS / f"{name}.json", recorded(name).get("tried")
    content = {"figure": name, **content, **({"tried": tried} if tried else {}), "versions": versions()}
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    print(json.dumps(content, indent=1))


def kept(run: str, make: Callable[[], Any]) -> Any:
    """What a training without checkpoints measured: made once, and read where it was made before."""
    path = RUNS / f"{run}.json"
    if not path.exists():
        made = make()
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".draft")
        draft.write_text(json.dumps(made))
        draft.replace(path)
    return json.loads(path.read_text())


def cpu_seconds(run: str) -> float:
    """CPU seconds that a run's training used, over all its sessions."""
    return json.loads((RUNS / run / "cpu_seconds.json").read_text())


def log_likelihoods(system: System, x: Tensor, draws: int) -> Tensor:
    """The bound of so many importance samples on log p(x) of each example, (n,) in nats."""
    parts = x.split(20)  # with the draws held at once, what a processor's cache holds
    return torch.cat([evaluate_likelihood.bounds(system, part, draws, i) for i, part in enumerate(parts)])
