"""How sure is a measured number, given counts and sums only?

Every function gives an `Interval`: low ≤ value ≤ high where all three are given. value, low and high are None where nothing was counted; low
and high alone are None where one cannot tell (a mean of one row). Counts may be weighted: pass Σw where rows are asked and give Σw² where a
function takes it, and the interval uses the effective n = (Σw)² / Σw² (Kish 1965).

For a precision use `rate_interval(true_positives, true_positives + false_positives)`, for a recall `rate_interval(true_positives, positives)`,
for log loss, Brier, MAE and bias `mean_interval` of their sums.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite, isnan

import numpy as np
from numpy.typing import ArrayLike, NDArray

from observability.stats.confusion import average_ranks

FEW, SMALLEST = 12.0, 1e-9
"""Hits or misses from which Wilson's interval is the wider one anyway."""
ROUNDING = 1e-14
"""A variance that is a smaller part of the mean square than this is what sums of equal numbers leave by rounding."""


@dataclass(frozen=True)
class Interval:
    """A value, a confidence interval about it, and the (effective) number of rows behind it."""

    value: float | None
    low: float | None
    high: float | None
    n: float


@dataclass(frozen=True)
class Moments:
    """Sums of one measure: n = Σw, total = Σwx, squares = Σwx², n_squares = Σw² (None: unweighted, then Σw² = n)."""

    n: float
    total: float
    squares: float
    n_squares: float | None = None

    @property
    def effective_n(self) -> float:
        """(Σw)² / Σw²: the rows that an unweighted sample as informative would have."""
        return effective_n(self.n, self.n_squares)

    @property
    def mean(self) -> float:
        """Σwx / Σw; NaN without rows."""
        return self.total / self.n if self.n > 0 else float("nan")

    @property
    def variance(self) -> float:
        """Unbiased sample variance; NaN below two effective rows. What is left of equal values by rounding alone is 0."""
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
    """(Σw)² / Σw²; n itself where rows are unweighted."""
    if n_squares is None or n <= 0:
        return max(float(n), 0.0)
    return float(n) ** 2 / n_squares


def interval(value: float, low: float, high: float, n: float) -> Interval:
    """An Interval that keeps low ≤ value ≤ high against rounding; NaN becomes None."""
    if not isfinite(value):
        return Interval(None, None, None, float(n))
    if isnan(low) or isnan(high):
        return Interval(float(value), None, None, float(n))
    return Interval(float(value), float(min(low, value)), float(max(high, value)), float(n))


def normal_quantile(confidence: float) -> float:
    """Standard normal quantile that leaves (1 - confidence) / 2 above it: 1.96 at 0.95."""
    from scipy.special import ndtri

    return float(ndtri(0.5 + confidence / 2))


def rate_interval(successes: float, n: float, n_squares: float | None = None, confidence: float = 0.95) -> Interval:
    """A proportion with Wilson's interval, opened where hits or misses are few. Weighted: successes = Σw of those, n = Σw, n_squares = Σw².

    Wilson's 95 % interval holds 90 % at n p of 0.1 to 0.2 and 92 % at 1, as the end that is nearer to 0 or 1 comes too near (Brown, Cai and DasGupta 2001). That
    end is no nearer here than the exact one-sided bound (Clopper and Pearson 1934); counted exactly it holds at least 92.3 % from ten rows on and any rate.
    """
    found = wilson_interval(successes, n, n_squares, confidence)
    if found.value is None or found.low is None or found.high is None:
        return found
    low, high = opened(found.value, found.low, found.high, found.n, confidence)
    return interval(found.value, float(low), float(high), found.n)


