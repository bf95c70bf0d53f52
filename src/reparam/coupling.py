"""For losses whose terms are not a sum over examples: the joint batch of all processes.

A loss that needs the whole batch at once (a minibatch variance, MMD, total correlation) calls
`gather` on what it compares. In one process that is the identity; in several the rows of all come
back, with gradients, so that N processes see what one would. The module that calls it says so with
`couples_batch = True`.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def processes() -> int:
    """How many processes share a batch."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def gather(x: Tensor) -> Tensor:
    """The rows of every process, in order of rank: (n, …) → (processes · n, …)."""
    return x if processes() == 1 else _Gather.apply(x)  # pyright: ignore[reportReturnType]


def mine(joint: Tensor) -> Tensor:
    """This process's rows of the joint batch: (processes · n, …) → (n, …)."""
    return joint if processes() == 1 else joint.chunk(processes())[dist.get_rank()]


def reversed_rows(x: Tensor) -> Tensor:
    """This process's rows of the joint batch in reverse order: every example beside another, (n, …)."""
    return mine(gather(x).flip(0))


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        parts = [torch.empty_like(x) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, x.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        # Every process's loss depends on these rows, so their gradients add; the trainer divides by
        # the number of processes when it averages.
        gradient = gradient.contiguous()
        dist.all_reduce(gradient)
        return gradient.chunk(dist.get_world_size())[dist.get_rank()]
