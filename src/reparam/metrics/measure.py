"""What every measure returns: a number that says how it was got."""

from dataclasses import dataclass
from typing import Literal

Better = Literal["lower", "higher", "one", "zero"]


@dataclass(frozen=True)
class Measure:
    """One measured number; `dataclasses.asdict` makes it JSON.

    `low` and `high` bound the 95 % bootstrap percentile interval, or are None where the measure has none.
    `n` counts the examples measured (samples, not the data they are held against).
    `better` says where good values lie; `how` is one sentence: extractor, kernel, split, seeds.
    """

    value: float
    low: float | None
    high: float | None
    n: int
    unit: str
    better: Better
    how: str
