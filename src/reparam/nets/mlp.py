"""Fully connected networks."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import nn

from reparam.noise import Shape

Activation = Callable[[], nn.Module]


def mlp(sizes: Sequence[int], activation: Activation = nn.ReLU) -> nn.Sequential:
    """Linear layers of the given sizes, each followed by the activation: (n, sizes[0]) → (n, sizes[-1])."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), activation()]
    return nn.Sequential(*layers)


class MLPBody(nn.Sequential):
    """(n, *shape) → (n, features), raw before the last activation."""

    def __init__(
        self, shape: Shape, hidden: Sequence[int], activation: Activation = nn.ReLU, *, raw: bool = False
    ) -> None:
        layers = list(mlp([math.prod(shape), *hidden], activation))
        super().__init__(nn.Flatten(1), *(layers[:-1] if raw else layers))
        self.features = hidden[-1]


class MLPGenerator(nn.Sequential):
    """(n, latent) → (n, *shape), linear at the end."""

    def __init__(
        self, latent: int, shape: Shape, hidden: Sequence[int], activation: Activation = nn.ReLU
    ) -> None:
        out = nn.Linear(hidden[-1], math.prod(shape))
        super().__init__(*mlp([latent, *hidden], activation), out, nn.Unflatten(1, shape))
