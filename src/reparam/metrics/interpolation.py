"""How well a walk between codes stays among the data: the lines benchmark (Berthelot et al. 2019, §3.2)."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from reparam.data.lines import draw
from reparam.errors import ReparamError
from reparam.metrics.arrays import Array, images
from reparam.metrics.bootstrap import interval, mean, resampled
from reparam.metrics.measure import Measure

REFERENCES = 10_000


def on_lines(walks: Array, *, seed: int = 0) -> dict[str, Measure]:
    """Mean distance and smoothness of walks (n, steps, 1, 32, 32) between pictures of `lines`.

    distance: cosine distance of each picture to the nearest of 10,000 lines of every angle; 0 for a line.
    smoothness: the largest step of the nearest lines' angle along a walk, as a share of the whole turn, less
    the share of an even step; 0 for a steady turn. Walks whose ends have the same nearest line have none and
    are left out of its mean (the authors' code leaves them out of the sum and not of the count).

    Raises ReparamError on other shapes, fewer than 3 steps, or if no walk turns at all.
    """
    x = torch.as_tensor(walks)
    if x.dim() != 5 or x.shape[1] < 3:
        raise ReparamError(f"on_lines: expected walks (n, steps ≥ 3, 1, 32, 32), got {tuple(x.shape)}.")
    n, steps = x.shape[:2]
    nearest, angle = _nearest(images(x.flatten(0, 1), "walks"))
    turn = np.unwrap(angle.numpy().reshape(n, steps))
    whole = np.abs(turn[:, -1] - turn[:, 0])
    turning = whole > 1e-4
    if not turning.any():
        raise ReparamError("on_lines: no walk turns: the ends of each have the same nearest line.")
    shares = np.abs(np.diff(turn[turning])) / whole[turning, None]
    uneven = shares.max(1) - 1 / (steps - 1)
    distance = nearest.view(n, steps).mean(1)
    how = f"{{}} over {{}} walks of {steps} pictures, {REFERENCES:,} reference lines; {resampled(seed)}."
    return {
        "distance": Measure(
            distance.mean().item(),
            *interval(mean, distance, seed=seed),
            n,
            "cosine distance",
            "lower",
            how.format("Mean distance to the nearest line", n),
        ),
        "smoothness": Measure(
            float(uneven.mean()),
            *interval(mean, uneven, seed=seed),
            len(uneven),
            "share of the turn",
            "lower",
            how.format("Largest step less an even one", len(uneven)),
        ),
    }


def _nearest(x: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine distance to the nearest line, and that line's angle: (n, 1, 32, 32) → (n,), (n,)."""
    angles = np.linspace(0, 2 * np.pi, REFERENCES, endpoint=False)
    references = F.normalize(torch.from_numpy(draw(angles)).flatten(1).float(), dim=1)
    found = [(F.normalize(part.flatten(1).float(), dim=1) @ references.T).max(1) for part in x.split(512)]
    likeness = torch.cat([f.values for f in found]).double()
    return 1 - likeness, torch.from_numpy(angles)[torch.cat([f.indices for f in found])]
