"""Writing a file whole or not at all."""

import os
from pathlib import Path


def write_atomic(path: Path | str, content: bytes) -> Path:
    """Write under a temporary name in the same directory, then rename: a reader never sees half a file."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path
