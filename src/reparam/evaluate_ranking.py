"""Recommendation: held-out items among those that a system would list, given the items that are shown.

Of data that keep ratings: the error of the ratings held out.
"""

import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from reparam.data import Bags, Data, Split
from reparam.errors import ReparamError
from reparam.evaluate import MOST, PROBE, Records, conditions, missing, taken
from reparam.metrics.measure import Measure
from reparam.metrics.ranking import ranking
from reparam.metrics.rating_error import rating_error
from reparam.report.schema import Conditions, HeldOut
from reparam.system import CHUNK, System

KS = (20, 50, 100)
KEYS = ("ndcg@100", "recall@20", "recall@50", "map@100", "coverage@100")


class RankingYardstick:
    """Users of whom a part of the items is shown, and the rest is held out; of `Yardstick`'s form."""

    def __init__(self, data: Data, *, split: HeldOut = "test", n: int = MOST, seed: int = 0) -> None:
        self.data, self.seed, self.part = data, seed, getattr(data, split)
        self.rated = data.levels == "ratings"
        self.probed = f"{'rmse' if self.rated else 'ndcg@100'} of validation"
        self.split: HeldOut = split
        self.held_out = self.goal = self.part.x[:n]
        self.labels = None

    def conditions(self, device: torch.device) -> Conditions:
        """What holds for every measure taken with this yardstick."""
        return conditions(self.data, self.split, len(self.held_out), self.seed, device, {})

    def made(self, system: System, x: Tensor) -> None:
        """Nothing that could be compared with data: lists are measured."""

    def probe(self, system: System) -> float:
        """RMSE or NDCG@100 of validation users; not a number of a catalogue too small for it."""
        training = system.model.training
        system.model.eval()
        if self.rated:
            value = rating_errors(system, self.data, self.data.validation, PROBE, self.seed)["rmse"].value
        else:
            found = rankings(system, self.data.validation, PROBE, self.seed)
            value = found["ndcg@100"].value if "ndcg@100" in found else math.nan
        system.model.train(training)
        return value

    def annealed(self, system: System) -> Records:
        """Refused: a partly regularised objective bounds no likelihood."""
        return missing(f"{system.name} ranks items, and is not annealed here.", "annealed")

    def measure(self, system: System, probes: Sequence[float] = ()) -> Records:
        """Every measure of the lists that the system makes, or of its ratings."""
        n = len(self.held_out)
        if self.rated:
            take = partial(rating_errors, system, self.data, self.part, n, self.seed)
            return taken(take, "rmse", "mae", sampling="posterior mean")
        return taken(lambda: rankings(system, self.part, n, self.seed), *KEYS, sampling="posterior mean")


def rankings(system: System, split: Split, n: int, seed: int) -> dict[str, Measure]:
    """The measures of `metrics.ranking`, over the first n users of a split.

    Raises ReparamError for a system that ranks nothing, and where no user has anything held out.
    """
    shown, held_out = _halves(split, n)
    ks = [k for k in KS if k <= shown.catalogue]
    if not ks:
        raise ReparamError(f"of {shown.catalogue} items no list of {KS[0]} can be made.")

    def blocks() -> Iterator[Tensor]:
        for start in range(0, len(shown), CHUNK):  # one block of scores (users, items) at a time
            yield system.rank(shown[start : start + CHUNK]).cpu()

    return ranking(blocks(), _csr(held_out), _csr(shown), ks=ks, seed=seed)


def rating_errors(system: System, data: Data, split: Split, n: int, seed: int) -> dict[str, Measure]:
    """The measures of `metrics.rating_error` in the data's units, over the first n users of a split.

    Raises ReparamError for a system that ranks nothing, and where no user has anything held out.
    """
    shown, held_out = _halves(split, n)
    predicted = []
    for start in range(0, len(shown), CHUNK):  # one block of ratings (users, items) at a time
        asked = held_out[start : start + CHUNK]
        ratings = system.rank(shown[start : start + CHUNK]).cpu()
        predicted.append(ratings[asked.rows.cpu(), asked.items.long().cpu()])
    made, given = data.destandardise(torch.cat(predicted)), data.destandardise(held_out.each().cpu())
    return rating_error(made, given, held_out.rows.cpu(), seed=seed)


def _halves(split: Split, n: int) -> tuple[Any, Bags]:
    """What is shown of the first n users, and what is held out."""
    if split.held_out is None:
        raise ReparamError("nothing is held out of the training split: measure on validation or test.")
    return split.x[:n], split.held_out[:n]


def _csr(bags: Bags) -> tuple[Any, Any]:
    return bags.offsets.cpu().numpy(), bags.items.cpu().numpy()
