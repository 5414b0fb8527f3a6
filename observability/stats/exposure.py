"""Measures how well a statistic distinguishes members of a training set from other rows: ROC curve, AUC, true positive rates at few false
positives, and the exposure of canaries.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betainc, gammaincc

from observability.stats.arrays import Floats, Integers
from observability.stats.interval import Interval, ordered_interval, rate_interval
from observability.stats.score_intervals import auc_interval

CURVE_POINTS = 60
"""Maximum number of points that are kept of a curve, evenly spaced in the logarithm of the false positive rate."""


@dataclass(frozen=True)
class AttackCurve:
    """The ROC curve of a membership attack. false_positive, true_positive: rising, from 0 to 1. auc: with DeLong's interval."""

    false_positive: Floats
    true_positive: Floats
    auc: Interval


@dataclass(frozen=True)
class CanaryExposure:
    """How far canaries stand out among candidates. ranks: rank of each canary, 1 if the model is surer of the canary than of every
    candidate. bits: the exposure of each canary. p_value: p-value of all ranks together, for a model that has not seen the canaries.
    """

    ranks: Integers
    bits: Floats
    p_value: float


def attack_curve(members: ArrayLike, others: ArrayLike) -> AttackCurve:
    """ROC curve of a statistic that is larger for suspected members. Each side has rows, and all values are finite.

    Parameters
    ----------
    members : ArrayLike
        The statistic of rows that the model was trained on.
    others : ArrayLike
        The statistic of rows that it was not trained on.

    Returns
    -------
    AttackCurve
        One point for each distinct value, and the origin.
    """
    inside, outside = _finite(members), _finite(others)
    values = np.unique(np.concatenate([inside, outside]))
    hits = np.bincount(np.searchsorted(values, inside), minlength=len(values))
    alarms = np.bincount(np.searchsorted(values, outside), minlength=len(values))
    true = np.concatenate([[0.0], np.cumsum(hits[::-1]) / len(inside)])
    false = np.concatenate([[0.0], np.cumsum(alarms[::-1]) / len(outside)])
    return AttackCurve(false, true, auc_interval(hits, alarms))


def attack_true_positive_rate(members: ArrayLike, others: ArrayLike, rate: float, confidence: float = 0.95) -> Interval:
    """True positive rate of an attack at a false positive rate, with an interval that covers the choice of the threshold too.

    The threshold is the smallest one whose false positives stay within the rate. Its own false positive rate is uncertain: the k-th largest
    of n values has a rate that is distributed as Beta(k, n - k + 1). The lower end is the lower bound at a threshold that is too strict,
    the upper end the upper bound at a threshold that is too lenient, each with half the error probability. The interval is conservative.

    Parameters
    ----------
    members : ArrayLike
        The statistic of rows that the model was trained on.
    others : ArrayLike
        The statistic of rows that it was not trained on.
    rate : float
        The false positive rate, as 0.01.
    confidence : float
        Coverage of the interval, at least.

    Returns
    -------
    Interval
        n is the number of members.

    References
    ----------
    * Carlini and others (2022), Membership inference attacks from first principles.
    """
    inside, outside = np.sort(_finite(members)), np.sort(_finite(others))[::-1]
    n, half, error = len(outside), 1 - (1 - confidence) / 2, (1 - confidence) / 4
    places = np.arange(1, n + 1)
    below = betainc(places, n - places + 1, rate)
    strict, lenient = int((below >= 1 - error).sum()), int((below > error).sum()) + 1

    def hits(allowed: int) -> int:
        return len(inside) if allowed >= n else len(inside) - int(np.searchsorted(inside, outside[allowed], side="right"))

    value = hits(int(np.floor(rate * n + 1e-9)))
    low = rate_interval(hits(strict - 1), len(inside), confidence=half).low if strict else 0.0
    high = rate_interval(hits(lenient), len(inside), confidence=half).high
    return ordered_interval(value / len(inside), low or 0.0, 1.0 if high is None else high, len(inside))


