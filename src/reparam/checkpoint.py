"""Checkpoints: safetensors and JSON, written whole or not at all.

A checkpoint is a folder `checkpoints/000001000/` with `weights.safetensors`, `training.safetensors`
and `checkpoint.json`, which holds the step and a digest of each file and of itself. It is written
under another name, flushed to the disk and renamed; the last two are kept, so a damaged one has a
predecessor.
"""

import contextlib
import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from reparam.errors import ReparamError

KEEP = 2


class Content(BaseModel):
    """`checkpoint.json`; the digest is of everything else in it."""

    model_config = ConfigDict(extra="forbid")

    version: Literal[1]
    step: int = Field(ge=0)
    digests: dict[str, str] = Field(description="sha256 of each file beside it")
    facts: dict[str, Any] = Field(description="seconds used, the open window of the log, the settings")
    digest: str = Field(description="sha256 of this content without this field, keys sorted")


@dataclass(frozen=True)
class Checkpoint:
    """What was read: tensors by file and name, and the facts beside them."""

    step: int
    facts: dict[str, Any]
    files: dict[str, dict[str, Tensor]]


def save(
    folder: Path, step: int, files: Mapping[str, Mapping[str, Tensor]], facts: Mapping[str, Any]
) -> Path:
    """Writes a checkpoint atomically and drops all but the last two.

    Raises ReparamError if the disk refuses; nothing saved before is touched then.
    """
    target, draft = folder / f"{step:09d}", folder / ".draft"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir()
        digests = {}
        for name, tensors in files.items():
            path = draft / f"{name}.safetensors"
            # A contiguous copy of its own for each: safetensors refuses views and shared memory.
            save_file({key: t.detach().cpu().contiguous().clone() for key, t in tensors.items()}, path)
            digests[path.name] = _digest(path)
        content = {"version": 1, "step": step, "digests": digests, "facts": dict(facts)}
        content["digest"] = _digest_of(content)
        (draft / "checkpoint.json").write_text(json.dumps(content, indent=1))
        for path in (*draft.iterdir(), draft):
            _flush(path)
        if target.exists():  # a damaged one of the same step, which a resume fell back from
            shutil.rmtree(target)
        draft.rename(target)
        _flush(folder)
    except (OSError, SafetensorError) as error:
        with contextlib.suppress(OSError):
            shutil.rmtree(draft)
        kept = ", ".join(str(s) for s in steps(folder)) or "none"
        raise ReparamError(
            f"could not write the checkpoint of step {step} to {folder}: {error}. "
            f"Checkpoints kept: {kept}. Make room, then `reparam resume`."
        ) from error
    # One of a later step can only be damaged: a resume passed over it, or this step would not be played.
    kept = [known for known in steps(folder) if known <= step][-KEEP:]
    for other in set(steps(folder)).difference(kept):
        shutil.rmtree(folder / f"{other:09d}", ignore_errors=True)
    return target


def load(folder: Path, device: torch.device | str = "cpu") -> Checkpoint:
    """Reads the newest checkpoint that is whole; warns of every damaged one it passes over.

    Raises ReparamError if there is none.
    """
    found = steps(folder)
    for step in reversed(found):
        try:
            return _read(folder / f"{step:09d}", device)
        except (OSError, ValueError, LookupError, TypeError, AttributeError, SafetensorError) as error:
            warnings.warn(
                f"the checkpoint of step {step} in {folder} is damaged ({error}); trying the one before.",
                stacklevel=2,
            )
    if found:
        raise ReparamError(f"every checkpoint in {folder} is damaged; the run must be trained anew.")
    raise ReparamError(f"there is no checkpoint in {folder}: the run has not reached its first one.")


def steps(folder: Path) -> list[int]:
    """The steps of the checkpoints in a folder, oldest first."""
    return sorted(int(path.name) for path in folder.glob("[0-9]*") if path.name.isdigit())


def _read(path: Path, device: torch.device | str) -> Checkpoint:
    content = Content.model_validate_json((path / "checkpoint.json").read_text())
    if content.digest != _digest_of(content.model_dump(exclude={"digest"})):
        raise ValueError("checkpoint.json is not what was written")
    files = {}
    for name, digest in content.digests.items():
        if _digest(path / name) != digest:
            raise ValueError(f"{name} is not what was written")
        files[name.removesuffix(".safetensors")] = load_file(path / name, device=str(device))
    return Checkpoint(content.step, content.facts, files)


def _digest_of(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
