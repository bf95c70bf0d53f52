"""Networks of something and its class."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Conditioned(nn.Module):
    """A network that sees the class, one-hot, beside its input: as maps beside a picture, as numbers else.

    (n, c, …) and y (n,) → what the network makes of (n, c + classes, …).
    """

    def __init__(self, net: nn.Module, classes: int) -> None:
        super().__init__()
        self.net, self.classes = net, classes

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        told = F.one_hot(y, self.classes).to(x)
        told = told.view(*told.shape, *[1] * (x.dim() - 2)).expand(-1, -1, *x.shape[2:])
        return self.net(torch.cat([x, told], 1))
