"""Shares of rows that come in groups (several labels of one item): intervals, and differences of two sides within groups.

Labels of one item share its difficulty, so they are less informative than the same number of labels of different items. Two sides that saw
different items can differ because of their items alone. Both are computed from hits and rows by group.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from observability.stats.arrays import Array, Floats
from observability.stats.interval import CONFIDENCE, Interval, normal_quantile, ordered_interval, rate_interval


@dataclass(frozen=True)
class StratifiedDifference:
    """A difference of two shares within groups. difference: the difference with its interval; its n is the number of informative groups.
    p_value: one-sided, that the first share is higher.
    """

    difference: Interval
    p_value: float


def cluster_row_squares(hits: ArrayLike, rows: ArrayLike) -> float:
    """Σw² that makes `rate_interval` as wide as groups require: rows² divided by the effective number of rows.

    The design effect is the share's variance between groups (ratio of sums), divided by the variance of the same number of independent
    rows, and at least 1. If all rows agree, it is unknown, and a group counts as one row.

    Parameters
    ----------
    hits : ArrayLike
        Hits of each group.
    rows : ArrayLike
        Rows of each group.

    Returns
    -------
    float

    References
    ----------
    * Cochran (1977), Sampling Techniques.
    """
    held, all_rows = np.asarray(hits, np.float64), np.asarray(rows, np.float64)
    held, all_rows = held[all_rows > 0], all_rows[all_rows > 0]
    n, groups = float(all_rows.sum()), len(all_rows)
    if groups == 0:
        return 0.0
    share = float(held.sum()) / n
    if not 0 < share < 1 or groups < 2:
        return n * n / groups
    between = float(((held - share * all_rows) ** 2).sum()) * groups / (groups - 1)
    return n * max(between / (n * share * (1 - share)), 1.0)


def cluster_row_squares_of_sums(hits: Array, rows: Array, groups: Array, squares: tuple[Array, Array, Array]) -> Floats:
    """`cluster_row_squares` of many sets of groups, from their sums.

    Parameters
    ----------
    hits : Array
        Hits of each set.
    rows : Array
        Rows of each set.
    groups : Array
        Groups with rows of each set.
    squares : tuple[Array, Array, Array]
        Of each set the sums over its groups of hits², of hits times rows, and of rows².

    Returns
    -------
    Floats
        One value for each set.
    """
    of_hits, of_both, of_rows = squares
    share = np.divide(hits, rows, out=np.zeros(len(rows)), where=rows > 0)
    known = (share > 0) & (share < 1) & (groups > 1)
    held = np.where(known, share, 0.5)
    between = (of_hits - 2 * held * of_both + held**2 * of_rows) * groups / np.maximum(groups - 1, 1)
    wide = rows * np.maximum(between / np.maximum(rows * held * (1 - held), 1e-300), 1.0)
    return np.asarray(np.where(known, wide, rows**2 / np.maximum(groups, 1)), np.float64)


def clustered_rate_interval(hits: ArrayLike, rows: ArrayLike, confidence: float = 0.95) -> Interval:
    """Share of all rows with an interval that allows for groups.

    Parameters
    ----------
    hits : ArrayLike
        Hits of each group.
    rows : ArrayLike
        Rows of each group.
    confidence : float
        Coverage of the interval.

    Returns
    -------
    Interval
        n is the effective number of rows.
    """
    held, n = float(np.asarray(hits, np.float64).sum()), float(np.asarray(rows, np.float64).sum())
    return rate_interval(held, n, cluster_row_squares(hits, rows), confidence)


def stratified_difference(hits_a: ArrayLike, rows_a: ArrayLike, hits_b: ArrayLike, rows_b: ArrayLike) -> StratifiedDifference:
    """Share of a minus share of b within groups.

    Mantel and Haenszel's common difference with the variance of Sato, Greenland and Robins, and the Mantel-Haenszel test with
    continuity correction, one-sided. Where the variance is 0 (all of a, none of b) the interval is ± 3 / groups.

    Parameters
    ----------
    hits_a : ArrayLike
        Hits of side a by group.
    rows_a : ArrayLike
        Rows of side a by group.
    hits_b : ArrayLike
        Hits of side b by group.
    rows_b : ArrayLike
        Rows of side b by group.

    Returns
    -------
    StratifiedDifference
        Groups without rows on both sides are ignored.

    References
    ----------
    * Greenland and Robins (1985), Estimation of a common effect parameter from sparse follow-up data.
    * Sato, Greenland and Robins (1989), On the variance estimator for the Mantel-Haenszel risk difference.
    """
    a, n, c, m = (np.asarray(array, np.float64) for array in (hits_a, rows_a, hits_b, rows_b))
    both = (n > 0) & (m > 0)
    a, n, c, m = a[both], n[both], c[both], m[both]
    groups = len(n)
    if groups == 0:
        return StratifiedDifference(Interval(None, None, None, 0.0), float("nan"))
    total = n + m
    weight = float((n * m / total).sum())
    value = float(((a * m - c * n) / total).sum()) / weight
    p = (n**2 * c - m**2 * a + n * m * (m - n) / 2) / total**2
    q = (a * (m - c) + c * (n - a)) / (2 * total)
    variance = max(float(value * p.sum() + q.sum()), 0.0) / weight**2
    half = normal_quantile(CONFIDENCE) * np.sqrt(variance) if variance > 1e-15 else 3.0 / groups
    found = ordered_interval(value, max(value - half, -1.0), min(value + half, 1.0), float(groups))
    return StratifiedDifference(found, mantel_haenszel_p_value(a, n, c, m))


def mantel_haenszel_p_value(a: Floats, n: Floats, c: Floats, m: Floats) -> float:
    """One-sided p-value that a's share is higher within groups, with continuity correction.

    Parameters
    ----------
    a : Floats
        Hits of side a by group.
    n : Floats
        Rows of side a.
    c : Floats
        Hits of side b.
    m : Floats
        Rows of side b.

    Returns
    -------
    float
        1 if no group could differ.

    References
    ----------
    * Mantel and Haenszel (1959), Statistical aspects of the analysis of data from retrospective studies of disease.
    """
    from scipy.special import ndtr

    total, hits = n + m, a + c
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = np.where(total > 1, n * m * hits * (total - hits) / (total**2 * (total - 1)), 0.0).sum()
    if spread <= 0:
        return 1.0
    excess = float((a - n * hits / total).sum())
    return float(ndtr(-(max(abs(excess) - 0.5, 0.0) * np.sign(excess)) / np.sqrt(spread)))


def gini(amounts: ArrayLike) -> float:
    """Gini coefficient of amounts: 0 if all are equal, towards 1 if one has everything.

    Parameters
    ----------
    amounts : ArrayLike
        Amounts.

    Returns
    -------
    float
        NaN without any amount.

    References
    ----------
    * Gini (1912), Variabilità e mutabilità.
    """
    held = np.sort(np.asarray(amounts, np.float64))
    n, total = len(held), float(held.sum())
    if n == 0 or total <= 0:
        return float("nan")
    return float((2 * np.arange(1, n + 1) - n - 1) @ held / (n * total))
