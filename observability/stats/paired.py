"""Are two models unlike on the same rows, where both answered each of them?

Every function takes one entry a row, in the same order for both, and says a - b. Rows that both get right or wrong carry no weight, so the same
difference shows on far fewer rows than between two independent samples.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from observability.stats.interval import Interval, interval, normal_quantile, paired_rate_difference_interval

Floats = NDArray[np.float64]
NAN = float("nan")


@dataclass(frozen=True)
class Paired:
    """What both sides have (None where it is not defined), a - b with its paired interval, and how often chance alone differs as much."""

    a: float | None
    b: float | None
    difference: Interval
    p_value: float


def unknown(n: float) -> Paired:
    """A comparison that cannot be made; n: rows that there are."""
    return Paired(None, None, Interval(None, None, None, n), NAN)


def mcnemar_p_value(only_a: float, only_b: float) -> float:
    """Exact two-sided p-value that a row which holds on one side only is as likely to be a's as b's (McNemar 1947); 1 without such rows."""
    from scipy.special import bdtr

    n, fewer = round(only_a + only_b), round(min(only_a, only_b))
    return min(1.0, 2 * float(bdtr(fewer, n, 0.5))) if n else 1.0


def paired_rates(holds_a: ArrayLike, holds_b: ArrayLike, confidence: float = 0.95) -> Paired:
    """Two proportions of the same rows (booleans): Bonett and Price's interval of the difference (2012), McNemar's exact test."""
    a, b = np.asarray(holds_a, np.bool_), np.asarray(holds_b, np.bool_)
    if not a.size:
        return unknown(0)
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    found = paired_rate_difference_interval(only_a, only_b, a.size, confidence)
    return Paired(float(a.mean()), float(b.mean()), found, mcnemar_p_value(only_a, only_b))


def paired_means(values_a: ArrayLike, values_b: ArrayLike, confidence: float = 0.95) -> Paired:
    """Two means of the same rows: Student's paired t interval and test (Student 1908). Unknown below two rows."""
    a, b = np.asarray(values_a, np.float64), np.asarray(values_b, np.float64)
    if not a.size:
        return unknown(0)
    return linear(float(a.mean()), float(b.mean()), a - b - float(np.mean(a - b)), float(np.mean(a - b)), confidence)


def paired_ratios(parts_a: ArrayLike, wholes_a: ArrayLike, parts_b: ArrayLike, wholes_b: ArrayLike, confidence: float = 0.95) -> Paired:
    """Two ratios Σpart / Σwhole of the same rows: precision, recall and F1 are such (delta method; Cochran 1977, section 6.3).

    F1 has the parts 2·TP and the wholes 2·TP + FP + FN. Where the rows' influences are all 0, which says nothing of rows to come, the interval is
    that of the rule of three (Hanley and Lippman-Hand 1983). Unknown where a whole is 0.
    """
    values, influence, least = [], [], np.inf
    for parts, wholes in ((parts_a, wholes_a), (parts_b, wholes_b)):
        part, whole = np.asarray(parts, np.float64), np.asarray(wholes, np.float64)
        total = float(whole.sum())
        if not total > 0:
            return unknown(part.size)
        values.append(float(part.sum()) / total)
        influence.append((part - values[-1] * whole) * part.size / total)
        least = min(least, total)
    found = linear(values[0], values[1], influence[0] - influence[1], values[0] - values[1], confidence)
    if found.difference.low == found.difference.high and found.difference.value is not None:
        value, reach = found.difference.value, min(3.0 / least, 1.0)
        return Paired(found.a, found.b, interval(value, value - reach, value + reach, found.difference.n), found.p_value)
    return found


def paired_rmse(errors_a: ArrayLike, errors_b: ArrayLike, confidence: float = 0.95) -> Paired:
    """Two root mean squared errors of the same rows, by the delta method on the squared errors."""
    a, b = np.asarray(errors_a, np.float64) ** 2, np.asarray(errors_b, np.float64) ** 2
    if not a.size:
        return unknown(0)
    root_a, root_b = float(np.sqrt(a.mean())), float(np.sqrt(b.mean()))
    influence = np.zeros(a.size)
    for root, squares, sign in ((root_a, a, 1), (root_b, b, -1)):
        if root > 0:
            influence += sign * (squares - root**2) / (2 * root)
    return linear(root_a, root_b, influence, root_a - root_b, confidence)


def paired_roc_auc(scores_a: ArrayLike, scores_b: ArrayLike, positive: ArrayLike, confidence: float = 0.95) -> Paired:
    """Two ROC AUCs of the same rows (scores; booleans of the positive ones): DeLong, DeLong and Clarke-Pearson 1988, by ranks (Sun and Xu 2014).

    Unknown where a class has fewer than two rows.
    """
    from scipy.special import ndtr

    mask = np.asarray(positive, np.bool_)
    m, n = int(mask.sum()), int((~mask).sum())
    if min(m, n) < 2:
        return unknown(mask.size)
    aucs, above, below = [], [], []
    for scores in (scores_a, scores_b):
        values = np.asarray(scores, np.float64)
        ranks = mid_ranks(values)
        above.append((ranks[mask] - mid_ranks(values[mask])) / n)
        below.append(1 - (ranks[~mask] - mid_ranks(values[~mask])) / m)
        aucs.append(float(above[-1].mean()))
    variance = float(np.var(above[0] - above[1], ddof=1)) / m + float(np.var(below[0] - below[1], ddof=1)) / n
    value, error = aucs[0] - aucs[1], float(np.sqrt(variance))
    reach = normal_quantile(confidence) * error
    p_value = 2 * float(ndtr(-abs(value) / error)) if error > 0 else float(value == 0)
    return Paired(aucs[0], aucs[1], interval(value, value - reach, value + reach, mask.size), p_value)


def mid_ranks(values: Floats) -> Floats:
    """Ranks from 1, equal values sharing the mean of theirs."""
    _, place, times = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(times) - (times - 1) / 2)[place], np.float64)


def linear(a: float, b: float, influence: Floats, value: float, confidence: float) -> Paired:
    """The difference `value` of two statistics whose error is the mean of the rows' influences (which add up to 0), on Student's t."""
    from scipy.special import stdtr, stdtrit

    n = influence.size
    if n < 2:
        return Paired(a, b, Interval(value, None, None, n), NAN)
    error = float(np.std(influence, ddof=1) / np.sqrt(n))
    reach = float(stdtrit(n - 1, 0.5 + confidence / 2)) * error
    p_value = 2 * float(stdtr(n - 1, -abs(value) / error)) if error > 0 else float(value == 0)
    return Paired(a, b, interval(value, value - reach, value + reach, n), p_value)
