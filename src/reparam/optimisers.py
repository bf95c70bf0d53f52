"""How a move changes its players: specifications of optimisers, JSON-able, made into torch's."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from reparam.schedules import Weight, at


@dataclass(frozen=True)
class Optimiser:
    """A rule and its learning rate, a number or a schedule of the step."""

    lr: Weight
    sources: ClassVar[tuple[str, ...]] = ()  # of randomness

    def make(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """torch's optimiser over these parameters."""
        raise NotImplementedError


@dataclass(frozen=True)
class Adam(Optimiser):
    """Kingma & Ba 2015; decoupled weight decay where it is not zero."""

    lr: Weight = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0

    def make(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        # The fused step is a third faster on small networks; the decoupled form equals Adam at decay 0.
        return torch.optim.AdamW(
            parameters, at(self.lr, 0), self.betas, self.eps, self.weight_decay, fused=True
        )


@dataclass(frozen=True)
class SGD(Optimiser):
    """Stochastic gradient descent with momentum."""

    lr: Weight = 1e-2
    momentum: float = 0.0

    def make(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.SGD(parameters, at(self.lr, 0), self.momentum)


@dataclass(frozen=True)
class RMSprop(Optimiser):
    """Hinton's running mean of squares."""

    lr: Weight = 1e-3
    decay: float = 0.99

    def make(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        return torch.optim.RMSprop(parameters, at(self.lr, 0), self.decay)
