"""Networks whose weights have a law of their own."""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from reparam.distributions import LOG_2PI
from reparam.nets.frozen import as_state


class Weighed(NamedTuple):
    """What a network returns, and log p of its weights, a scalar in nats."""

    law: Any
    log_prior: Tensor


class NormalWeights(nn.Module):
    """A network, and how likely its weights are: each N(0, std²)."""

    def __init__(self, network: nn.Module, std: float) -> None:
        super().__init__()
        self.network, self.std = network, std

    def forward(self, z: Tensor) -> Weighed:
        weights = torch.cat([p.flatten() for p in self.network.parameters()])
        constant = len(weights) * (math.log(self.std) + 0.5 * LOG_2PI)
        return Weighed(self.network(z), -0.5 * (weights / self.std).square().sum() - constant)

    @torch.no_grad()
    def from_prior(self) -> nn.Module:
        """A copy that does not move, its weights a draw of their prior: for a model's beginning alone."""
        made = as_state(self.network)
        for name, p in self.network.named_parameters():
            made.get_buffer(name).copy_(self.std * torch.randn(p.shape))
        return made
