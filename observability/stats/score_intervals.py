"""Confidence intervals of metrics of a model: F1, ROC AUC, average precision, RMSE, R² and averages over classes.

As in `interval.py`, low ≤ value ≤ high, None if unknown.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from observability.stats.confusion import average_ranks
from observability.stats.interval import Interval, Moments, effective_n, normal_quantile, ordered_interval, wilson_interval


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
        (AUC, variance). Both are NaN if a class has no rows; the variance alone is NaN if a class has one row.

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

    If the classes are separated perfectly, the variance is 0 and uninformative. The open end is then Wilson's bound at the smaller class.

    Parameters
    ----------
    positive_counts : ArrayLike
        Rows with a positive label, by ordered score bin.
    negative_counts : ArrayLike
        Rows with a negative label, by ordered score bin.
    positive_squares : float | None
        Σw² of the positives; None if they are unweighted.
    negative_squares : float | None
        Σw² of the negatives; None if they are unweighted.
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
    """Confidence whose normal quantile equals Student's quantile at `rows` - 1 degrees of freedom. The smaller class limits how well a
    variance is known.
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

    Squares are skewed, and a small sample misses their tail. So the quantile is Student's at a tenth of the rows.

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

    The counts hold neither the label's fourth moment nor its covariance with the errors. So the label's squares are assumed to vary like
    the squared errors, but at least like squares of a normal variable. The covariance is assumed to be 0. This is conservative if large
    errors go with extreme labels.

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
        Unknown if the labels do not vary.
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
