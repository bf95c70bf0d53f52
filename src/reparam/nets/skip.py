"""Networks that are told the code at every layer."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from reparam.noise import Shape


class SkipGenerator(nn.Module):
    """(n, latent) → (n, *shape), linear at the end; every layer sees the code beside the layer before.

    So no layer can lose what the code says. Dieng et al. 2019, Avoiding Latent Variable Collapse with
    Generative Skip Models, arXiv:1807.04863.
    """

    def __init__(self, latent: int, shape: Shape, hidden: Sequence[int]) -> None:
        super().__init__()
        self.shape = shape
        sizes = [0, *hidden]
        self.layers = nn.ModuleList(nn.Linear(before + latent, after) for before, after in pairwise(sizes))
        self.out = nn.Linear(hidden[-1] + latent, math.prod(shape))

    def forward(self, z: Tensor) -> Tensor:
        h = z[:, :0]
        for layer in self.layers:
            h = torch.relu(layer(torch.cat([h, z], 1)))
        return self.out(torch.cat([h, z], 1)).unflatten(1, self.shape)
