"""Tests of a count against its history, tests of two proportions, runs of equal values, and sample sizes for tests."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betainc, betaincinv, chdtrc, chdtri, ndtri, stdtr, stdtrit

from observability.stats.interval import effective_n

MIN_HISTORY = 3
"""The least number of history points for a test of a count."""


@dataclass(frozen=True)
class CountTest:
    """A count compared with its history. With fewer than three history points, all fields but n_history and observed are None.

    expected: mean of the history. ratio: observed / expected with an interval (None if nothing was expected). p_value: two-sided.
    dispersion: variance / mean of the history. overdispersed: whether the negative binomial was used instead of the Poisson
    distribution.
    """

    observed: float
    expected: float | None
    ratio: float | None
    low: float | None
    high: float | None
    p_value: float | None
    dispersion: float | None
    overdispersed: bool | None
    n_history: int


@dataclass(frozen=True)
class ValueRun:
    """A run of equal neighbours: `length` values from position `start` on."""

    start: int
    length: int
    value: Any


def poisson_or_overdispersed_test(observed: float, expected_history: ArrayLike, confidence: float = 0.95) -> CountTest:
    """Test of a count against earlier counts of the same kind (the same hour of the week).

    If the history varies no more than chance allows (dispersion test at 0.1), the test is Poisson's: given the sum of all counts, the count
    is binomial, which is exact although the rate is unknown. Otherwise the test is negative binomial with the history's mean m and variance
    s² (1 + 1/k). Its tail is read from Student's t with k - 1 degrees of freedom, since the variance is estimated from k points.

    Parameters
    ----------
    observed : float
        Count to test.
    expected_history : ArrayLike
        Earlier counts; NaN is left out.
    confidence : float
        Coverage of the interval.

    Returns
    -------
    CountTest
    """
    history = np.asarray(expected_history, np.float64).ravel()
    history = history[np.isfinite(history)]
    k = history.size
    if k < MIN_HISTORY:
        return CountTest(observed, None, None, None, None, None, None, None, k)
    mean, variance = float(history.mean()), float(history.var(ddof=1))
    dispersion = variance / mean if mean > 0 else None
    overdispersed = mean > 0 and float(chdtrc(k - 1, variance * (k - 1) / mean)) < 0.1
    tail = (1 - confidence) / 2
    low: float | None
    high: float | None
    if overdispersed:
        spread = variance * (1 + 1 / k)
        p_value = _negative_binomial_p_value(observed, mean, spread, k - 1)
        half = float(stdtrit(k - 1, 1 - tail)) * np.sqrt(spread) / mean
        low, high = max(observed / mean - half, 0.0), observed / mean + half
    else:
        total = float(history.sum())
        p_value = _two_sided_binomial(observed, observed + total, 1 / (k + 1))
        below = float(betaincinv(observed, total + 1, tail)) if observed > 0 else 0.0
        above = float(betaincinv(observed + 1, total, 1 - tail)) if total > 0 else 1.0
        low, high = k * below / (1 - below), k * above / (1 - above) if above < 1 else None
    if not mean > 0:
        return CountTest(observed, mean, None, None, None, p_value, None, False, k)
    return CountTest(observed, mean, observed / mean, low, high, p_value, dispersion, overdispersed, k)


def _two_sided_binomial(successes: float, trials: float, share: float) -> float:
    """Twice the smaller tail of a binomial distribution, at most 1."""
    if trials <= 0:
        return 1.0
    at_most = float(betainc(trials - successes, successes + 1, 1 - share)) if successes < trials else 1.0
    at_least = float(betainc(successes, trials - successes + 1, share)) if successes > 0 else 1.0
    return min(1.0, 2 * min(at_most, at_least))


def _negative_binomial_p_value(observed: float, mean: float, variance: float, freedom: int) -> float:
    """Twice the smaller tail of a negative binomial distribution with this mean and variance; the tail's normal score is read as a
    Student's t.
    """
    size = mean**2 / max(variance - mean, 1e-9 * mean)
    share = size / (size + mean)
    at_most = float(betainc(size, observed + 1, share))
    at_least = float(betainc(observed, size, 1 - share)) if observed > 0 else 1.0
    score = float(ndtri(min(0.5, at_most, at_least)))
    return 2 * float(stdtr(freedom, score)) if np.isfinite(score) else 0.0


def proportion_score(
    successes_a: float, n_a: float, successes_b: float, n_b: float, n_squares_a: float | None = None, n_squares_b: float | None = None
) -> float | None:
    """Score z of the pooled test of two proportions; None if a side has no rows.

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

    Returns
    -------
    float | None
        The p-value is `interval.two_sided_p_value` of it.
    """
    rows_a, rows_b = effective_n(n_a, n_squares_a), effective_n(n_b, n_squares_b)
    if not (n_a > 0 and n_b > 0 and rows_a > 0 and rows_b > 0):
        return None
    rate_a, rate_b = successes_a / n_a, successes_b / n_b
    pooled = (rate_a * rows_a + rate_b * rows_b) / (rows_a + rows_b)
    error = math.sqrt(max(pooled * (1 - pooled), 0.0) * (1 / rows_a + 1 / rows_b))
    return float((rate_a - rate_b) / error) if error > 0 else 0.0


def runs_of_equal_values(values: Sequence[Any] | np.ndarray) -> list[ValueRun]:
    """Runs of equal neighbours in order. None and NaN equal no value, so each is a run of length 1.

    Parameters
    ----------
    values : Sequence[Any] | np.ndarray
        Values in order.

    Returns
    -------
    list[ValueRun]
    """
    runs: list[ValueRun] = []
    for position, value in enumerate(values):
        last = runs[-1] if runs else None
        if last is not None and value is not None and value == last.value:
            runs[-1] = ValueRun(last.start, last.length + 1, last.value)
        else:
            runs.append(ValueRun(position, 1, value))
    return runs


def needed_n_for_proportion(p: float, effect: float, power: float = 0.8, confidence: float = 0.95) -> int | None:
    """The number of rows on each side that is needed to detect a change of a proportion from p to p + effect (two-sided z test).

    Parameters
    ----------
    p : float
        Proportion before.
    effect : float
        Change to detect.
    power : float
        Probability of detection.
    confidence : float
        1 - level of the test.

    Returns
    -------
    int | None
        None without an effect, or where p + effect is not a proportion.

    References
    ----------
    * Fleiss (1981), Statistical Methods for Rates and Proportions.
    """
    q = p + effect
    if effect == 0 or not (0 <= p <= 1 and 0 <= q <= 1):
        return None
    middle = (p + q) / 2
    chance, miss = float(ndtri(0.5 + confidence / 2)), float(ndtri(power))
    root = chance * np.sqrt(2 * middle * (1 - middle)) + miss * np.sqrt(p * (1 - p) + q * (1 - q))
    return int(np.ceil((root / effect) ** 2))


def needed_n_for_psi(limit: float, bins: int, n_reference: float | None = None, quantile: float = 0.95) -> int | None:
    """Number of current rows from which a PSI above `limit` occurs by chance in at most 1 - quantile of the windows.

    Parameters
    ----------
    limit : float
        PSI limit.
    bins : int
        Bins that hold rows.
    n_reference : float | None
        Reference rows; None for a reference so large that it adds nothing.
    quantile : float
        Share of clean windows below the limit.

    Returns
    -------
    int | None
        None if the reference alone is too small for the limit.
    """
    if bins <= 1:
        return 1
    share = limit / float(chdtri(bins - 1, 1 - quantile)) - (1 / n_reference if n_reference else 0.0)
    return int(np.ceil(1 / share)) if share > 0 else None
