"""How well known numbers, hidden, are filled in again."""

import torch
from torch import Tensor

from reparam.errors import ReparamError
from reparam.metrics.bootstrap import interval, mean, resampled
from reparam.metrics.measure import Measure

SHARE = 0.2  # of the known numbers


def hidden(x: Tensor, *, share: float = SHARE, seed: int = 0) -> Tensor:
    """Where known numbers of x (n, d), NaN where missing, are to be hidden, (n, d); one of each row stays.

    Raises ReparamError for a share outside (0, 1).
    """
    if not 0 < share < 1:
        raise ReparamError(f"imputation: the share to hide is {share}; give a number between 0 and 1.")
    u = torch.rand(x.shape, generator=torch.Generator().manual_seed(seed))
    known = ~torch.isnan(x)
    stays = torch.where(known, u, -1).argmax(1, keepdim=True)
    return (known & (u < share)).scatter(1, stays, False)


def imputation(x: Tensor, made: Tensor, where: Tensor, *, how: str, seed: int = 0) -> Measure:
    """The mean square error of what was hidden `where` of x, (n, d), and `made` again.

    The mean over rows of their means. On standardised data the columns' means are wrong by about 1.
    Raises ReparamError where nothing was hidden.
    """
    rows = where.any(1)
    if not bool(rows.any()):
        raise ReparamError("imputation: no known number was hidden; take more rows, or a larger share.")
    square = torch.where(where, (x - made).square(), 0).double().sum(1)[rows] / where.sum(1)[rows]
    how = (
        f"{int(where.sum())} known numbers of {len(square)} rows hidden at random, and filled in {how}; "
        f"{resampled(seed)}."
    )
    low, high = interval(mean, square, seed=seed)
    return Measure(square.mean().item(), low, high, len(square), "squared units", "lower", how)
