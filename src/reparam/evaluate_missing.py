"""Measures a trained system on held-out data with holes: how likely, and how well filled in, the known is."""

from collections.abc import Sequence

import torch
from torch import Tensor

from reparam.data import Data, Split
from reparam.evaluate import MOST, PROBE, Records, conditions, examples, in_order, likely, taken
from reparam.evaluate import annealed as anneal
from reparam.metrics.imputation import hidden, imputation
from reparam.metrics.measure import Measure
from reparam.report.schema import Conditions, HeldOut
from reparam.system import System

WEIGHED = 500  # draws of the code behind an imputation


class MissingYardstick:
    """Rows of which some numbers are missing; of `Yardstick`'s form."""

    probed = "bound on log p of what is known of validation"

    def __init__(self, data: Data, *, split: HeldOut = "test", n: int = MOST, seed: int = 0) -> None:
        part: Split = getattr(data, split)
        self.data, self.seed = data, seed
        self.split: HeldOut = split
        self.held_out = self.goal = examples(data, part, n)
        self.labels = None if part.y is None else part.y[:n]
        self._watched = examples(data, data.validation, PROBE)

    def conditions(self, device: torch.device) -> Conditions:
        """What holds for every measure taken with this yardstick."""
        return conditions(self.data, self.split, len(self.held_out), self.seed, device, {})

    def made(self, system: System, x: Tensor) -> None:
        """Nothing that could be compared with data whose numbers are not all known."""

    def probe(self, system: System) -> float:
        """The mean score of validation examples."""
        training = system.model.training
        system.model.eval()
        found = system.score(self._watched, self.seed).mean().item()
        system.model.train(training)
        return found

    def annealed(self, system: System) -> Records:
        """As of other data: of what is known."""
        return anneal(system, self.held_out, self.seed)

    def measure(self, system: System, probes: Sequence[float] = ()) -> Records:
        """The bounds on log p of what is known, and the error of what is hidden and imputed."""
        error = taken(lambda: self._imputed(system), "imputation", sampling="posterior sample")
        return in_order(error | likely(system, self.held_out, self.seed))

    def _imputed(self, system: System) -> Measure:
        x = self.held_out
        where = hidden(x, seed=self.seed)
        made = system.impute(torch.where(where, torch.nan, x), draws=WEIGHED, seed=self.seed).cpu()
        how = f"by their expectation, {WEIGHED} weighed draws of the code"
        return imputation(x, made, where, how=how, seed=self.seed)
