"""Batch norm as a pure function: synchronised between processes, its moments moved by the trainer."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reparam.coupling import gather, processes


class BatchNorm(nn.Module):
    """Normalises each channel of (n, c, …) by the moments of the joint batch; Ioffe & Szegedy 2015.

    In training the forward pass writes nothing that it reads: the moments it saw wait in `proposals`
    until the trainer has made the turn's moves and averages them into the buffers, which stand for the
    batch in evaluation. So a turn can be computed again, and every process has the same buffers.
    """

    couples_batch = True
    decay = 0.9

    average_mean: Tensor
    average_variance: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale, self.shift = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.register_buffer("average_mean", torch.zeros(channels))
        self.register_buffer("average_variance", torch.ones(channels))
        self.proposals: list[tuple[Tensor, Tensor]] = []

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return F.batch_norm(x, self.average_mean, self.average_variance, self.scale, self.shift)
        if processes() == 1:
            # The fused kernel; at momentum 1 it leaves the batch's own moments in what it is given.
            mean, variance = torch.zeros_like(self.average_mean), torch.zeros_like(self.average_variance)
            y = F.batch_norm(x, mean, variance, self.scale, self.shift, training=True, momentum=1.0)
            examples = x.numel() // x.shape[1]
            variance = variance * ((examples - 1) / examples)  # it counts one less, and normalises by all
        else:
            axes = [0, *range(2, x.dim())]
            mean = _joint(x.mean(axes))
            variance = _joint((x - _wide(mean, x)).square().mean(axes))
            slope = self.scale * torch.rsqrt(variance + 1e-5)
            y = x * _wide(slope, x) + _wide(self.shift - mean * slope, x)
        self.proposals.append((mean.detach(), variance.detach()))
        return y

    def settle(self, apply: bool) -> None:
        """Averages what the forward passes of a turn saw into the buffers, or drops it."""
        if apply and self.proposals:
            mean, variance = (torch.stack(each).mean(0) for each in zip(*self.proposals, strict=True))
            self.average_mean.lerp_(mean.to(self.average_mean), 1 - self.decay)
            self.average_variance.lerp_(variance.to(self.average_variance), 1 - self.decay)
        self.proposals.clear()


class PlainBatchNorm(BatchNorm):
    """Batch norm without a scale and a shift to learn: each channel keeps mean 0 and variance 1."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.scale.requires_grad_(False)
        self.shift.requires_grad_(False)


def _joint(moment: Tensor) -> Tensor:
    """The mean of a moment over the processes, whose parts of the batch are equal."""
    return gather(moment[None]).mean(0)


def _wide(channels: Tensor, x: Tensor) -> Tensor:
    return channels.view(1, -1, *[1] * (x.dim() - 2))
