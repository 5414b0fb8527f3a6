"""Confidence intervals from counts and sums.

Every function returns an `Interval`: low ≤ value ≤ high where all three are given. All are None where nothing was counted; low and
high alone are None where they are unknown (a mean of one row). Counts may be weighted: pass Σw for rows and Σw² where a function
takes it, and the interval uses the effective n = (Σw)² / Σw² (Kish 1965).

For a precision use `rate_interval(true_positives, true_positives + false_positives)`, for a recall `rate_interval(true_positives,
positives)`, for log loss, Brier, MAE and bias `mean_interval` of their sums.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite, isnan
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from observability.stats.arrays import Floats
from observability.stats.confusion import average_ranks

CONFIDENCE = 0.95
"""Coverage of an interval where no other is asked for."""
FEW, SMALLEST = 12.0, 1e-9
"""Hits or misses from which Wilson's interval is the wider one anyway."""
ROUNDING = 1e-14
"""A variance that is a smaller part of the mean square than this is the rounding error of sums of equal numbers."""


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
        Σw² of the rows; None where they are unweighted.

    Returns
    -------
    float

    References
    ----------
    * Kish (1965), Survey Sampling.
    """
    if n_squares is None or n <= 0:
        return max(float(n), 0.0)
    return float(n) ** 2 / n_squares


def ordered_interval(value: float, low: float, high: float, n: float) -> Interval:
    """An Interval with low ≤ value ≤ high against rounding; NaN becomes None.

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
    """Probability that a standard normal number is as far from 0.

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

    Wilson's 95 % interval covers 90 % at n p of 0.1 to 0.2 and 92 % at 1, since the end nearer to 0 or 1 comes too near. Here that
    end is no nearer than the exact one-sided bound; computed exactly, coverage is at least 92.3 % from ten rows on and at any rate.

    Parameters
    ----------
    successes : float
        Σw of the successes.
    n : float
        Σw of the rows.
    n_squares : float | None
        Σw² of the rows; None where they are unweighted.
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


def wilson_interval(successes: float, n: float, n_squares: float | None = None, confidence: float = 0.95) -> Interval:
    """A proportion with Wilson's score interval, on which Newcombe's differences are built.

    Parameters
    ----------
    successes : float
        Σw of the successes.
    n : float
        Σw of the rows.
    n_squares : float | None
        Σw² of the rows; None where they are unweighted.
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
        (low, high).
    """
    share, rows, z = np.asarray(rate, np.float64), np.asarray(n, np.float64), normal_quantile(confidence)
    with np.errstate(invalid="ignore", divide="ignore"):
        half = z * np.sqrt(np.maximum(share * (1 - share), 0.0) / rows + z**2 / (4 * rows**2))
        middle, scale = share + z**2 / (2 * rows), 1 + z**2 / rows
        return np.maximum((middle - half) / scale, 0.0), np.minimum((middle + half) / scale, 1.0)


def widened_wilson_bounds(rate: ArrayLike, n: ArrayLike, confidence: float = 0.95) -> tuple[Floats, Floats]:
    """Ends of Wilson's interval, no nearer to few hits or few misses than the exact one-sided bounds.

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
        (low, high).
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


def difference_interval(a: Interval, b: Interval) -> Interval:
    """Difference a - b of two independent measurements, from their own intervals (MOVER).

    Of two Wilson intervals this is Newcombe's hybrid score interval.

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


def macro_average_interval(parts: Sequence[Interval]) -> Interval:
    """Plain mean of independent measurements (a macro average over classes), by MOVER.

    Parameters
    ----------
    parts : Sequence[Interval]
        Measurements.

    Returns
    -------
    Interval
        n is their sum; unknown where a part is.

    References
    ----------
    * Zou and Donner (2008), Construction of confidence limits about effect measures.
    """
    n = sum(part.n for part in parts)
    if not parts or any(part.value is None for part in parts):
        return Interval(None, None, None, n)
    value, low, high = (np.array([getattr(part, end) for part in parts], float) for end in ("value", "low", "high"))
    mean = value.mean()
    return ordered_interval(mean, mean - np.linalg.norm(value - low) / len(parts), mean + np.linalg.norm(high - value) / len(parts), n)


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
        Σw² of side a; None where it is unweighted.
    n_squares_b : float | None
        Σw² of side b; None where it is unweighted.
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
        """Falls in the ratio; z at the low end, -z at the high end."""
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
    """Difference of two proportions on the same rows, a - b, from the rows where only one of them holds.

    For the mean of paired differences of numbers use `mean_interval` of the differences' sums.

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


