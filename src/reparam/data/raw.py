"""What a reader hands over to be prepared."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np

Units = Literal["characters", "words", "bpe"]


class Part(NamedTuple):
    """x: (n, c, h, w) uint8 or (n, d) float64, already checked but for NaN, or (n,) object, lines of text;
    y: (n,) labels of any kind, or None; other: (n,) object, the lines that say the same as x's, or None;
    columns: the names of x's columns, where they have any."""

    x: np.ndarray
    y: np.ndarray | None = None
    other: np.ndarray | None = None
    columns: tuple[str, ...] | None = None


@dataclass
class Raw:
    """What a reader returns. `parts` has "train", and "validation" and "test" where the data says so.

    With `classes`, y already holds indices into them. `attributes`: name → split → (n,), for fixed splits.
    Of text: the units it is cut into unless told, the mark in the `middle` of its lines, and where its other
    side is from; the `lines` of the file at which the rows of train stand, where they are not 1, 2, 3, …
    """

    name: str
    where: str  # the subject of error messages: a path, or a name
    parts: dict[str, Part]
    classes: tuple[str, ...] | None = None
    attributes: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    standardise: bool = True
    licence: str = "as its owner states"
    source: str = ""
    units: Units = "words"
    middle: str = ""
    domains: tuple[str, str] | None = None
    other_where: str = ""
    lines: Sequence[int] | None = None
    other_lines: Sequence[int] | None = None
