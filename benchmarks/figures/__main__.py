"""The figures that the models must reach, on real data: `python benchmarks/figures [NAME …]`.

A file a figure: `figure()` trains in `.bench/…` (and goes on there if it was stopped), measures, and
writes `benchmarks/results/NAME.json`; `words(content)` are its rows of the README. The test set is for
the last measurement alone; where it was seen before a choice (the ring), the README says so.
"""

import sys
from importlib import import_module
from pathlib import Path

import torch

FIGURES = sorted(
    path.stem.replace("_", "-")
    for path in Path(__file__).parent.glob("*.py")
    if path.stem not in ("__main__", "common")
)

if __name__ == "__main__":
    torch.set_num_threads(1)
    if strange := set(sys.argv[1:]) - set(FIGURES):
        sys.exit(f"no figure {', '.join(sorted(strange))}; there are {', '.join(FIGURES)}")
    for name in sys.argv[1:] or FIGURES:
        import_module(name.replace("-", "_")).figure()
