"""Paired comparisons of two models on the same rows.

Every function takes one entry per row, in the same order for both models, and compares a - b. Rows on which both models are right or both
are wrong carry no weight. A difference therefore shows on far fewer rows than between two independent samples.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import bdtr, stdtr, stdtrit

from observability.stats.arrays import Floats
from observability.stats.difference_intervals import paired_rate_difference_interval
from observability.stats.interval import Interval, normal_quantile, ordered_interval, two_sided_p_value

NAN = float("nan")
MCNEMAR, DELONG, PAIRED_T, DELTA = "McNemar's exact test", "DeLong's test", "paired t test", "delta method"
"""Names of the tests."""


@dataclass(frozen=True)
class PairedComparison:
    """The figure of each side (None if undefined), the difference a - b with its paired interval, and the p-value of the hypothesis of no
    difference. test: the name of the method behind interval and p-value; None if the comparison cannot be made.
    """

    a: float | None
    b: float | None
    difference: Interval
    p_value: float
    test: str | None = None


def _unknown(n: float) -> PairedComparison:
    """A comparison that cannot be made; n: rows."""
    return PairedComparison(None, None, Interval(None, None, None, n), NAN)


def mcnemar_p_value(only_a: float, only_b: float) -> float:
    """Exact two-sided p-value of the hypothesis that a row which holds on one side only is equally likely to hold on either side.

    Parameters
    ----------
    only_a : float
        Rows that hold for a only.
    only_b : float
        Rows that hold for b only.

    Returns
    -------
    float
        1 without such rows.

    References
    ----------
    * McNemar (1947), Note on the sampling error of the difference between correlated proportions.
    """
    n, fewer = round(only_a + only_b), round(min(only_a, only_b))
    return min(1.0, 2 * float(bdtr(fewer, n, 0.5))) if n else 1.0


def paired_rates(holds_a: ArrayLike, holds_b: ArrayLike, confidence: float = 0.95) -> PairedComparison:
    """Two proportions of the same rows, with Bonett and Price's interval of the difference and McNemar's exact test.

    Parameters
    ----------
    holds_a : ArrayLike
        Booleans of side a.
    holds_b : ArrayLike
        Booleans of side b.
    confidence : float
        Coverage of the interval.

    Returns
    -------
    PairedComparison

    References
    ----------
    * Bonett and Price (2012), Adjusted Wald confidence interval for a difference of binomial proportions based on paired data.
    """
    a, b = np.asarray(holds_a, np.bool_), np.asarray(holds_b, np.bool_)
    if not a.size:
        return _unknown(0)
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    found = paired_rate_difference_interval(only_a, only_b, a.size, confidence)
    return PairedComparison(float(a.mean()), float(b.mean()), found, mcnemar_p_value(only_a, only_b), MCNEMAR)


def paired_means(values_a: ArrayLike, values_b: ArrayLike, confidence: float = 0.95) -> PairedComparison:
    """Two means of the same rows: Student's paired t interval and test.

    Parameters
    ----------
    values_a : ArrayLike
        Values of side a.
    values_b : ArrayLike
        Values of side b.
    confidence : float
        Coverage of the interval.

    Returns
    -------
    PairedComparison
        Unknown below two rows.
    """
    a, b = np.asarray(values_a, np.float64), np.asarray(values_b, np.float64)
    if not a.size:
        return _unknown(0)
    return _from_influence(float(a.mean()), float(b.mean()), a - b - float(np.mean(a - b)), float(np.mean(a - b)), PAIRED_T, confidence)


def paired_ratios(parts_a: ArrayLike, wholes_a: ArrayLike, parts_b: ArrayLike, wholes_b: ArrayLike) -> PairedComparison:
    """Two ratios Σpart / Σwhole of the same rows, such as precision, recall and F1, by the delta method.

    F1 has the parts 2·TP and the wholes 2·TP + FP + FN. Where all influences are 0, which is uninformative about further rows, the interval
    comes from the rule of three.

    Parameters
    ----------
    parts_a : ArrayLike
        Parts of side a.
    wholes_a : ArrayLike
        Wholes of side a.
    parts_b : ArrayLike
        Parts of side b.
    wholes_b : ArrayLike
        Wholes of side b.

    Returns
    -------
    PairedComparison
        Unknown where a whole is 0.

    References
    ----------
    * Cochran (1977), Sampling Techniques, section 6.3.
    * Hanley and Lippman-Hand (1983), If nothing goes wrong, is everything all right?
    """
    values, influence, least = [], [], np.inf
    for parts, wholes in ((parts_a, wholes_a), (parts_b, wholes_b)):
        part, whole = np.asarray(parts, np.float64), np.asarray(wholes, np.float64)
        total = float(whole.sum())
        if not total > 0:
            return _unknown(part.size)
        values.append(float(part.sum()) / total)
        influence.append((part - values[-1] * whole) * part.size / total)
        least = min(least, total)
    found = _from_influence(values[0], values[1], influence[0] - influence[1], values[0] - values[1], DELTA)
    if found.difference.low == found.difference.high and found.difference.value is not None:
        value, reach = found.difference.value, min(3.0 / least, 1.0)
        return replace(found, difference=ordered_interval(value, value - reach, value + reach, found.difference.n), test="rule of three")
    return found


def paired_rmse(errors_a: ArrayLike, errors_b: ArrayLike, confidence: float = 0.95) -> PairedComparison:
    """Two root mean squared errors of the same rows, by the delta method on the squared errors.

    Parameters
    ----------
    errors_a : ArrayLike
        Errors of side a.
    errors_b : ArrayLike
        Errors of side b.
    confidence : float
        Coverage of the interval.

    Returns
    -------
    PairedComparison
    """
    a, b = np.asarray(errors_a, np.float64) ** 2, np.asarray(errors_b, np.float64) ** 2
    if not a.size:
        return _unknown(0)
    root_a, root_b = float(np.sqrt(a.mean())), float(np.sqrt(b.mean()))
    influence = np.zeros(a.size)
    for root, squares, sign in ((root_a, a, 1), (root_b, b, -1)):
        if root > 0:
            influence += sign * (squares - root**2) / (2 * root)
    return _from_influence(root_a, root_b, influence, root_a - root_b, DELTA, confidence)


def paired_roc_auc(scores_a: ArrayLike, scores_b: ArrayLike, positive: ArrayLike, confidence: float = 0.95) -> PairedComparison:
    """Two ROC AUCs of the same rows, by ranks.

    Parameters
    ----------
    scores_a : ArrayLike
        Scores of side a.
    scores_b : ArrayLike
        Scores of side b.
    positive : ArrayLike
        Booleans of the positive rows.
    confidence : float
        Coverage of the interval.

    Returns
    -------
    PairedComparison
        Unknown where a class has fewer than two rows.

    References
    ----------
    * DeLong, DeLong and Clarke-Pearson (1988), Comparing the areas under two or more correlated ROC curves.
    * Sun and Xu (2014), Fast implementation of DeLong's algorithm.
    """
    from scipy.stats import rankdata

    mask = np.asarray(positive, np.bool_)
    m, n = int(mask.sum()), int((~mask).sum())
    if min(m, n) < 2:
        return _unknown(mask.size)
    aucs, above, below = [], [], []
    for scores in (scores_a, scores_b):
        values = np.asarray(scores, np.float64)
        ranks = rankdata(values)
        above.append((ranks[mask] - rankdata(values[mask])) / n)
        below.append(1 - (ranks[~mask] - rankdata(values[~mask])) / m)
        aucs.append(float(above[-1].mean()))
    variance = float(np.var(above[0] - above[1], ddof=1)) / m + float(np.var(below[0] - below[1], ddof=1)) / n
    value, error = aucs[0] - aucs[1], float(np.sqrt(variance))
    reach = normal_quantile(confidence) * error
    p_value = float(two_sided_p_value(value / error)) if error > 0 else float(value == 0)
    return PairedComparison(aucs[0], aucs[1], ordered_interval(value, value - reach, value + reach, mask.size), p_value, DELONG)


def _from_influence(a: float, b: float, influence: Floats, value: float, test: str, confidence: float = 0.95) -> PairedComparison:
    """The comparison of two statistics whose difference is `value`. Its error is that of the mean of the rows' influences (which sum to 0),
    with Student's t.
    """
    n = influence.size
    if n < 2:
        return PairedComparison(a, b, Interval(value, None, None, n), NAN)
    error = float(np.std(influence, ddof=1) / np.sqrt(n))
    reach = float(stdtrit(n - 1, 0.5 + confidence / 2)) * error
    p_value = 2 * float(stdtr(n - 1, -abs(value) / error)) if error > 0 else float(value == 0)
    return PairedComparison(a, b, ordered_interval(value, value - reach, value + reach, n), p_value, test)
