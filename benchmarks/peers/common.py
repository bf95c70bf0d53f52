"""What both sides are given, and what they give back."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import Tensor

LATENT, HIDDEN, BATCH = 16, 512, 100
SHAPE = (1, 28, 28)
DRAWS, PENALTY, BETA, GAMMA = 5, 200.0, 6.0, 10.0  # of IWAE, WAE-MMD, β-TC-VAE and FactorVAE, on both sides
ENTRIES, CHANNELS = 512, 16  # of the VQ-VAE's codebook

Setting = Literal["as it ships", "equal optimisers", "ours in bf16"]


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
    sample: Callable[[int], Tensor] | None
    reconstruct: Callable[[Tensor], Tensor]


def grid_encoder() -> torch.nn.Module:
    """(n, 1, 28, 28) → (n, CHANNELS, 7, 7)."""
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 32, 4, 2, 1),
        torch.nn.ReLU(),
        torch.nn.Conv2d(32, 64, 4, 2, 1),
        torch.nn.ReLU(),
        torch.nn.Conv2d(64, CHANNELS, 1),
    )


def grid_decoder() -> torch.nn.Module:
    """(n, CHANNELS, 7, 7) → (n, 1, 28, 28), linear at the end."""
    return torch.nn.Sequential(
        torch.nn.Conv2d(CHANNELS, 64, 3, 1, 1),
        torch.nn.ReLU(),
        torch.nn.ConvTranspose2d(64, 32, 4, 2, 1),
        torch.nn.ReLU(),
        torch.nn.ConvTranspose2d(32, 1, 4, 2, 1),
    )


def weighed(*players: torch.nn.Module) -> tuple[int, float]:
    """The number of the players' weights, and the sum of their absolute values."""
    weights = [p.detach() for player in players for p in player.parameters()]
    return sum(p.numel() for p in weights), sum(p.double().abs().sum().item() for p in weights)
