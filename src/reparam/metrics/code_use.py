"""Does the decoder listen to the code? Its error with the example's own code against another's."""

import torch

from reparam.errors import ReparamError
from reparam.metrics.arrays import Array, vector
from reparam.metrics.bootstrap import percentiles, resampled, weights
from reparam.metrics.measure import Measure


def code_use(own: Array, other: Array, *, of: str = "error", seed: int = 0) -> Measure:
    """1 − mean error with own codes over mean error with codes of other examples: (n,) twice, not negative.

    0: the decoder ignores its code, and decodes the same whatever it is. 1: perfect with its own code. Pairs
    are resampled together. Raises ReparamError on other shapes, negative errors, or others all without error.
    """
    a, b = vector(own, "errors with own codes"), vector(other, "errors with other codes")
    if a.shape != b.shape or min(a.min(), b.min()) < 0 or b.sum() == 0:
        raise ReparamError(
            f"code_use: {len(a)} errors with own codes and {len(b)} with others; expected as many, none "
            "negative, and some error with the codes of others."
        )
    w = weights(len(a), seed=seed)
    # A resample of others without any error has no ratio: a handful of examples can give one.
    draws = 1 - (w @ a) / (w @ b).clamp_min(torch.finfo(torch.float64).tiny)
    how = (
        f"1 − mean {of} with own codes over that with codes of other examples, {len(a)} examples; 0 where "
        f"the decoder ignores the code; {resampled(seed)}."
    )
    return Measure(
        1 - (a.mean() / b.mean()).item(), *percentiles(draws.numpy()), len(a), "share", "higher", how
    )
