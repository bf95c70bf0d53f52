"""Fully connected networks."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

from torch import nn

from reparam.nets.conv import Norm, biased
from reparam.noise import Shape

Activation = Callable[[], nn.Module]


def mlp(sizes: Sequence[int], activation: Activation = nn.ReLU, norm: Norm | None = None) -> nn.Sequential:
    """Linear layers of the given sizes, each normalised, where norm is given, and followed by the activation.

    (n, sizes[0]) → (n, sizes[-1]).
    """
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers.append(nn.Linear(inputs, outputs, bias=biased(norm)))
        layers += [norm(outputs), activation()] if norm else [activation()]
    return nn.Sequential(*layers)


class MLPBody(nn.Sequential):
    """(n, *shape) → (n, features), raw before the last activation; no norm in the first layer."""

    def __init__(
        self,
        shape: Shape,
        hidden: Sequence[int],
        activation: Activation = nn.ReLU,
        *,
        norm: Norm | None = None,
        raw: bool = False,
    ) -> None:
        layers = [*mlp([math.prod(shape), hidden[0]], activation), *mlp(hidden, activation, norm)]
        super().__init__(nn.Flatten(1), *(layers[:-1] if raw else layers))
        self.features = hidden[-1]


class MLPGenerator(nn.Sequential):
    """(n, latent) → (n, *shape), linear at the end."""

    def __init__(
        self,
        latent: int,
        shape: Shape,
        hidden: Sequence[int],
        activation: Activation = nn.ReLU,
        *,
        norm: Norm | None = None,
    ) -> None:
        out = nn.Linear(hidden[-1], math.prod(shape))
        super().__init__(*mlp([latent, *hidden], activation, norm), out, nn.Unflatten(1, shape))
