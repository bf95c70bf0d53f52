"""Use of a codebook over an epoch: share of entries used, and perplexity."""

import math

import torch
from torch import Tensor

from reparam.errors import ReparamError
from reparam.metrics.arrays import Array
from reparam.metrics.bootstrap import recentred, resampled, weights
from reparam.metrics.measure import Measure

TIMES = 200  # resamples; each counts all indices anew


def perplexity(counts: Tensor) -> Tensor:
    """exp of the entropy of histograms (…, size): 1 for one entry used, `size` for all used alike."""
    p = counts / counts.sum(-1, keepdim=True)
    return torch.special.entr(p).sum(-1).exp()


def codebook(indices: Array, size: int, *, seed: int = 0) -> dict[str, Measure]:
    """Entries used and perplexity of indices (n, …), whole numbers 0 … size − 1, of n examples.

    Give the indices of a whole epoch: the perplexity of a batch, as logged in training, cannot exceed the
    number of indices in it, and its mean over batches is below the epoch's. The count is exact for these
    examples; the interval of the perplexity resamples examples, not indices, for those of one are
    dependent. Raises ReparamError on other values.
    """
    x = torch.as_tensor(indices).cpu()
    if x.is_floating_point() or x.ndim < 1 or x.numel() == 0 or min(x.min(), size - 1 - x.max()) < 0:
        raise ReparamError(
            f"codebook: indices of type {x.dtype} and shape {tuple(x.shape)}; expected whole numbers "
            f"0 … {size - 1} of at least one example."
        )
    x = x.long().flatten(1) if x.ndim > 1 else x.long()[:, None]
    flat, each = x.flatten(), x.shape[1]
    counts = torch.bincount(flat, minlength=size).double()
    redrawn = [
        perplexity(torch.bincount(flat, weights=w.repeat_interleave(each), minlength=size)).item()
        for w in weights(len(x), seed=seed, times=TIMES)
    ]
    value = perplexity(counts).item()
    used = float((counts > 0).sum()) / size
    how = f"{{}} of {size} entries over {len(x)} examples of {each} indices each"
    return {
        "codebook_used": Measure(
            used, used, used, len(x), "share", "higher", how.format("Share used") + ", an exact count."
        ),
        "codebook_perplexity": Measure(
            value,
            *recentred(torch.tensor(redrawn), value, 1, size),
            len(x),
            "entries",
            "higher",
            how.format("Perplexity, exp of the entropy of use,")
            + f" (uniform use: {size}; log: {math.log(value):.3g} nats); "
            f"{resampled(seed, TIMES)}.",
        ),
    }
