"""Networks whose weights have a law of their own."""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call

from reparam.distributions import LOG_2PI
from reparam.nets.frozen import as_state


class Weighed(NamedTuple):
    """What a network returns, and log p of its weights, a scalar in nats."""

    law: Any
    log_prior: Tensor


class NormalWeights(nn.Module):
    """A network, and how likely its weights are: each N(0, std² / inputs of its unit), biases N(0, std²).

    So scaled, what a layer gives has about one variance whatever its width; Neal 1996, Bayesian Learning for
    Neural Networks, §2.1. What moves is each weight in units of its standard deviation: one step suits all.
    """

    def __init__(self, network: nn.Module, std: float) -> None:
        super().__init__()
        self.network = network
        self.stds = {
            name: std / math.sqrt(p[0].numel() if p.dim() > 1 else 1)
            for name, p in network.named_parameters()
        }
        for name, p in network.named_parameters():
            p.data /= self.stds[name]

    def forward(self, z: Tensor) -> Weighed:
        units = torch.cat([p.flatten() for p in self.network.parameters()])
        log_prior = -0.5 * (units.square() + LOG_2PI).sum()
        return Weighed(functional_call(self.network, self.weights(), (z,)), log_prior)

    def weights(self) -> dict[str, Tensor]:
        """The network's weights themselves, by name."""
        return {name: self.stds[name] * p for name, p in self.network.named_parameters()}

    @torch.no_grad()
    def from_prior(self) -> nn.Module:
        """A copy that does not move, its weights a draw of their prior: for a model's beginning alone."""
        made = as_state(self.network)
        for name, std in self.stds.items():
            drawn = made.get_buffer(name)
            drawn.copy_(std * torch.randn(drawn.shape))
        return made
