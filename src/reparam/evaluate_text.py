"""Measures a trained system of text on held-out lines: how faithful, diverse, likely; what is copied."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from reparam import evaluate_likelihood
from reparam.data import Data, Split
from reparam.data.text import PAD, SPECIALS, UNKNOWN
from reparam.errors import ReparamError
from reparam.evaluate import (
    DRAWS,
    LEAST,
    LIKELIHOOD_OF,
    MOST,
    Records,
    conditions,
    examples,
    in_order,
    likely,
    missing,
    taken,
)
from reparam.evaluate_codes import measures_of_codes
from reparam.metrics.copied import copied, plain
from reparam.metrics.distinct import distinct
from reparam.metrics.measure import Measure
from reparam.metrics.perplexity import perplexity
from reparam.metrics.token_accuracy import token_accuracy
from reparam.report.schema import Conditions, HeldOut, Sampling
from reparam.system import System


class TextYardstick:
    """Held-out lines, made once for all the systems that are compared; of `Yardstick`'s form.

    Raises ReparamError if there are too few lines.
    """

    probed = "nothing"

    def __init__(self, data: Data, *, split: HeldOut = "test", n: int = MOST, seed: int = 0) -> None:
        part: Split = getattr(data, split)
        if min(n, part.n) < LEAST:
            raise ReparamError(
                f"{min(n, part.n)} lines of the {split} split of {data.name} are too few to measure with."
            )
        self.data, self.seed = data, seed
        self.split: HeldOut = split
        self.held_out = self.goal = examples(data, part, n)
        self.labels = None if part.y is None else part.y[:n]
        self.train = examples(data, data.train, 3 * MOST)
        self._lines: list[str] | None = None

    def conditions(self, device: torch.device) -> Conditions:
        """What holds for every measure taken with this yardstick."""
        return conditions(self.data, self.split, len(self.held_out), self.seed, device, {})

    def made(self, system: System, x: Tensor) -> tuple[Tensor, Sampling] | None:
        """What a system writes, as many lines as x (n, length) has; None if nothing."""
        return (system.sample(len(x), self.seed).cpu(), "prior draws") if system.can("sample") else None

    def probe(self, system: System) -> float:
        """Not a number: no measure of a few lines is worth repeating along a run."""
        return math.nan

    def annealed(self, system: System) -> Records:
        """Refused: words are no place for a Hamiltonian walk through decoders of thousands of categories."""
        return missing(f"{system.name} is of text, which is not annealed here.", "annealed")

    def measure(self, system: System, probes: Sequence[float] = ()) -> Records:
        """Every measure that the system and the data allow."""
        found = self._faithful(system) | self._likelihood(system)
        for keys, sampling, take in measures_of_codes(
            system, self.data, self.train, self.held_out, split=self.split, seed=self.seed
        ):
            found |= taken(take, *keys, sampling=sampling)
        if made := self.made(system, self.held_out):
            found |= self._written(*made)
        else:
            found |= missing(f"{system.name} writes no text.", "distinct")
        return in_order(found)

    def _faithful(self, system: System) -> Records:
        if not (system.can("encode") and system.can("decode")):
            return missing(f"{system.name} has no encoder, so it cannot reconstruct.", "token_accuracy")
        made = system.reconstruct(self.held_out).cpu()
        return taken(
            lambda: token_accuracy(made, self.held_out, padding=PAD, seed=self.seed),
            "token_accuracy",
            sampling="posterior mean",
        )

    def _likelihood(self, system: System) -> Records:
        found = likely(system, self.held_out, self.seed)
        if not system.can("log_weights"):
            return found
        x = self.held_out[:LIKELIHOOD_OF]

        def per_token() -> Measure:
            bounds = evaluate_likelihood.bounds(system, x, DRAWS, self.seed)
            return perplexity(bounds, (x != PAD).sum(1), draws=DRAWS, end=False, seed=self.seed)

        return found | taken(per_token, "perplexity", sampling="posterior sample", importance_samples=DRAWS)

    def _written(self, samples: Tensor, sampling: Sampling) -> Records:
        tokens = [[i for i in row if i >= len(SPECIALS)] for row in samples.tolist()]
        found = taken(lambda: distinct(tokens, n=2, seed=self.seed), "distinct", sampling=sampling)
        whole = samples[(samples != UNKNOWN).all(1)]  # two unknowns need not be one word
        lines = [line for line in self.data.text(whole) if plain(line)]
        if self._lines is None:
            self._lines = self.data.text(self.data.train.x)
        theirs = self._lines
        return found | taken(lambda: copied(lines, theirs, seed=self.seed), "copied", sampling=sampling)