def f1_interval(true_positives: float, false_positives: float, false_negatives: float, confidence: float = 0.95) -> Interval:
    """F1 = 2J / (1 + J), with Wilson's interval of the Jaccard share J = TP / (TP + FP + FN), in which F1 is increasing.

    Parameters
    ----------
    true_positives : float
        True positives.
    false_positives : float
        False positives.
    false_negatives : float
        False negatives.
    confidence : float
        Coverage of the interval.

    Returns
    -------
    Interval
        n is TP + FP + FN.
    """
    share = wilson_interval(true_positives, true_positives + false_positives + false_negatives, None, confidence)
    if share.value is None or share.low is None or share.high is None:
        return share
    value, low, high = (2 * each / (1 + each) for each in (share.value, share.low, share.high))
    return ordered_interval(value, low, high, share.n)


def delong_auc(positive_counts: ArrayLike, negative_counts: ArrayLike) -> tuple[float, float]:
    """ROC AUC and its variance from counts of ordered score bins; scores in one bin are ties.

    Parameters
    ----------
    positive_counts : ArrayLike
        Rows with a positive label, by ordered score bin.
    negative_counts : ArrayLike
        Rows with a negative label, by ordered score bin.

    Returns
    -------
    tuple[float, float]
        NaN where a class has no rows; the variance alone where a class has one.

    References
    ----------
    * DeLong, DeLong and Clarke-Pearson (1988), Comparing the areas under two or more correlated ROC curves.
    """
    positive, negative = np.asarray(positive_counts, np.float64), np.asarray(negative_counts, np.float64)
    m, n = positive.sum(), negative.sum()
    if m <= 0 or n <= 0:
        return float("nan"), float("nan")
    below_positive, below_negative = average_ranks(negative) / n, 1 - average_ranks(positive) / m
    auc = float(positive @ below_positive / m)
    if m <= 1 or n <= 1:
        return auc, float("nan")
    variance = positive @ (below_positive - auc) ** 2 / (m - 1) / m + negative @ (below_negative - auc) ** 2 / (n - 1) / n
    return auc, float(variance)


def auc_interval(
    positive_counts: ArrayLike,
    negative_counts: ArrayLike,
    positive_squares: float | None = None,
    negative_squares: float | None = None,
    confidence: float = 0.95,
) -> Interval:
    """ROC AUC with DeLong's interval in the log odds, at Student's quantile for the smaller class.

    Where the classes are separated perfectly the variance is 0 and uninformative: the open end is then Wilson's bound at the smaller
    class.

    Parameters
    ----------
    positive_counts : ArrayLike
        Rows with a positive label, by ordered score bin.
    negative_counts : ArrayLike
        Rows with a negative label, by ordered score bin.
    positive_squares : float | None
        Σw² of the positives; None where they are unweighted.
    negative_squares : float | None
        Σw² of the negatives; None where they are unweighted.
    confidence : float
        Coverage of the interval.

    Returns
    -------
    Interval
        n is all rows.

    References
    ----------
    * DeLong, DeLong and Clarke-Pearson (1988), Comparing the areas under two or more correlated ROC curves.
    """
    positive, negative = np.asarray(positive_counts, np.float64), np.asarray(negative_counts, np.float64)
    rows = [effective_n(positive.sum(), positive_squares), effective_n(negative.sum(), negative_squares)]
    auc, variance = delong_auc(*(side * (n / side.sum() if n > 0 else 1.0) for side, n in zip((positive, negative), rows, strict=True)))
    if np.isnan(variance):
        return ordered_interval(auc, np.nan, np.nan, sum(rows))
    if variance <= 0 or not 0 < auc < 1:
        bound = wilson_interval(auc * min(rows), min(rows), None, confidence)
        return ordered_interval(auc, bound.low or 0.0, 1.0 if bound.high is None else bound.high, sum(rows))
    return ordered_interval(auc, *log_odds_interval(auc, np.sqrt(variance), _small_class_confidence(confidence, min(rows))), sum(rows))


