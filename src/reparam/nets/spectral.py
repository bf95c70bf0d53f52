"""Linear maps that stretch nothing."""

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize


class Spectral(nn.Module):
    """A weight (a, b, …) over the largest singular value of (a, b · …), by its decomposition.

    Miyato et al. 2018 (arXiv:1802.05957), eq. 7. Not by power iteration, whose vectors are a state that a
    forward pass would have to write.
    """

    def forward(self, weight: Tensor) -> Tensor:
        return weight / torch.linalg.matrix_norm(weight.flatten(1), 2)


def spectral(network: nn.Module) -> nn.Module:
    """The network, each of its linear and convolutional layers normalised."""
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            parametrize.register_parametrization(layer, "weight", Spectral())
    return network