def opened(
    rate: ArrayLike, low: ArrayLike, high: ArrayLike, rows: ArrayLike, confidence: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The ends of Wilson's intervals, no nearer to few hits or few misses than the exact one-sided bounds."""
    from scipy.special import betaincinv

    hits = np.asarray(rate) * np.asarray(rows)
    misses = np.asarray(rows) - hits
    least = betaincinv(np.clip(hits, SMALLEST, FEW), misses + 1, 1 - confidence)
    most = betaincinv(hits + 1, np.clip(misses, SMALLEST, FEW), confidence)
    few_hits, few_misses = (hits > 0) & (hits < FEW), (misses > 0) & (misses < FEW)
    return np.where(few_hits, np.minimum(low, least), low), np.where(few_misses, np.maximum(high, most), high)


def wilson_interval(successes: float, n: float, n_squares: float | None = None, confidence: float = 0.95) -> Interval:
    """A proportion with Wilson's score interval (Wilson 1927), of which Newcombe's differences are made."""
    if not n > 0:
        return Interval(None, None, None, 0.0)
    rows, rate, z = effective_n(n, n_squares), successes / n, normal_quantile(confidence)
    middle = rate + z**2 / (2 * rows)
    half = z * np.sqrt(rate * (1 - rate) / rows + z**2 / (4 * rows**2))
    scale = 1 + z**2 / rows
    return interval(rate, max((middle - half) / scale, 0.0), min((middle + half) / scale, 1.0), rows)


def mean_interval(sums: Moments, confidence: float = 0.95) -> Interval:
    """A mean with Student's interval at effective n - 1 degrees of freedom; no low and high below two effective rows."""
    from scipy.special import stdtrit

    rows = sums.effective_n
    half = stdtrit(rows - 1, 0.5 + confidence / 2) * np.sqrt(sums.variance_of_mean) if rows > 1 else float("nan")
    return interval(sums.mean, sums.mean - half, sums.mean + half, rows)


def poisson_rate_interval(count: float, exposure: float = 1.0, confidence: float = 0.95) -> Interval:
    """A rate of events per unit of exposure with the exact interval (Garwood 1936). n is the count; unknown without exposure."""
    from scipy.special import gammainccinv, gammaincinv

    if not exposure > 0:
        return Interval(None, None, None, 0.0)
    tail = (1 - confidence) / 2
    low = float(gammaincinv(count, tail)) if count > 0 else 0.0
    return interval(count / exposure, low / exposure, float(gammainccinv(count + 1, tail)) / exposure, count)


def difference_interval(a: Interval, b: Interval) -> Interval:
    """Difference a - b of two independent measurements, from their own intervals (MOVER: Zou and Donner 2008). n is the smaller one.

    Of two Wilson intervals this is Newcombe's hybrid score interval. Unknown where a side is.
    """
    if a.value is None or b.value is None:
        return Interval(None, None, None, min(a.n, b.n))
    value = a.value - b.value
    if a.low is None or a.high is None or b.low is None or b.high is None:
        return Interval(value, None, None, min(a.n, b.n))
    low = value - np.hypot(a.value - a.low, b.high - b.value)
    return interval(value, low, value + np.hypot(a.high - a.value, b.value - b.low), min(a.n, b.n))


def average_interval(parts: Sequence[Interval]) -> Interval:
    """The plain mean of independent measurements (a macro average over classes), by MOVER. Unknown where a part is; n is their sum."""
    n = sum(part.n for part in parts)
    if not parts or any(part.value is None for part in parts):
        return Interval(None, None, None, n)
    value, low, high, _ = as_array(parts).T
    mean = value.mean()
    return interval(mean, mean - np.linalg.norm(value - low) / len(parts), mean + np.linalg.norm(high - value) / len(parts), n)


def rate_difference_interval(
    successes_a: float,
    n_a: float,
    successes_b: float,
    n_b: float,
    n_squares_a: float | None = None,
    n_squares_b: float | None = None,
    confidence: float = 0.95,
) -> Interval:
    """Difference of two independent proportions, a - b, with Newcombe's hybrid score interval (Newcombe 1998, method 10)."""
    a = wilson_interval(successes_a, n_a, n_squares_a, confidence)
    return difference_interval(a, wilson_interval(successes_b, n_b, n_squares_b, confidence))


def rate_ratio_interval(
    successes_a: float,
    n_a: float,
    successes_b: float,
    n_b: float,
    n_squares_a: float | None = None,
    n_squares_b: float | None = None,
    confidence: float = 0.95,
) -> Interval:
    """Ratio of two independent proportions, a / b, with Koopman's score interval (Koopman 1984).

    Without successes in b the value and high are None (low is still told); without rows on a side, or successes anywhere, all are.
    """
    rows_a, rows_b = effective_n(n_a, n_squares_a), effective_n(n_b, n_squares_b)
    n = min(rows_a, rows_b)
    if n <= 0 or successes_a + successes_b <= 0:
        return Interval(None, None, None, n)
    x, y, z = successes_a / n_a * rows_a, successes_b / n_b * rows_b, normal_quantile(confidence)

    def score(log_ratio: float) -> float:
        """Falls in the ratio; z at the low end, -z at the high end."""
        ratio = np.exp(log_ratio)
        square, slope = (rows_a + rows_b) * ratio, (rows_a + y) * ratio + x + rows_b
        p_b = 2 * (x + y) / (slope + np.sqrt(max(slope**2 - 4 * square * (x + y), 0.0)))
        p_a = min(p_b * ratio, 1.0)
        variance = p_a * (1 - p_a) / rows_a + ratio**2 * p_b * max(1 - p_b, 0.0) / rows_b
        return float((x / rows_a - ratio * y / rows_b) / np.sqrt(max(variance, 1e-300)))

    low = float(np.exp(falling_root(score, z))) if x > 0 else 0.0
    if y <= 0:
        return Interval(None, low, None, n)
    return interval((x / rows_a) / (y / rows_b), low, float(np.exp(falling_root(score, -z))), n)


def falling_root(function: Callable[[float], float], level: float, low: float = -40.0, high: float = 40.0) -> float:
    """Where a falling function passes a level, by bisection to 1e-13."""
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) > level else (low, middle)
    return (low + high) / 2


