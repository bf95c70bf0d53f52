"""What both sides are given, and what they give back."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import Tensor

LATENT, HIDDEN, BATCH = 16, 512, 100
SHAPE = (1, 28, 28)

Setting = Literal["as it ships", "equal optimisers"]


class Job(NamedTuple):
    """One training. digits is an .npz that holds x_train, x_validation and x_test (n, 1, 28, 28), bytes."""

    model: str
    setting: Setting
    seed: int
    epochs: int
    digits: Path
    folder: Path


class Trained(NamedTuple):
    """Seconds that the training call took, and the model after its last step.

    parameters and checksum are of the weights before the first step: both sides must start alike.
    """

    seconds: float
    parameters: int
    checksum: float
    sample: Callable[[int], Tensor]
    reconstruct: Callable[[Tensor], Tensor]


def weighed(*players: torch.nn.Module) -> tuple[int, float]:
    """The number of the players' weights, and the sum of their absolute values."""
    weights = [p.detach() for player in players for p in player.parameters()]
    return sum(p.numel() for p in weights), sum(p.double().abs().sum().item() for p in weights)