def _small_class_confidence(confidence: float, rows: float) -> float:
    """Normal confidence whose quantile is Student's at `rows` - 1 degrees of freedom; the smaller class limits how well a variance is
    known.
    """
    from scipy.special import ndtr, stdtrit

    return float(2 * ndtr(stdtrit(max(rows - 1, 1.0), 0.5 + confidence / 2)) - 1)


def average_precision_interval(value: float | None, positives: float, confidence: float = 0.95) -> Interval:
    """PR AUC with the interval of a share of the positives in the log odds.

    Parameters
    ----------
    value : float | None
        Average precision.
    positives : float
        Effective number of positives.
    confidence : float
        Coverage of the interval.

    Returns
    -------
    Interval
        n is the positives.

    References
    ----------
    * Boyd, Eng and Page (2013), Area under the precision-recall curve: point estimates and confidence intervals.
    """
    if value is None or not positives > 0:
        return Interval(None, None, None, max(positives, 0.0))
    if not 0 < value < 1:
        bound = wilson_interval(value * positives, positives, None, confidence)
        return Interval(value, bound.low, bound.high, positives)
    return ordered_interval(value, *log_odds_interval(value, np.sqrt(value * (1 - value) / positives), confidence), positives)


def log_odds_interval(value: float, error: float, confidence: float) -> tuple[float, float]:
    """Ends of value ± z standard errors in the log odds, so that they stay inside 0 and 1.

    Parameters
    ----------
    value : float
        Value between 0 and 1.
    error : float
        Standard error.
    confidence : float
        Coverage of the interval.

    Returns
    -------
    tuple[float, float]
        (low, high).
    """
    centre, half = np.log(value / (1 - value)), normal_quantile(confidence) * error / (value * (1 - value))
    low, high = 1 / (1 + np.exp(np.clip(np.array([half - centre, -half - centre]), -700, 700)))
    return float(low), float(high)


def _small_sample_quantile(confidence: float, n: float) -> float:
    """Student's quantile at n / 10 degrees of freedom, at least 2: for means of squares, whose tail a small sample seldom holds."""
    from scipy.special import stdtrit

    return float(stdtrit(max(n / 10, 2.0), 0.5 + confidence / 2))


def rmse_interval(squared_error: Moments, confidence: float = 0.95) -> Interval:
    """Root mean squared error by the delta method on its logarithm.

    Squares are skewed, and a small sample misses their tail: the quantile is Student's at a tenth of the rows.

    Parameters
    ----------
    squared_error : Moments
        Sums of squared errors (Σe², Σe⁴).
    confidence : float
        Coverage of the interval.

    Returns
    -------
    Interval
    """
    mean = squared_error.mean
    if not mean > 0:
        return ordered_interval(mean, mean, mean, squared_error.effective_n)
    half = _small_sample_quantile(confidence, squared_error.effective_n) * np.sqrt(squared_error.variance_of_mean) / (2 * mean)
    return ordered_interval(np.sqrt(mean), np.sqrt(mean) * np.exp(-half), np.sqrt(mean) * np.exp(half), squared_error.effective_n)


def r2_interval(squared_error: Moments, label: Moments, confidence: float = 0.95) -> Interval:
    """R² = 1 - Σe² / Σ(y - ȳ)², by the delta method on the logarithm of that ratio.

    The counts hold neither the label's fourth moment nor its covariance with the errors: its squares are taken to vary like the
    squared errors', at least like those of a normal, and the covariance to be 0. Where large errors go with extreme labels this is
    conservative.

    Parameters
    ----------
    squared_error : Moments
        Sums of squared errors.
    label : Moments
        Sums of the labels.
    confidence : float
        Coverage of the interval.

    Returns
    -------
    Interval
        Unknown where the labels do not vary.
    """
    rows = squared_error.effective_n
    variance = max(label.squares / label.n - label.mean**2, 0.0) if label.n > 0 else 0.0
    if not variance > 1e-12 * label.squares / max(label.n, 1.0) or not rows > 0:
        return Interval(None, None, None, rows)
    ratio = squared_error.mean / variance
    if ratio <= 0:
        return ordered_interval(1.0, 1.0, 1.0, rows)
    relative = (np.sqrt(squared_error.variance_of_mean) / squared_error.mean) ** 2
    half = normal_quantile(confidence) * np.sqrt(relative + max(relative, 2 / rows))
    return ordered_interval(1 - ratio, 1 - ratio * np.exp(half), 1 - ratio * np.exp(-half), rows)