def mean_difference_interval(a: Moments, b: Moments, confidence: float = 0.95) -> Interval:
    """Difference of two independent means, a - b, with Welch's interval (Welch 1947)."""
    from scipy.special import stdtrit

    rows = min(a.effective_n, b.effective_n)
    square_a, square_b = a.variance_of_mean, b.variance_of_mean
    value, square = a.mean - b.mean, square_a + square_b
    half = square
    if square > 0:
        share = square_a / square
        freedom = 1 / (share**2 / (a.effective_n - 1) + (1 - share) ** 2 / (b.effective_n - 1))
        half = stdtrit(freedom, 0.5 + confidence / 2) * np.sqrt(square)
    return interval(value, value - half, value + half, rows)


def paired_rate_difference_interval(only_a: float, only_b: float, n: float, confidence: float = 0.95) -> Interval:
    """Difference of two proportions on the same n rows, a - b, from the rows where only one of them holds (Bonett and Price 2012).

    For the mean of paired differences of numbers use `mean_interval` of the differences' sums.
    """
    if not n > 0:
        return Interval(None, None, None, 0.0)
    p, q, z = (only_a + 1) / (n + 2), (only_b + 1) / (n + 2), normal_quantile(confidence)
    half = z * np.sqrt(max(p + q - (p - q) ** 2, 0.0) / (n + 2))
    return interval((only_a - only_b) / n, max(p - q - half, -1.0), min(p - q + half, 1.0), n)


def f1_interval(true_positives: float, false_positives: float, false_negatives: float, confidence: float = 0.95) -> Interval:
    """F1 = 2J / (1 + J), with Wilson's interval of the Jaccard share J = TP / (TP + FP + FN), which F1 rises with. n is TP + FP + FN."""
    share = wilson_interval(true_positives, true_positives + false_positives + false_negatives, None, confidence)
    if share.value is None or share.low is None or share.high is None:
        return share
    value, low, high = (2 * each / (1 + each) for each in (share.value, share.low, share.high))
    return interval(value, low, high, share.n)


def delong(positive_counts: ArrayLike, negative_counts: ArrayLike) -> tuple[float, float]:
    """ROC AUC and its variance from counts of ordered score bins (DeLong, DeLong and Clarke-Pearson 1988; scores in one bin are ties).

    NaN where a class has no rows; the variance alone where a class has one.
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
    """ROC AUC from counts of ordered score bins by label, with DeLong's interval in the log odds (Student's quantile at the
    smaller class). n is all rows.

    Where the classes are separated perfectly the variance is 0 and says nothing: the open end is then Wilson's bound at the smaller class.
    positive_squares, negative_squares: Σw² of each class where the counts are weighted.
    """
    positive, negative = np.asarray(positive_counts, np.float64), np.asarray(negative_counts, np.float64)
    rows = [effective_n(positive.sum(), positive_squares), effective_n(negative.sum(), negative_squares)]
    auc, variance = delong(*(side * (n / side.sum() if n > 0 else 1.0) for side, n in zip((positive, negative), rows, strict=True)))
    if np.isnan(variance):
        return interval(auc, np.nan, np.nan, sum(rows))
    if variance <= 0 or not 0 < auc < 1:
        bound = wilson_interval(auc * min(rows), min(rows), None, confidence)
        return interval(auc, bound.low or 0.0, 1.0 if bound.high is None else bound.high, sum(rows))
    return interval(auc, *log_odds_interval(auc, np.sqrt(variance), confidence_of_small(confidence, min(rows))), sum(rows))


def confidence_of_small(confidence: float, rows: float) -> float:
    """The normal confidence whose quantile is Student's at `rows` - 1 degrees of freedom: the smaller class decides how well a variance is known."""
    from scipy.special import ndtr, stdtrit

    return float(2 * ndtr(stdtrit(max(rows - 1, 1.0), 0.5 + confidence / 2)) - 1)


