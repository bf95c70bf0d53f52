"""Which values lead, and how values are written.

One rule: the leaders of a measure are those whose 95 % intervals, one overlapping the next, hang together
with the best one's; they are marked only if somebody is left outside. A value without an interval is shown,
never ranked.
"""

import math
from collections.abc import Sequence
from typing import Literal

from reparam.report.schema import MeasureRecord

Mark = Literal["best", "tied", ""]


def leaders(records: Sequence[MeasureRecord | None]) -> list[Mark]:
    """Mark the one best record, or the best that overlap with one another; mark none where all overlap."""
    marks: list[Mark] = [""] * len(records)
    valued = {
        i: record for i, record in enumerate(records) if record is not None and record.value is not None
    }
    spans = {i: span for i, record in valued.items() if (span := shortfall(record)) is not None}
    if len(spans) < 2 or len(spans) < len(valued):
        return marks
    order = sorted(spans, key=lambda i: spans[i])
    group, reach = [order[0]], spans[order[0]][1]
    for i in order[1:]:
        if spans[i][0] > reach:
            break
        group.append(i)
        reach = max(reach, spans[i][1])
    if len(group) < len(spans):
        for i in group:
            marks[i] = "best" if len(group) == 1 else "tied"
    return marks


def shortfall(record: MeasureRecord) -> tuple[float, float] | None:
    """The interval on a scale where less is better: the distance to the target, where there is one."""
    if record.interval is None:
        return None
    low, high = record.interval
    if record.better == "lower":
        return low, high
    if record.better == "higher":
        return -high, -low
    target = 1.0 if record.better == "one" else 0.0
    near, far = sorted((abs(low - target), abs(high - target)))
    return (0.0 if low <= target <= high else near), far


def number(value: float | None, half_width: float | None = None) -> str:
    """A number for people: as many decimals as its interval deserves, else three figures; thousands apart."""
    if value is None:
        return "—"
    if half_width:
        decimals = -math.floor(math.log10(half_width / 2) + 1e-9)
    elif float(value).is_integer():
        decimals = 0
    else:
        decimals = 2 - math.floor(math.log10(abs(value)))
    large = abs(value) >= 1e9 or decimals > 7
    return (f"{value:.3g}" if large else f"{value:,.{max(decimals, 0)}f}").replace("-", "−")


def join(words: Sequence[str]) -> str:
    """a, b and c."""
    return " and ".join(part for part in (", ".join(words[:-1]), words[-1] if words else "") if part)
