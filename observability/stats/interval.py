"""Confidence intervals from counts and sums.

Every function returns an `Interval` with low ≤ value ≤ high if all three are known. All are None if nothing was counted; low and high alone
are None if they are unknown (a mean of one row). Counts may be weighted: pass Σw for rows and Σw² where a function takes it, and the
interval uses the effective n = (Σw)² / Σw² (Kish 1965).

For a precision use `rate_interval(true_positives, true_positives + false_positives)`, for a recall `rate_interval(true_positives,
positives)`, for log loss, Brier, MAE and bias `mean_interval` of their sums.
"""

from dataclasses import dataclass
from math import isfinite, isnan
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from observability.stats.arrays import Floats

CONFIDENCE = 0.95
"""Default coverage of an interval."""
FEW, SMALLEST = 12.0, 1e-9
"""Number of hits or misses from which Wilson's interval is wider than the exact bound anyway."""
ROUNDING = 1e-14
"""A variance that is a smaller share of the mean square than this counts as the rounding error of sums of equal numbers."""


@dataclass(frozen=True)
class Interval:
    """A value, a confidence interval about it, and the (effective) number of rows behind it."""

    value: float | None
    low: float | None
    high: float | None
    n: float

    @property
    def triple(self) -> tuple[float | None, float | None, float | None]:
        """Value, low and high, as columns of a table."""
        return self.value, self.low, self.high

    @property
    def fields(self) -> dict[str, Any]:
        """Value, low and high, as keyword arguments of a finding."""
        return {"value": self.value, "low": self.low, "high": self.high}


@dataclass(frozen=True)
class Moments:
    """Sums of one measure: n = Σw, total = Σwx, squares = Σwx², n_squares = Σw² (None: unweighted, then Σw² = n)."""

    n: float
    total: float
    squares: float
    n_squares: float | None = None

    @property
    def effective_n(self) -> float:
        """(Σw)² / Σw²: rows of an unweighted sample with the same information."""
        return effective_n(self.n, self.n_squares)

    @property
    def mean(self) -> float:
        """Σwx / Σw; NaN without rows."""
        return self.total / self.n if self.n > 0 else float("nan")

    @property
    def variance(self) -> float:
        """Unbiased sample variance; NaN below two effective rows. The rounding error of equal values counts as 0."""
        rows = self.effective_n
        if rows < 2 - 1e-9:
            return float("nan")
        squares = self.squares / self.n
        left = squares - self.mean**2
        return left * rows / (rows - 1) if left > ROUNDING * squares else 0.0

    @property
    def variance_of_mean(self) -> float:
        """Squared standard error of the mean."""
        return self.variance / self.effective_n if self.effective_n > 0 else float("nan")


def effective_n(n: float, n_squares: float | None = None) -> float:
    """Effective sample size (Σw)² / Σw²; n itself where rows are unweighted.

    Parameters
    ----------
    n : float
        Σw.
    n_squares : float | None
        Σw² of the rows; None if they are unweighted.

    Returns
    -------
    float
        0 without rows.

    References
    ----------
    * Kish (1965), Survey Sampling.
    """
    if n_squares is None or n <= 0:
        return max(float(n), 0.0)
    return float(n) ** 2 / n_squares


def ordered_interval(value: float, low: float, high: float, n: float) -> Interval:
    """An Interval in which low ≤ value ≤ high holds in spite of rounding errors; NaN becomes None.

    Parameters
    ----------
    value : float
        Value.
    low : float
        Lower bound.
    high : float
        Upper bound.
    n : float
        (Effective) rows.

    Returns
    -------
    Interval
    """
    if not isfinite(value):
        return Interval(None, None, None, float(n))
    if isnan(low) or isnan(high):
        return Interval(float(value), None, None, float(n))
    return Interval(float(value), float(min(low, value)), float(max(high, value)), float(n))


def two_sided_p_value(z: ArrayLike) -> Floats:
    """Probability that a standard normal number is at least as far from 0 as z.

    Parameters
    ----------
    z : ArrayLike
        Standard scores.

    Returns
    -------
    Floats
    """
    from scipy.special import ndtr

    return np.asarray(2 * ndtr(-np.abs(np.asarray(z, np.float64))), np.float64)


def normal_quantile(confidence: float) -> float:
    """Standard normal quantile that leaves (1 - confidence) / 2 above it: 1.96 at 0.95.

    Parameters
    ----------
    confidence : float
        Coverage of the interval.

    Returns
    -------
    float
    """
    from scipy.special import ndtri

    return float(ndtri(0.5 + confidence / 2))


def rate_interval(successes: float, n: float, n_squares: float | None = None, confidence: float = 0.95) -> Interval:
    """A proportion with Wilson's interval, widened where hits or misses are few.

    Wilson's 95 % interval covers only 90 % at n p of 0.1 to 0.2 and 92 % at n p of 1, because its end on the side of 0 or 1 is too near to
    the value. Here that end is at least as far from the value as the exact one-sided bound. Coverage, computed exactly, is then at least
    92.3 % from ten rows on and at any rate.

    Parameters
    ----------
    successes : float
        Σw of the successes.
    n : float
        Σw of the rows.
    n_squares : float | None
        Σw² of the rows; None if they are unweighted.
    confidence : float
        Coverage of the interval.

    Returns
    -------
    Interval

    References
    ----------
    * Brown, Cai and DasGupta (2001), Interval estimation for a binomial proportion.
    * Clopper and Pearson (1934), The use of confidence or fiducial limits illustrated in the case of the binomial.
    """
    if not n > 0:
        return Interval(None, None, None, 0.0)
    rate, rows = successes / n, effective_n(n, n_squares)
    low, high = widened_wilson_bounds(rate, rows, confidence)
    return ordered_interval(rate, float(low), float(high), rows)


