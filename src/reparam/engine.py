"""Devices, precision, processes and compilation, from outside: no model knows of any of them."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.distributed as dist
from torch import Tensor

from reparam.errors import ReparamError
from reparam.model import Model, Terms, Turn

Precision = Literal["float32", "bf16", "float64"]


@dataclass(frozen=True)
class Engine:
    """Where and how the arithmetic is done. Every process holds one."""

    device: torch.device
    precision: Precision = "float32"
    compile: bool = False
    rank: int = 0
    world: int = 1

    @classmethod
    def start(cls, device: str = "auto", precision: Precision = "float32", compile: bool = False) -> "Engine":
        """Takes the device asked for, and joins the other processes if torchrun started several.

        Raises ReparamError if the device is not there.
        """
        world, local = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("LOCAL_RANK", 0))
        chosen = _device(device, local)
        if world > 1 and not dist.is_initialized():
            dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
        return cls(chosen, precision, compile, dist.get_rank() if world > 1 else 0, world)

    def place(self, model: Model) -> Model:
        """The model on the device, in the precision of its weights (bf16 keeps them in float32)."""
        return model.to(self.device, torch.float64 if self.precision == "float64" else torch.float32)

    def cast(self, x: Tensor) -> Tensor:
        """A field or a noise in the precision of the weights."""
        return x.double() if self.precision == "float64" and x.is_floating_point() else x

    def loss(self, turn: Turn) -> Callable[..., Terms]:
        """The turn's loss, compiled where that is asked for and torch can (no gradient of a gradient)."""
        loss = torch.compile(turn.loss) if self.compile and not turn.second_order else turn.loss
        if self.precision != "bf16":
            return loss

        def in_bf16(*fields: Tensor, **noise: Tensor) -> Terms:
            with torch.autocast(self.device.type, torch.bfloat16):
                return loss(*fields, **noise)

        return in_bf16

    # Between processes

    def rows(self, n: int) -> slice:
        """This process's part of a global batch of n.

        Raises ReparamError if the processes cannot share it equally.
        """
        if n % self.world:
            raise ReparamError(
                f"a batch of {n} cannot be shared by {self.world} processes; make --batch-size a multiple of it."
            )
        return slice(self.rank * n // self.world, (self.rank + 1) * n // self.world)

    def average(self, tensors: Iterable[Tensor | None]) -> None:
        """Averages tensors over the processes, in place, in one message."""
        if self.world == 1:
            return
        present = [t for t in tensors if t is not None]
        flat = torch.cat([t.reshape(-1) for t in present])
        dist.all_reduce(flat)
        flat /= self.world
        for t, mean in zip(present, flat.split([t.numel() for t in present]), strict=True):
            t.copy_(mean.view_as(t))

    def agree(self, flag: bool) -> bool:
        """The first process's answer, for all: clocks differ between processes."""
        if self.world == 1:
            return flag
        answer = torch.tensor([flag], dtype=torch.uint8, device=self.device)
        dist.broadcast(answer, 0)
        return bool(answer)

    @contextmanager
    def first(self) -> Iterator[bool]:
        """Whether this is the process that writes; the others wait until it has."""
        yield self.rank == 0
        if self.world > 1:
            dist.barrier()


def _device(name: str, local: int) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ReparamError(f"{name!r} is no device; give auto, cpu, cuda or cuda:0.") from error
    if device.type == "cuda":
        if not torch.cuda.is_available():
            raise ReparamError("no CUDA device is to be seen here; leave --device out, or say --device cpu.")
        if device.index is None:
            device = torch.device("cuda", local)
        torch.cuda.set_device(device)
    return device


def versions() -> dict[str, Any]:
    """What the numbers of a run depend on besides its settings."""
    import platform

    import numpy

    import reparam

    return {
        "reparam": reparam.__version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": numpy.__version__,
        "platform": platform.platform(),
        "threads": torch.get_num_threads(),
    }
