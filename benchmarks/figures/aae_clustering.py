"""The clustering AAE on MNIST, 30 clusters: the error of naming each by one held-out example."""

from typing import Any

import torch
from common import RESULTS, cpu_seconds, record, trained

from reparam.data import Split
from reparam.data import load as load_data
from reparam.metrics.bootstrap import share
from reparam.report.pictures import grid, save
from reparam.system import System

CLUSTERS, STEPS = 30, 12_000
SETTINGS = {"network": "mlp", "width": 256, "corruption": 0.3, "spread": 5.0}
OPTIONS = {"average": 0.999, "precision": "bf16"}

PICTURES = {"aae-clustering": ["mnist-aae-clustering.png"]}


def chances(system: System, split: Split) -> torch.Tensor:
    """The probability of each cluster for the examples of a split: (n, clusters)."""
    return system.encode(split.x.float() / 255)[:, :CLUSTERS]


def figure() -> None:
    """Trains, measures and records."""
    data, run = load_data("mnist"), "mnist-aae-clustering"
    system = trained(run, "aae-clustering", data, steps=STEPS, options=OPTIONS, clusters=CLUSTERS, **SETTINGS)
    assert data.validation.y is not None
    assert data.test.y is not None
    # Makhzani et al. 2015, §5: a cluster has the class of the validation example that is most surely in it.
    held_out = chances(system, data.validation)
    named = data.validation.y[held_out.argmax(0)]
    of = chances(system, data.test).argmax(1)
    errors = (named[of] != data.test.y).double()
    before = (named[held_out.argmax(1)] != data.validation.y).double()
    style = torch.randn(6, 1, 8, generator=torch.Generator().manual_seed(0)).expand(6, CLUSTERS, 8)
    codes = torch.cat([torch.eye(CLUSTERS).expand(6, CLUSTERS, CLUSTERS), style], 2)
    save(grid(system.decode(codes.flatten(0, 1)), CLUSTERS), RESULTS / f"{run}.png")
    record(
        "aae-clustering",
        {
            "target": "≤ 10 % error, stretch 5 (paper, recalled: 4.10 ± 1.13)",
            "split": "the whole test set, clusters named by validation examples",
            "error": errors.mean().item(),
            "interval": share(errors),
            "validation_error": before.mean().item(),
            "n": len(errors),
            "clusters": CLUSTERS,
            "clusters_used": len(of.unique()),
            "classes_named": len(named.unique()),
            "steps": STEPS,
            "settings": SETTINGS,
            "options": OPTIONS,
            "cpu_minutes": cpu_seconds(run) / 60,
        },
    )


def words(content: dict[str, Any]) -> list[tuple[str, str]]:
    """The rows of the README: what, and what was measured."""
    low, high = (100 * end for end in content["interval"])
    measured = f"error {100 * content['error']:.2f} % ({low:.2f} – {high:.2f})"
    used = f"{content['clusters_used']} clusters used"
    return [(f"aae-clustering, MNIST, {content['clusters']} clusters", f"{measured}; {used}")]