def rate_intervals(successes: ArrayLike, n: ArrayLike, n_squares: ArrayLike | None = None, confidence: float = 0.95) -> list[Interval]:
    """The intervals of many proportions, each computed as by `rate_interval`.

    Parameters
    ----------
    successes : ArrayLike
        Σw of the successes of each.
    n : ArrayLike
        Σw of the rows of each.
    n_squares : ArrayLike | None
        Σw² of the rows of each; None if they are unweighted.
    confidence : float
        Coverage of the interval.

    Returns
    -------
    list[Interval]
    """
    held, total = np.asarray(successes, np.float64), np.asarray(n, np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        rates, rows = held / total, total if n_squares is None else total**2 / np.asarray(n_squares, np.float64)
    low, high = widened_wilson_bounds(rates, rows, confidence)
    ends = zip(total.tolist(), rates.tolist(), low.tolist(), high.tolist(), rows.tolist(), strict=True)
    return [ordered_interval(rate, *rest) if count > 0 else Interval(None, None, None, 0.0) for count, rate, *rest in ends]


def wilson_interval(successes: float, n: float, n_squares: float | None = None, confidence: float = 0.95) -> Interval:
    """A proportion with Wilson's score interval, on which Newcombe's differences are built.

    Parameters
    ----------
    successes : float
        Σw of the successes.
    n : float
        Σw of the rows.
    n_squares : float | None
        Σw² of the rows; None if they are unweighted.
    confidence : float
        Coverage of the interval.

    Returns
    -------
    Interval

    References
    ----------
    * Wilson (1927), Probable inference, the law of succession, and statistical inference.
    """
    if not n > 0:
        return Interval(None, None, None, 0.0)
    rows, rate = effective_n(n, n_squares), successes / n
    low, high = wilson_bounds(rate, rows, confidence)
    return ordered_interval(rate, float(low), float(high), rows)


def wilson_bounds(rate: ArrayLike, n: ArrayLike, confidence: float = 0.95) -> tuple[Floats, Floats]:
    """Ends of Wilson's score interval.

    Parameters
    ----------
    rate : ArrayLike
        Proportions.
    n : ArrayLike
        Effective rows.
    confidence : float
        Coverage of the interval.

    Returns
    -------
    tuple[Floats, Floats]
        (low, high); NaN without rows.
    """
    share, rows, z = np.asarray(rate, np.float64), np.asarray(n, np.float64), normal_quantile(confidence)
    with np.errstate(invalid="ignore", divide="ignore"):
        half = z * np.sqrt(np.maximum(share * (1 - share), 0.0) / rows + z**2 / (4 * rows**2))
        middle, scale = share + z**2 / (2 * rows), 1 + z**2 / rows
        return np.maximum((middle - half) / scale, 0.0), np.minimum((middle + half) / scale, 1.0)


def widened_wilson_bounds(rate: ArrayLike, n: ArrayLike, confidence: float = 0.95) -> tuple[Floats, Floats]:
    """Ends of Wilson's interval. Where hits or misses are few, the end on that side is at least as far out as the exact one-sided bound.

    Parameters
    ----------
    rate : ArrayLike
        Proportions.
    n : ArrayLike
        Effective rows.
    confidence : float
        Coverage of the interval.

    Returns
    -------
    tuple[Floats, Floats]
        (low, high); NaN without rows.
    """
    from scipy.special import betaincinv

    share, rows = np.asarray(rate, np.float64), np.asarray(n, np.float64)
    low, high = wilson_bounds(share, rows, confidence)
    hits = share * rows
    misses = rows - hits
    with np.errstate(invalid="ignore"):
        least = betaincinv(np.clip(hits, SMALLEST, FEW), misses + 1, 1 - confidence)
        most = betaincinv(hits + 1, np.clip(misses, SMALLEST, FEW), confidence)
    few_hits, few_misses = (hits > 0) & (hits < FEW), (misses > 0) & (misses < FEW)
    return np.where(few_hits, np.minimum(low, least), low), np.where(few_misses, np.maximum(high, most), high)


def mean_interval(sums: Moments, confidence: float = 0.95) -> Interval:
    """A mean with Student's interval at effective n - 1 degrees of freedom.

    Parameters
    ----------
    sums : Moments
        Sums of the measure.
    confidence : float
        Coverage of the interval.

    Returns
    -------
    Interval
        No bounds below two effective rows.
    """
    from scipy.special import stdtrit

    rows = sums.effective_n
    half = stdtrit(rows - 1, 0.5 + confidence / 2) * np.sqrt(sums.variance_of_mean) if rows > 1 else float("nan")
    return ordered_interval(sums.mean, sums.mean - half, sums.mean + half, rows)


def poisson_rate_interval(count: float, exposure: float = 1.0, confidence: float = 0.95) -> Interval:
    """Rate of events per unit of exposure with the exact interval.

    Parameters
    ----------
    count : float
        Number of events.
    exposure : float
        Exposure.
    confidence : float
        Coverage of the interval.

    Returns
    -------
    Interval
        n is the count; unknown without exposure.

    References
    ----------
    * Garwood (1936), Fiducial limits for the Poisson distribution.
    """
    from scipy.special import gammainccinv, gammaincinv

    if not exposure > 0:
        return Interval(None, None, None, 0.0)
    tail = (1 - confidence) / 2
    low = float(gammaincinv(count, tail)) if count > 0 else 0.0
    return ordered_interval(count / exposure, low / exposure, float(gammainccinv(count + 1, tail)) / exposure, count)