def thinned_curve(curve: AttackCurve, points: int = CURVE_POINTS) -> list[tuple[float, float]]:
    """At most `points` points of a curve and its ends, evenly spaced in the logarithm of the false positive rate.

    Parameters
    ----------
    curve : AttackCurve
        The curve.
    points : int
        The most points.

    Returns
    -------
    list[tuple[float, float]]
        False and true positive rates, rising.
    """
    positive = curve.false_positive[curve.false_positive > 0]
    at = np.geomspace(positive[0], 1.0, points) if positive[0] < 1 else np.array([1.0])
    places = np.unique(np.concatenate([[0], np.searchsorted(curve.false_positive, at * (1 + 1e-12), side="right") - 1]))
    return [(round(float(curve.false_positive[k]), 6), round(float(curve.true_positive[k]), 6)) for k in places]


def likelihood_ratios(target: ArrayLike, inside: ArrayLike, outside: ArrayLike) -> Floats:
    """LiRA's statistic: the log likelihood ratio of a model's confidence in each record under shadow models with and without it.

    Each record has its own mean with and without it. Each of the two spreads is common to all records, which suits few shadow models.

    Parameters
    ----------
    target : ArrayLike
        The target model's confidence in each record, (n,), as log odds.
    inside : ArrayLike
        The same of each shadow model, (models, n), NaN if the record was not in its training set.
    outside : ArrayLike
        The same, NaN if the record was in it.

    Returns
    -------
    Floats
        (n,); NaN if a record was in all shadow models or in none.

    References
    ----------
    * Carlini and others (2022), Membership inference attacks from first principles, sections V and VI-C.
    """
    given, with_it, without = (np.asarray(each, np.float64) for each in (target, inside, outside))
    mean_in, spread_in = _means_and_spread(with_it)
    mean_out, spread_out = _means_and_spread(without)
    return np.asarray(_log_normal(given, mean_in, spread_in) - _log_normal(given, mean_out, spread_out))


def canary_exposure(canaries: ArrayLike, candidates: ArrayLike) -> CanaryExposure:
    """Exposure of canaries: log2 of the number of candidates, the canary itself included, minus log2 of its rank among them.

    Canaries and candidates are drawn in the same way, and a model was trained on the canaries only. Without memorisation each rank is
    equally likely: an exposure is at least x bits with probability 2**-x, and its mean is 1.44 bits.

    Parameters
    ----------
    canaries : ArrayLike
        The model's confidence in each canary, larger if it is surer. Each side has rows, and all values are finite.
    candidates : ArrayLike
        Its confidence in each candidate.

    Returns
    -------
    CanaryExposure
        A tie counts against the canary. The p-value is Fisher's combination of the ranks divided by the number of candidates.

    References
    ----------
    * Carlini and others (2019), The secret sharer: evaluating and testing unintended memorization in neural networks, definition 4.
    """
    planted, others = _finite(canaries), np.sort(_finite(candidates))
    ranks = 1 + len(others) - np.searchsorted(others, planted, side="left")
    bits = np.log2(len(others) + 1) - np.log2(ranks)
    return CanaryExposure(ranks.astype(np.int64), bits, float(gammaincc(len(bits), np.log(2) * bits.sum())))


def _means_and_spread(values: Floats) -> tuple[Floats, float]:
    """The mean of each column over the known values, and the common spread around the means."""
    known = np.isfinite(values)
    counts = known.sum(axis=0)
    sums = np.where(known, values, 0.0).sum(axis=0)
    means = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    squares = np.where(known, (values - means) ** 2, 0.0).sum()
    freedom = float(np.maximum(counts - 1, 0).sum())
    return means, float(np.sqrt(squares / freedom)) if freedom > 0 and squares > 0 else 1.0


def _log_normal(value: Floats, mean: Floats, spread: float) -> Floats:
    """The log density of a normal distribution without its constant."""
    return np.asarray(-np.log(spread) - (value - mean) ** 2 / (2 * spread**2))


def _finite(values: ArrayLike) -> Floats:
    """Values as an array. Raises ValueError if there is none, or one is not finite."""
    given = np.asarray(values, np.float64)
    if not given.size or not np.isfinite(given).all():
        raise ValueError("the statistic of an attack is finite, and each side has rows")
    return given
