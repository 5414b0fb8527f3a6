"""How sure is a ratio of two totals that came in parts (energy over predictions, by day), and did it change?

The parts, not the rows, are the units: what a machine draws on one day hangs together, so rows would make any interval too narrow.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from observability.stats.interval import Interval, interval


@dataclass(frozen=True)
class RatioChange:
    """Ratio now over ratio before, with an interval on the log scale and a two-sided p-value. All None where a side has too few parts.

    n: parts of the smaller side.
    """

    value: float | None
    low: float | None
    high: float | None
    p_value: float | None
    n: int


def ratio_interval(totals: ArrayLike, sizes: ArrayLike, confidence: float = 0.95) -> Interval:
    """Σ totals / Σ sizes with the linearised interval of a ratio of means (Cochran 1977, section 6.4), Student's t at parts - 1.

    totals, sizes: one of each a part (a day). low is at least 0 where no total is negative. n is Σ sizes. No low and high below two parts;
    all None where the sizes add up to nothing.
    """
    total, size = paired(totals, sizes)
    if not size.sum() > 0:
        return Interval(None, None, None, 0.0)
    value = float(total.sum() / size.sum())
    half = half_width(total, size, value, confidence)
    low = value - half
    if np.isfinite(low) and (total >= 0).all():
        low = max(low, 0.0)
    return interval(value, low, value + half, float(size.sum()))


def ratio_change(
    now_totals: ArrayLike, now_sizes: ArrayLike, past_totals: ArrayLike, past_sizes: ArrayLike, confidence: float = 0.95
) -> RatioChange:
    """How the ratio now stands to that of the past: their quotient, by the delta method on its logarithm.

    Degrees of freedom as Welch (1947) takes them. Unknown below three parts on a side, or where a ratio is not positive.
    """
    from scipy.special import stdtr, stdtrit

    sides = [paired(now_totals, now_sizes), paired(past_totals, past_sizes)]
    n = min(int((size > 0).sum()) for _, size in sides)
    if n < 3:
        return RatioChange(None, None, None, None, n)
    values = [float(total.sum() / size.sum()) for total, size in sides]
    if min(values) <= 0:
        return RatioChange(None, None, None, None, n)
    squares = [(error(total, size, value) / value) ** 2 for (total, size), value in zip(sides, values)]
    shift, square = float(np.log(values[0] / values[1])), sum(squares)
    if square <= 0:
        quotient = float(np.exp(shift))
        return RatioChange(quotient, quotient, quotient, 1.0 if abs(shift) < 1e-12 else 0.0, n)
    freedom = square**2 / sum(each**2 / (size.size - 1) for each, (_, size) in zip(squares, sides))
    half = float(stdtrit(freedom, 0.5 + confidence / 2)) * np.sqrt(square)
    p_value = 2 * float(stdtr(freedom, -abs(shift) / np.sqrt(square)))
    return RatioChange(float(np.exp(shift)), float(np.exp(shift - half)), float(np.exp(shift + half)), p_value, n)


def paired(totals: ArrayLike, sizes: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The parts in which either is something."""
    total, size = np.asarray(totals, np.float64).ravel(), np.asarray(sizes, np.float64).ravel()
    held = (total != 0) | (size != 0)
    return total[held], size[held]


def error(total: NDArray[np.float64], size: NDArray[np.float64], value: float) -> float:
    """Standard error of the ratio; NaN below two parts."""
    if total.size < 2:
        return float("nan")
    spread = float(((total - value * size) ** 2).sum()) * total.size / (total.size - 1)
    return float(np.sqrt(spread) / size.sum())


def half_width(total: NDArray[np.float64], size: NDArray[np.float64], value: float, confidence: float) -> float:
    """Half the interval's width; NaN below two parts."""
    from scipy.special import stdtrit

    if total.size < 2:
        return float("nan")
    return float(stdtrit(total.size - 1, 0.5 + confidence / 2)) * error(total, size, value)