def average_precision_interval(value: float | None, positives: float, confidence: float = 0.95) -> Interval:
    """PR AUC with the interval of a share of the positives in the log odds (Boyd, Eng and Page 2013). n is the positives."""
    if value is None or not positives > 0:
        return Interval(None, None, None, max(positives, 0.0))
    if not 0 < value < 1:
        bound = wilson_interval(value * positives, positives, None, confidence)
        return Interval(value, bound.low, bound.high, positives)
    return interval(value, *log_odds_interval(value, np.sqrt(value * (1 - value) / positives), confidence), positives)


def log_odds_interval(value: float, error: float, confidence: float) -> tuple[float, float]:
    """Ends of value ± z standard errors taken in the log odds, so that they stay inside 0 and 1."""
    centre, half = np.log(value / (1 - value)), normal_quantile(confidence) * error / (value * (1 - value))
    low, high = 1 / (1 + np.exp(np.clip(np.array([half - centre, -half - centre]), -700, 700)))
    return float(low), float(high)


def small_sample_quantile(confidence: float, n: float) -> float:
    """Student's quantile at a tenth of n degrees of freedom, at least 2: for means of squares, whose tail a small sample seldom holds."""
    from scipy.special import stdtrit

    return float(stdtrit(max(n / 10, 2.0), 0.5 + confidence / 2))


def rmse_interval(squared_error: Moments, confidence: float = 0.95) -> Interval:
    """Root mean squared error from the sums of squared errors (Σe², Σe⁴), by the delta method on its logarithm.

    Squares are skewed, and a small sample misses their tail: the quantile is Student's at a tenth of the rows.
    """
    mean = squared_error.mean
    if not mean > 0:
        return interval(mean, mean, mean, squared_error.effective_n)
    half = small_sample_quantile(confidence, squared_error.effective_n) * np.sqrt(squared_error.variance_of_mean) / (2 * mean)
    return interval(np.sqrt(mean), np.sqrt(mean) * np.exp(-half), np.sqrt(mean) * np.exp(half), squared_error.effective_n)


def r2_interval(squared_error: Moments, label: Moments, confidence: float = 0.95) -> Interval:
    """R² = 1 - Σe² / Σ(y - ȳ)², by the delta method on the logarithm of that ratio; unknown where the labels do not vary.

    The counts do not hold the label's fourth moment nor its covariance with the errors: its squares are taken to spread like the squared
    errors', at least like those of a normal, and the covariance to be 0. Where large errors go with extreme labels this is conservative.
    """
    rows = squared_error.effective_n
    variance = max(label.squares / label.n - label.mean**2, 0.0) if label.n > 0 else 0.0
    if not variance > 1e-12 * label.squares / max(label.n, 1.0) or not rows > 0:
        return Interval(None, None, None, rows)
    ratio = squared_error.mean / variance
    if ratio <= 0:
        return interval(1.0, 1.0, 1.0, rows)
    relative = (np.sqrt(squared_error.variance_of_mean) / squared_error.mean) ** 2
    half = normal_quantile(confidence) * np.sqrt(relative + max(relative, 2 / rows))
    return interval(1 - ratio, 1 - ratio * np.exp(half), 1 - ratio * np.exp(-half), rows)


def as_array(intervals: Sequence[Interval]) -> NDArray[np.float64]:
    """Intervals as rows of (value, low, high, n) with NaN for None, for charts and tables."""
    return np.array([[np.nan if x is None else x for x in (each.value, each.low, each.high, each.n)] for each in intervals], float).reshape(
        -1, 4
    )
