"""Training curves as inline SVG: one small chart per loss term per model.

Losses of different models measure different things, so no two share an axis. Each chart is drawn twice, over
steps and over seconds, and the page's style shows one of the two: no script is needed to read it.
"""

import json
import math
from collections.abc import Sequence
from html import escape

import numpy as np
import numpy.typing as npt

from reparam.report.ranking import number
from reparam.report.schema import Curves
from reparam.report.ticks import short, ticks

WIDTH, HEIGHT = 300, 140
LEFT, RIGHT, TOP, BOTTOM = 44, 292, 8, 118
POINTS = 300  # points drawn of one curve: of each bucket of a longer one, the lowest and the highest stay

Values = npt.NDArray[np.float64]


def charts(name: str, curves: Curves, seconds_end: float) -> str:
    """All charts of one model; ``seconds_end`` ends the axis of seconds, the same for all."""
    if not curves.step or not curves.terms:
        return '<p class="quiet">No curves were logged.</p>'
    steps, seconds = np.array(curves.step, dtype=float), np.array(curves.seconds, dtype=float)
    drawn = (_chart(name, term, steps, seconds, values, seconds_end) for term, values in curves.terms.items())
    return f'<div class="charts">{"".join(drawn)}</div>'


def _chart(
    model: str, term: str, steps: Values, seconds: Values, logged: Sequence[float | None], seconds_end: float
) -> str:
    values = np.array([math.nan if value is None else value for value in logged])
    finite = values[np.isfinite(values)]
    title = escape(term)
    if len(finite) == 0:
        never = '<p class="quiet">never finite</p>'
        return f'<figure class="chart"><figcaption><b>{title}</b></figcaption>{never}</figure>'
    smooth, keep = _running_mean(values), _thin(values)
    low, high = _range(finite)
    last = number(float(smooth[np.isfinite(smooth)][-1]))
    asides = [f"highest {number(finite.max())}, cut off"] if finite.max() > high else []
    asides += [f"lowest {number(finite.min())}, cut off"] if finite.min() < low else []
    asides += [f"{len(values) - len(finite)} points not finite"] if len(finite) < len(values) else []
    ends = {"step": max(float(steps[-1]), 1.0), "seconds": max(seconds_end, 1e-9)}
    layers = "".join(
        f'<g class="by-{axis}">{_ticks_x(ends[axis], "s" if axis == "seconds" else "")}'
        f'<path class="raw" d="{_path(xs[keep] / ends[axis], values[keep], low, high)}"/>'
        f'<path class="mean" d="{_path(xs[keep] / ends[axis], smooth[keep], low, high)}"/></g>'
        for axis, xs in (("step", steps), ("seconds", seconds))
    )
    data = {
        "step": steps[keep].tolist(),
        "seconds": [round(second, 3) for second in seconds[keep].tolist()],
        "value": [None if math.isnan(value) else float(f"{value:.4g}") for value in values[keep].tolist()],
        "ends": ends,
        "range": [low, high],
        "plot": [LEFT, RIGHT, TOP, BOTTOM],
    }
    said = f"{model}, {term}: from {number(float(finite[0]))} to {last} at step {number(steps[-1])}"
    return (
        f'<figure class="chart"><figcaption><b>{title}</b> <output>{last}</output></figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(said)}" '
        f'data-curve="{escape(json.dumps(data, separators=(",", ":")))}">'
        f"{_ticks_y(low, high)}{layers}</svg>"
        f"<small>{escape('; '.join(asides))}</small></figure>"
    )


def _range(finite: Values) -> tuple[float, float]:
    """The axis: everything, or without the outermost hundredths where those would flatten the rest."""
    low, high = float(finite.min()), float(finite.max())
    inner_low, inner_high = (float(q) for q in np.quantile(finite, (0.01, 0.97)))
    inner = inner_high - inner_low
    low = inner_low if inner_low - low > inner else low
    high = inner_high if high - inner_high > inner else high
    pad = 0.04 * (high - low) or max(abs(high) * 0.1, 0.5)
    return low - pad, high + pad


def _running_mean(values: Values) -> Values:
    """The mean over a fortieth of the run on both sides, of what is finite."""
    reach = max(1, len(values) // 40)
    known = np.isfinite(values)
    sums = np.concatenate([[0.0], np.cumsum(np.where(known, values, 0.0))])
    counts = np.concatenate([[0], np.cumsum(known)])
    at = np.arange(len(values))
    first, last = np.maximum(at - reach, 0), np.minimum(at + reach + 1, len(values))
    count = counts[last] - counts[first]
    return np.where(known, (sums[last] - sums[first]) / np.maximum(count, 1), math.nan)


def _thin(values: Values) -> npt.NDArray[np.int64]:
    """The indices to draw: all, or the ends and each bucket's lowest and highest."""
    if len(values) <= POINTS:
        return np.arange(len(values))
    kept = {0, len(values) - 1}
    for bucket in np.array_split(np.arange(len(values)), POINTS // 2):
        inside = bucket[np.isfinite(values[bucket])]
        if len(inside):
            kept |= {int(inside[values[inside].argmin()]), int(inside[values[inside].argmax()])}
        if len(inside) < len(bucket):  # keep a gap a gap
            kept.add(int(bucket[~np.isfinite(values[bucket])][0]))
    return np.array(sorted(kept))


def _path(shares: Values, values: Values, low: float, high: float) -> str:
    """Line segments; the pen lifts where a value is missing and runs along the edge where one is cut off."""
    parts, down = [], False
    for share, value in zip(shares, values, strict=True):
        if not math.isfinite(value):
            down = False
            continue
        x = LEFT + share * (RIGHT - LEFT)
        y = BOTTOM - (min(max(value, low), high) - low) / (high - low) * (BOTTOM - TOP)
        parts.append(f"{'L' if down else 'M'}{x:.1f} {y:.1f}")
        down = True
    return "".join(parts)


def _ticks_x(end: float, unit: str) -> str:
    marks = []
    for tick in ticks(0, end, 4):
        x = LEFT + tick / end * (RIGHT - LEFT)
        anchor = "end" if x > RIGHT - 12 else "middle"
        marks.append(f'<text x="{x:.1f}" y="{BOTTOM + 15}" text-anchor="{anchor}">{short(tick)}{unit}</text>')
    return "".join(marks)


def _ticks_y(low: float, high: float) -> str:
    marks = []
    for tick in ticks(low, high, 4):
        y = BOTTOM - (tick - low) / (high - low) * (BOTTOM - TOP)
        marks.append(f'<line x1="{LEFT}" x2="{RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        marks.append(f'<text x="{LEFT - 6}" y="{y + 3.5:.1f}" text-anchor="end">{short(tick)}</text>')
    return "".join(marks)
