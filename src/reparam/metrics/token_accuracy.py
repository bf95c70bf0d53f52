"""Token accuracy: share of tokens that come back, padding left out."""

import torch

from reparam.errors import ReparamError
from reparam.metrics.arrays import Array
from reparam.metrics.bootstrap import pooled, resampled, share
from reparam.metrics.measure import Measure


def token_accuracy(predicted: Array, target: Array, *, padding: int | None, seed: int = 0) -> Measure:
    """Share of places where `predicted` (n, t) equals `target` (n, t), whole numbers both.

    Places whose *target* is `padding` do not count: a model that stops early still misses them otherwise, and
    padding that comes back is no merit. None: every place counts. The interval resamples sentences. Raises
    ReparamError on other shapes, logits in place of tokens, or targets that are all padding.
    """
    p, t = torch.as_tensor(predicted).cpu(), torch.as_tensor(target).cpu()
    if p.shape != t.shape or t.ndim != 2 or not len(t) or p.is_floating_point() or t.is_floating_point():
        raise ReparamError(
            f"token_accuracy: predicted {p.dtype} {tuple(p.shape)} and target {t.dtype} {tuple(t.shape)}; "
            "expected whole numbers of one shape (n, t); of logits take the argmax first."
        )
    counted = torch.ones_like(t, dtype=torch.bool) if padding is None else t != padding
    if not counted.any():
        raise ReparamError(f"token_accuracy: every target is padding ({padding}).")
    right, counts = ((p == t) & counted).sum(1).double(), counted.sum(1).double()
    right, counts = right[counts > 0], counts[counts > 0]
    value = (right.sum() / counts.sum()).item()
    low, high = (
        share((right == counts).double(), seed=seed) if value in (0, 1) else pooled(right, counts, seed=seed)
    )
    how = (
        f"Share of {int(counts.sum())} tokens of {len(counts)} sentences that are the target's, "
        f"{'every place counted' if padding is None else f'places of padding ({padding}) left out'}; "
        f"{resampled(seed)}."
    )
    return Measure(value, low, high, len(counts), "share", "higher", how)
