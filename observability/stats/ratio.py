"""Ratio of two totals that come in parts (energy over predictions, by day), with its interval and its change.

The parts, not the rows, are the units: the consumption of a machine within a day is correlated, so rows would make any interval too
narrow.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtr, stdtrit

from observability.stats.arrays import Floats
from observability.stats.interval import Interval, ordered_interval


@dataclass(frozen=True)
class RatioChange:
    """Ratio now over ratio before, with an interval on the log scale and a two-sided p-value. All None if a side has too few parts.
    n: parts of the smaller side.
    """

    value: float | None
    low: float | None
    high: float | None
    p_value: float | None
    n: int


def ratio_of_totals_interval(totals: ArrayLike, sizes: ArrayLike, confidence: float = 0.95) -> Interval:
    """Σ totals / Σ sizes with the linearised interval of a ratio of means, Student's t at parts - 1.

    Parameters
    ----------
    totals : ArrayLike
        Total of each part (a day).
    sizes : ArrayLike
        Size of each part.
    confidence : float
        Coverage of the interval.

    Returns
    -------
    Interval
        n is Σ sizes; low is at least 0 if no total is negative. No bounds below two parts; all None if the sizes sum to 0.

    References
    ----------
    * Cochran (1977), Sampling Techniques, section 6.4.
    """
    total, size = _nonempty_parts(totals, sizes)
    if not size.sum() > 0:
        return Interval(None, None, None, 0.0)
    value = float(total.sum() / size.sum())
    half = float(stdtrit(max(total.size - 1, 1), 0.5 + confidence / 2)) * _standard_error(total, size, value)
    low = value - half
    if np.isfinite(low) and (total >= 0).all():
        low = max(low, 0.0)
    return ordered_interval(value, low, value + half, float(size.sum()))


def ratio_of_totals_change(
    now_totals: ArrayLike, now_sizes: ArrayLike, past_totals: ArrayLike, past_sizes: ArrayLike, confidence: float = 0.95
) -> RatioChange:
    """Quotient of the ratio now and in the past, by the delta method on its logarithm.

    Parameters
    ----------
    now_totals : ArrayLike
        Total of each part now.
    now_sizes : ArrayLike
        Size of each part now.
    past_totals : ArrayLike
        Total of each part in the past.
    past_sizes : ArrayLike
        Size of each part in the past.
    confidence : float
        Coverage of the interval.

    Returns
    -------
    RatioChange
        Unknown below three parts on a side, or where a ratio is not positive.

    References
    ----------
    * Welch (1947), The generalization of Student's problem when several different population variances are involved.
    """
    sides = [_nonempty_parts(now_totals, now_sizes), _nonempty_parts(past_totals, past_sizes)]
    n = min(int((size > 0).sum()) for _, size in sides)
    if n < 3:
        return RatioChange(None, None, None, None, n)
    values = [float(total.sum() / size.sum()) for total, size in sides]
    if min(values) <= 0:
        return RatioChange(None, None, None, None, n)
    squares = [(_standard_error(total, size, value) / value) ** 2 for (total, size), value in zip(sides, values)]
    shift, square = float(np.log(values[0] / values[1])), sum(squares)
    if square <= 0:
        quotient = float(np.exp(shift))
        return RatioChange(quotient, quotient, quotient, 1.0 if abs(shift) < 1e-12 else 0.0, n)
    freedom = square**2 / sum(each**2 / (size.size - 1) for each, (_, size) in zip(squares, sides))
    half = float(stdtrit(freedom, 0.5 + confidence / 2)) * np.sqrt(square)
    p_value = 2 * float(stdtr(freedom, -abs(shift) / np.sqrt(square)))
    return RatioChange(float(np.exp(shift)), float(np.exp(shift - half)), float(np.exp(shift + half)), p_value, n)


def _nonempty_parts(totals: ArrayLike, sizes: ArrayLike) -> tuple[Floats, Floats]:
    """The parts whose total or size is not 0."""
    total, size = np.asarray(totals, np.float64).ravel(), np.asarray(sizes, np.float64).ravel()
    held = (total != 0) | (size != 0)
    return total[held], size[held]


def _standard_error(total: Floats, size: Floats, value: float) -> float:
    """Standard error of the ratio; NaN below two parts."""
    if total.size < 2:
        return float("nan")
    spread = float(((total - value * size) ** 2).sum()) * total.size / (total.size - 1)
    return float(np.sqrt(spread) / size.sum())
