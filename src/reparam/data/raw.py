"""What a reader hands over to be prepared."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np


class Part(NamedTuple):
    """x: (n, c, h, w) uint8 or (n, d) float64, already checked; y: (n,) labels of any kind, or None."""

    x: np.ndarray
    y: np.ndarray | None = None


@dataclass
class Raw:
    """What a reader returns. `parts` has "train", and "validation" and "test" where the data says so.

    With `classes`, y already holds indices into them. `attributes`: name → split → (n,), for fixed splits.
    """

    name: str
    where: str  # the subject of error messages: a path, or a name
    parts: dict[str, Part]
    classes: tuple[str, ...] | None = None
    attributes: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    standardise: bool = True
    licence: str = "as its owner states"
    source: str = ""
