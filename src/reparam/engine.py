"""Devices, precision, processes and compilation, from outside: no model knows of any of them."""

import atexit
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from reparam.errors import ReparamError
from reparam.model import Model, Terms, Turn, player_names

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
            atexit.register(stop)
        return cls(chosen, precision, compile, dist.get_rank() if world > 1 else 0, world)

    def place(self, model: Model) -> Model:
        """The model on the device, in the precision of its weights (bf16 keeps them in float32).

        Every process takes the first one's weights.
        """
        model.to(self.device, torch.float64 if self.precision == "float64" else torch.float32)
        if self.world > 1:
            for tensor in model.state_dict().values():
                dist.broadcast(tensor, 0)
        if self.precision == "bf16":
            # Losses add thousands of terms, which bf16 rounds to three digits: only networks work in it.
            for network in {*model.children(), *player_names(model).values()}:
                if _widened not in network._forward_hooks.values():
                    network.register_forward_hook(_widened)
        return model

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
                f"a batch of {n} cannot be shared by {self.world} processes; "
                f"make --batch-size a multiple of {self.world}."
            )
        return slice(self.rank * n // self.world, (self.rank + 1) * n // self.world)

    def average(self, tensors: Iterable[Tensor | None]) -> None:
        """Averages tensors over the processes, in place, in one message."""
        if self.world == 1:
            return
        if not (present := [t for t in tensors if t is not None]):
            return
        flat = torch.cat([t.reshape(-1) for t in present])
        dist.all_reduce(flat)
        flat /= self.world
        for t, mean in zip(present, flat.split([t.numel() for t in present]), strict=True):
            t.copy_(mean.view_as(t))

    def share(self, tensor: Tensor) -> None:
        """Gives every process the first one's values, in place."""
        if self.world > 1:
            dist.broadcast(tensor, 0)

    def agree(self, flag: bool) -> bool:
        """The first process's answer, for all: clocks differ between processes."""
        if self.world == 1:
            return flag
        answer = torch.tensor([flag], dtype=torch.uint8, device=self.device)
        dist.broadcast(answer, 0)
        return bool(answer)

    @contextmanager
    def first(self) -> Iterator[bool]:
        """Whether this is the process that writes; the others wait until it has, and fail if it fails."""
        failure = None
        try:
            yield self.rank == 0
        except Exception as error:
            failure = error
        failed = self.agree(failure is not None)
        if failure is not None:
            raise failure
        if failed:
            raise ReparamError("the first process failed; its message says why.")


def stop() -> None:
    """Leaves the other processes, if there are any; done at exit by itself."""
    if dist.is_available() and dist.is_initialized():
        # gloo's threads let go of the last tensors a moment after all is said; doing so while Python ends
        # aborts the process (pytorch/pytorch#179291).
        time.sleep(0.2)
        dist.destroy_process_group()


def _widened(network: nn.Module, arguments: Any, output: Any) -> Any:
    return tree_map(lambda t: t.float() if isinstance(t, Tensor) and t.dtype == torch.bfloat16 else t, output)


def _device(name: str, local: int) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise ReparamError(f"{name!r} is no device; give auto, cpu, cuda or cuda:0.")
    if device.type == "cpu":
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise ReparamError("no CUDA device is to be seen here; leave --device out, or say --device cpu.")
    index, count = local if device.index is None else device.index, torch.cuda.device_count()
    if index >= count:
        raise ReparamError(f"there is no device cuda:{index}; {count} are to be seen here, from cuda:0 on.")
    torch.cuda.set_device(index)
    return torch.device("cuda", index)


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
