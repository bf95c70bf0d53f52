"""What draws of von Mises–Fisher cost beside the usual rejection loop: `python benchmarks/vmf.py`.

100,000 draws, each with a mean direction and a κ of its own (all 50), by both from torch's generator, in
turn, in one process; the ratio is taken pair by pair. The loop's gradient is biased and ours is not, which
costs something: the backward pass is timed by itself. Writes `benchmarks/results/vmf.json`.
"""

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from reparam.engine import versions
from reparam.noise import Around, DeviceRng
from reparam.spheres import UNIFORMS, VonMisesFisher

RESULTS = Path(__file__).parent / "results"
DRAWS, KAPPA = 100_000, 50.0
ASKED = {5: 5.0, 20: 5.0, 50: 2.5}


def rejection_loop(mu: Tensor, kappa: Tensor) -> Tensor:
    """Davidson et al. 2018, algorithms 1 and 2, after Ulrich: proposals for all until all are accepted."""
    n, m = mu.shape
    root = torch.sqrt(4 * kappa.square() + (m - 1) ** 2)
    b, a = (root - 2 * kappa) / (m - 1), (m - 1 + 2 * kappa + root) / 4
    d = 4 * a * b / (1 + b) - (m - 1) * math.log(m - 1)
    half = torch.tensor((m - 1) / 2)
    beta = torch.distributions.Beta(half, half)
    w, waiting = torch.zeros_like(kappa), torch.ones_like(kappa, dtype=torch.bool)
    while waiting.any():
        e, u = beta.sample(kappa.shape), torch.rand(kappa.shape)
        share = 1 - (1 - b) * e
        proposal, t = (1 - (1 + b) * e) / share, 2 * a * b / share
        accepted = waiting & ((m - 1) * t.log() - t + d > u.log())
        w, waiting = torch.where(accepted, proposal, w), waiting & ~accepted
    bearing = F.normalize(torch.randn(n, m - 1))
    point = torch.cat([w, torch.sqrt((1 - w.square()).clamp_min(1e-10)) * bearing], 1)
    mirror = F.normalize(torch.eye(m)[:1] - mu)
    return point - 2 * (point * mirror).sum(1, keepdim=True) * mirror


def ours(mu: Tensor, kappa: Tensor) -> Tensor:
    noise = Around.of(mu.shape[1], UNIFORMS).draw(RNG, len(mu))
    return VonMisesFisher(mu, kappa).at(noise)


RNG = DeviceRng(torch.Generator()).seeded(b"reparam ")


def timed(sampler: Callable[[Tensor, Tensor], Tensor], mu: Tensor, kappa: Tensor) -> tuple[float, float]:
    """Milliseconds of the draws, and of the gradient of a sum of them."""
    start = time.perf_counter()
    x = sampler(mu, kappa)
    drawn = time.perf_counter()
    torch.autograd.grad(x[:, 0].sum(), kappa)
    return (drawn - start) * 1e3, (time.perf_counter() - drawn) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=15)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for m, asked in ASKED.items():
        mu = F.normalize(torch.randn(DRAWS, m))
        kappa = torch.full((DRAWS, 1), KAPPA, requires_grad=True)
        for sampler in (ours, rejection_loop):
            timed(sampler, mu, kappa)
        pairs = []
        for i in range(arguments.pairs):
            order = (ours, rejection_loop) if i % 2 == 0 else (rejection_loop, ours)
            times = {sampler: timed(sampler, mu, kappa) for sampler in order}
            pairs.append((*times[ours], *times[rejection_loop]))
        ratios = sorted(theirs / own for own, _, theirs, _ in pairs)
        medians = [statistics.median(column) for column in zip(*pairs, strict=True)]
        rows.append(
            {
                "dimensions": m,
                "ours_ms": medians[0],
                "ours_backward_ms": medians[1],
                "loop_ms": medians[2],
                "loop_backward_ms": medians[3],
                "ratio": statistics.median(ratios),
                "ratios": [round(r, 2) for r in ratios],
                "asked": asked,
            }
        )
        print(
            f"m = {m:2}  {medians[0]:6.1f} ms, loop {medians[2]:6.1f} ms  × {rows[-1]['ratio']:.2f} "
            f"(asked {asked});  backward {medians[1]:.1f} and {medians[3]:.1f} ms",
            flush=True,
        )
    RESULTS.mkdir(exist_ok=True)
    content = {
        "figure": "vmf",
        "draws": DRAWS,
        "kappa": KAPPA,
        "threads": 1,
        "rows": rows,
        "versions": versions(),
    }
    (RESULTS / "vmf.json").write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
