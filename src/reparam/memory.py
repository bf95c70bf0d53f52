"""The highest memory that a training held at once."""

from pathlib import Path

import torch

PROCESS = Path("/proc/self")
AFRESH = "5"  # proc(5), clear_refs: the high-water mark of resident memory begins anew


class Peak:
    """Begins afresh when it is made.

    On CUDA it is of the tensors on the device. On the CPU it is of the whole process, the library, the data
    and whatever else it holds included, and is known on Linux alone.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._known = device.type == "cuda"
        if self._known:
            torch.cuda.reset_peak_memory_stats(device)
            return
        try:
            (PROCESS / "clear_refs").write_text(AFRESH)
            self._known = True
        except OSError:  # another system, or a sandbox: an older peak would be taken for this one
            pass

    def mib(self) -> float | None:
        """The highest since then, in MiB; None where it cannot be known."""
        if not self._known:
            return None
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device) / 2**20
        lines = (PROCESS / "status").read_text().splitlines()
        marks = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
        return int(marks[0]) / 1024 if marks else None
