"""Round numbers for axes."""

import math


def ticks(low: float, high: float, about: int) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten between two ends, about so many.

    >>> ticks(0, 60, 4)
    [0.0, 20.0, 40.0, 60.0]
    """
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * multiple for multiple in (1, 2, 5, 10) if power * multiple >= rough * 0.999)
    slack = 0.01 * (high - low)  # an axis that ends at 59.96 seconds still shows its 60
    first, last = math.ceil((low - slack) / step), math.floor((high + slack) / step)
    return [round(k * step, 12) + 0.0 for k in range(first, last + 1)]


def short(tick: float) -> str:
    """A tick's label: 20k rather than 20000."""
    if abs(tick) >= 1e6:
        return f"{tick / 1e6:g}M".replace("-", "−")
    return (f"{tick / 1e3:g}k" if abs(tick) >= 1e4 else f"{tick:g}").replace("-", "−")
