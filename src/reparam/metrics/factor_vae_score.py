"""FactorVAE score: which dimension stays still when one factor is held? Kim & Mnih 2018, section 4."""

import numpy as np
import torch

from reparam.metrics.arrays import Array
from reparam.metrics.bootstrap import resampled, share
from reparam.metrics.factors import Factors, alike, beside
from reparam.metrics.measure import Measure

CHUNK = 500  # votes whose examples are held at once


def factor_vae_score(
    codes: Array,
    factors: Factors,
    *,
    votes: tuple[int, int] = (10_000, 5_000),
    batch: int = 64,
    least_std: float = 0.05,
    seed: int = 0,
) -> Measure:
    """Accuracy of a majority vote: codes (n, d), factors (n,) each; numbers of Locatello et al. 2019.

    For each vote a factor is drawn and held at the value of a random example; of `batch` examples with that
    value (drawn with replacement from those given) the dimension of least variance, relative to its variance
    over all, votes for the factor. Each dimension stands for the factor most of its training votes are for;
    the score is the share of the other votes that agree. Dimensions with a standard deviation below
    `least_std` do not take part; without any the score is 0. Chance is about 1 / number of factors. The
    interval is over votes, so over the draws, not the examples. Raises ReparamError on other shapes, fewer
    than 2 dimensions or 2 varying factors.
    """
    x, known = beside(codes, factors)
    rng = np.random.default_rng(seed)
    spread = x.std(0, ddof=1)
    active = np.flatnonzero(spread >= least_std)
    how = (
        f"Share of {votes[1]} votes for the right factor after {votes[0]} training votes, {batch} examples "
        f"each, {len(x)} codes, {len(active)} of {x.shape[1]} dimensions with a deviation of at least "
        f"{least_std:g}, factors {', '.join(known)}; {resampled(seed)} of votes."
    )
    if len(active) == 0:
        return Measure(0.0, 0.0, 0.0, len(x), "share", "higher", how)
    scaled = x[:, active] / spread[active]
    held = rng.integers(len(known), size=sum(votes))
    stillest = np.zeros(len(held), np.int64)
    for j, values in enumerate(known.values()):
        mine = np.flatnonzero(held == j)
        for part in np.split(mine, range(CHUNK, len(mine), CHUNK)):
            rows = np.repeat(rng.integers(len(x), size=len(part))[:, None], batch, axis=1)
            stillest[part] = scaled[alike(values, rows, rng)].var(1).argmin(1)
    table = np.zeros((len(active), len(known)))
    np.add.at(table, (stillest[: votes[0]], held[: votes[0]]), 1)
    right = torch.from_numpy(table.argmax(1)[stillest[votes[0] :]] == held[votes[0] :]).double()
    return Measure(right.mean().item(), *share(right, seed=seed), len(x), "share", "higher", how)
