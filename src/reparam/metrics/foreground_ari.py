"""Adjusted Rand index (Hubert & Arabie 1985) of segmentations, on the pixels of true objects."""

import numpy as np
import torch

from reparam.errors import ReparamError
from reparam.metrics.arrays import Array
from reparam.metrics.bootstrap import interval, mean, resampled
from reparam.metrics.measure import Measure


def adjusted_rand(table: np.ndarray) -> np.ndarray:
    """The index of contingency tables of counts (…, a, b) → (…): 1 if equal, 0 expected by chance.

    Where both partitions are one cluster, or both are single points, they agree in all: 1.
    """
    x = table.astype(np.float64)

    def pairs(counts: np.ndarray) -> np.ndarray:
        return (counts * (counts - 1) / 2).sum(-1)

    both = pairs(x.reshape(*x.shape[:-2], -1))
    a, b, all_ = pairs(x.sum(-1)), pairs(x.sum(-2)), pairs(x.sum((-2, -1))[..., None])
    expected = a * b / np.where(all_ > 0, all_, 1)
    room = (a + b) / 2 - expected
    return np.where(room > 0, (both - expected) / np.where(room > 0, room, 1), 1.0)


def foreground_ari(predicted: Array, true: Array, *, background: int = 0, seed: int = 0) -> Measure:
    """Mean over images of the adjusted Rand index on pixels whose *true* segment is not `background`.

    `true` (n, h, w) and `predicted` (n, h, w) are whole numbers of segments, `predicted` may also be masks
    (n, slots, h, w), of which each pixel takes the largest. Order and number of the predicted segments do not
    matter, and which of them is background is not asked: what the model makes of the true background does not
    count (Greff et al. 2019), so a model can be perfect here and draw its objects too large. Images without
    an object are left out; of one object alone the index is 1 if it is one segment and 0 if it is cut. The
    interval resamples images. Raises ReparamError on other shapes, or no image with an object.
    """
    p, t = torch.as_tensor(predicted).cpu(), torch.as_tensor(true).cpu()
    if p.ndim == 4 and t.ndim == 3 and p.shape[1]:
        if p.isnan().any():
            raise ReparamError("foreground_ari: predicted masks hold NaN.")
        p = p.argmax(1)
    if p.shape != t.shape or t.ndim != 3 or p.is_floating_point() or t.is_floating_point():
        raise ReparamError(
            f"foreground_ari: predicted {p.dtype} {tuple(p.shape)} and true {t.dtype} {tuple(t.shape)}; "
            "expected segments (n, h, w) as whole numbers, or predicted masks (n, slots, h, w)."
        )
    values = [
        float(adjusted_rand(contingency(a[b != background], b[b != background])))
        for a, b in zip(p.long().numpy(), t.long().numpy(), strict=True)
        if (b != background).any()
    ]
    if not values:
        raise ReparamError(f"foreground_ari: none of {len(t)} images has a true segment but background.")
    how = (
        f"Adjusted Rand index on pixels of true objects (segment {background} is background), mean of "
        f"{len(values)} images of {len(t)} that have one; {resampled(seed)}."
    )
    low, high = interval(mean, np.array(values), seed=seed)
    return Measure(float(np.mean(values)), low, high, len(values), "index", "higher", how)


def contingency(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Counts of every pair of segments of two labellings (m,): (segments of a, segments of b)."""
    (names_a, of_a), (names_b, of_b) = (np.unique(x, return_inverse=True) for x in (a, b))
    size = (len(names_a), len(names_b))
    return np.bincount(of_a * size[1] + of_b, minlength=size[0] * size[1]).reshape(size)
