"""What makes a gradient noisy: which examples are in the batch, and what is drawn for them."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from reparam.errors import ReparamError


class Parts(NamedTuple):
    """Squared length of the mean gradient; variances, summed over parameters, by batches and by draws."""

    signal: float
    of_batches: float
    of_draws: float

    @property
    def share_of_draws(self) -> float:
        """Of one step's variance, the part that other draws for the same batch would change."""
        noise = self.of_batches + self.of_draws
        return self.of_draws / noise if noise > 0 else 0.0

    def ratio(self, draws: int = 1) -> float:
        """Signal to noise of a step whose gradient is the mean over so many draws an example."""
        noise = self.of_batches + self.of_draws / draws
        return math.sqrt(self.signal / noise) if noise > 0 else math.inf


class GradientNoise:
    """A one-way analysis of variance: `add` the gradients of one batch by several draws, again and again."""

    def __init__(self) -> None:
        self.means: list[Tensor] = []
        self.within: list[Tensor] = []

    def add(self, gradients: Tensor) -> None:
        """Gradients (draws, parameters) of one batch, by as many draws each time, at least 2."""
        if gradients.dim() != 2 or len(gradients) < 2:
            raise ReparamError(
                f"gradient noise: expected gradients (draws, parameters) by at least 2 draws, got "
                f"{tuple(gradients.shape)}."
            )
        self.draws = len(gradients)
        self.means.append(gradients.mean(0))
        self.within.append((gradients - self.means[-1]).double().square().sum() / (self.draws - 1))

    def parts(self) -> Parts:
        """Unbiased, but for what would be negative, which is 0. Raises ReparamError below 2 batches."""
        if (batches := len(self.means)) < 2:
            raise ReparamError(f"gradient noise: {batches} batches; a variance needs at least 2.")
        means = torch.stack(self.means)
        mean, of_draws = means.mean(0), float(torch.stack(self.within).mean())
        spread = float((means - mean).double().square().sum()) / (batches - 1)
        # A batch's mean still varies by its draws, and the mean of all by both.
        signal = float(mean.double().square().sum()) - spread / batches
        return Parts(max(signal, 0.0), max(spread - of_draws / self.draws, 0.0), of_draws)
