"""Confidence intervals of differences and ratios of two rates or means, paired and unpaired, from counts.

As in `interval.py`, low ≤ value ≤ high, None if unknown.
"""

from collections.abc import Callable

import numpy as np

from observability.stats.interval import Interval, normal_quantile, ordered_interval, wilson_interval


def difference_interval(a: Interval, b: Interval) -> Interval:
    """Difference a - b of two independent measurements, from their own intervals (MOVER).

    For two Wilson intervals this is Newcombe's hybrid score interval.

    Parameters
    ----------
    a : Interval
        First measurement.
    b : Interval
        Second measurement.

    Returns
    -------
    Interval
        n is the smaller one; unknown where a side is.

    References
    ----------
    * Zou and Donner (2008), Construction of confidence limits about effect measures.
    """
    if a.value is None or b.value is None:
        return Interval(None, None, None, min(a.n, b.n))
    value = a.value - b.value
    if a.low is None or a.high is None or b.low is None or b.high is None:
        return Interval(value, None, None, min(a.n, b.n))
    low = value - np.hypot(a.value - a.low, b.high - b.value)
    return ordered_interval(value, low, value + np.hypot(a.high - a.value, b.value - b.low), min(a.n, b.n))


def rate_difference_interval(
    successes_a: float,
    n_a: float,
    successes_b: float,
    n_b: float,
    n_squares_a: float | None = None,
    n_squares_b: float | None = None,
    confidence: float = 0.95,
) -> Interval:
    """Difference of two independent proportions, a - b, with Newcombe's hybrid score interval.

    Parameters
    ----------
    successes_a : float
        Successes of side a (Σw).
    n_a : float
        Rows of side a (Σw).
    successes_b : float
        Successes of side b.
    n_b : float
        Rows of side b.
    n_squares_a : float | None
        Σw² of side a; None if it is unweighted.
    n_squares_b : float | None
        Σw² of side b; None if it is unweighted.
    confidence : float
        Coverage of the interval.

    Returns
    -------
    Interval

    References
    ----------
    * Newcombe (1998), Interval estimation for the difference between independent proportions, method 10.
    """
    a = wilson_interval(successes_a, n_a, n_squares_a, confidence)
    return difference_interval(a, wilson_interval(successes_b, n_b, n_squares_b, confidence))


def rate_ratio_interval(successes_a: float, n_a: float, successes_b: float, n_b: float, confidence: float = 0.95) -> Interval:
    """Ratio of two independent proportions, a / b, with Koopman's score interval.

    Parameters
    ----------
    successes_a : float
        Successes of side a (Σw).
    n_a : float
        Rows of side a (Σw).
    successes_b : float
        Successes of side b.
    n_b : float
        Rows of side b.
    confidence : float
        Coverage of the interval.

    Returns
    -------
    Interval
        Without successes in b the value and high are None; without rows on a side, or without any success, all are.

    References
    ----------
    * Koopman (1984), Confidence intervals for the ratio of two binomial proportions.
    """
    x, rows_a, y, rows_b = float(successes_a), max(float(n_a), 0.0), float(successes_b), max(float(n_b), 0.0)
    n, z = min(rows_a, rows_b), normal_quantile(confidence)
    if n <= 0 or x + y <= 0:
        return Interval(None, None, None, n)

    def score(log_ratio: float) -> float:
        """Koopman's score for a ratio. It decreases with the ratio: z at the low end, -z at the high end."""
        ratio = np.exp(log_ratio)
        square, slope = (rows_a + rows_b) * ratio, (rows_a + y) * ratio + x + rows_b
        p_b = 2 * (x + y) / (slope + np.sqrt(max(slope**2 - 4 * square * (x + y), 0.0)))
        p_a = min(p_b * ratio, 1.0)
        variance = p_a * (1 - p_a) / rows_a + ratio**2 * p_b * max(1 - p_b, 0.0) / rows_b
        return float((x / rows_a - ratio * y / rows_b) / np.sqrt(max(variance, 1e-300)))

    low = float(np.exp(decreasing_root(score, z))) if x > 0 else 0.0
    if y <= 0:
        return Interval(None, low, None, n)
    return ordered_interval((x / rows_a) / (y / rows_b), low, float(np.exp(decreasing_root(score, -z))), n)


def decreasing_root(function: Callable[[float], float], level: float, low: float = -40.0, high: float = 40.0) -> float:
    """Argument at which a decreasing function passes a level, by bisection to 1e-13.

    Parameters
    ----------
    function : Callable[[float], float]
        Decreasing function.
    level : float
        Level to pass.
    low : float
        Lower end of the search.
    high : float
        Upper end of the search.

    Returns
    -------
    float
    """
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) > level else (low, middle)
    return (low + high) / 2


def paired_rate_difference_interval(only_a: float, only_b: float, n: float, confidence: float = 0.95) -> Interval:
    """Difference a - b of two proportions of the same rows, from the numbers of rows where only one of the two holds.

    For the mean of paired differences of numbers, use `mean_interval` on the sums of the differences.

    Parameters
    ----------
    only_a : float
        Rows where only a holds.
    only_b : float
        Rows where only b holds.
    n : float
        All rows.
    confidence : float
        Coverage of the interval.

    Returns
    -------
    Interval

    References
    ----------
    * Bonett and Price (2012), Adjusted Wald confidence interval for a difference of binomial proportions based on paired data.
    """
    if not n > 0:
        return Interval(None, None, None, 0.0)
    p, q, z = (only_a + 1) / (n + 2), (only_b + 1) / (n + 2), normal_quantile(confidence)
    half = z * np.sqrt(max(p + q - (p - q) ** 2, 0.0) / (n + 2))
    return ordered_interval((only_a - only_b) / n, max(p - q - half, -1.0), min(p - q + half, 1.0), n)
