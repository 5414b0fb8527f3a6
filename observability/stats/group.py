"""Differences between groups and their null distribution under equal groups.

Rates come as counts (successes of n rows), means with their standard errors; arrays hold one entry per group. The largest difference
between groups is above zero even if all groups are equal, so it is compared with a null distribution and never with zero. The distribution
is that of the most significant pair, each pair in its own standard errors, so that a small group widens only its own pairs. The interval
covers all pairs of groups at once. Weighted rates: successes = Σw of the successes, n = Σw, n_squares = Σw²; the effective n (Kish 1965)
then replaces n.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from observability.stats.arrays import Floats
from observability.stats.difference_intervals import rate_ratio_interval
from observability.stats.interval import Interval, normal_quantile, two_sided_p_value, widened_wilson_bounds

DRAWS = 2000
SEED = 20160101
"""The null distribution uses the same draws in each run, so that findings are reproducible."""
FARTHEST = 6
"""Number of groups in each draw, the farthest from zero, whose pairs nearly always include the most significant pair."""
LARGE = 50
"""Minimum expected successes and failures for the normal approximation of a group's count."""


@dataclass(frozen=True)
class GroupSpread:
    """The largest difference between groups.

    difference: highest - lowest; low, high: its 95 % interval over all pairs of groups (conservative). lowest, highest: places of these
    groups. p_value: probability that the most significant pair of equal groups is as significant. null_95: 95 % quantile of the most
    significant pair's difference where all groups are equal. n: rows. surest: the most significant pair. Without two groups the figures
    are None, null_95 and p_value NaN.
    """

    difference: float | None
    low: float | None
    high: float | None
    lowest: int | None
    highest: int | None
    null_95: float
    p_value: float
    n: float
    surest: "GroupPair | None" = None


@dataclass(frozen=True)
class GroupPair:
    """The pair of groups with the largest difference in standard errors, so that one small group hides no significant difference of
    others.

    reach: the difference in standard errors of equal groups. family: which of several rates. lowest, highest: places of the groups.
    """

    reach: float
    family: int
    lowest: int
    highest: int
    difference: float
    error: float


@dataclass(frozen=True)
class GapChanges:
    """Distance of each group from the other groups now and before (positive: above them), and its growth.

    grown: growth of the distance on the side where the group is now; negative if it shrank. error: standard error of the change. p_value:
    two-sided probability of a growth as large by chance.
    """

    now: Floats
    before: Floats
    grown: Floats
    error: Floats
    p_value: Floats


NO_SPREAD = GroupSpread(None, None, None, None, None, float("nan"), float("nan"), 0.0)


def effective_counts(successes: ArrayLike, n: ArrayLike, n_squares: ArrayLike | None = None) -> tuple[Floats, Floats]:
    """Successes and n of an unweighted sample with the same information: n = (Σw)² / Σw² (Kish 1965).

    Parameters
    ----------
    successes : ArrayLike
        Successes of each group (Σw).
    n : ArrayLike
        Rows of each group (Σw).
    n_squares : ArrayLike | None
        Σw² of each group; None if rows are unweighted.

    Returns
    -------
    tuple[Floats, Floats]
        (successes, n).
    """
    hits, rows = np.asarray(successes, np.float64), np.asarray(n, np.float64)
    if n_squares is None:
        return hits, rows
    with np.errstate(invalid="ignore", divide="ignore"):
        scale = np.where(rows > 0, rows / np.asarray(n_squares, np.float64), 1.0)
    return hits * scale, rows * scale


def group_rates(successes: ArrayLike, n: ArrayLike) -> Floats:
    """Successes / n.

    Parameters
    ----------
    successes : ArrayLike
        Successes of each group (Σw).
    n : ArrayLike
        Rows of each group (Σw).

    Returns
    -------
    Floats
        NaN for a group without rows.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.asarray(successes, np.float64) / np.asarray(n, np.float64))


def rate_intervals(
    successes: ArrayLike, n: ArrayLike, n_squares: ArrayLike | None = None, confidence: float = 0.95
) -> tuple[Floats, Floats, Floats]:
    """Rate, low and high of each group, as in `interval.rate_interval`.

    Parameters
    ----------
    successes : ArrayLike
        Successes of each group (Σw).
    n : ArrayLike
        Rows of each group (Σw).
    n_squares : ArrayLike | None
        Σw² of each group; None if rows are unweighted.
    confidence : float
        Coverage of the interval.

    Returns
    -------
    tuple[Floats, Floats, Floats]
        NaN for a group without rows.
    """
    hits, rows = effective_counts(successes, n, n_squares)
    rate = group_rates(hits, rows)
    low, high = widened_wilson_bounds(rate, rows, confidence)
    return rate, np.minimum(low, rate), np.maximum(high, rate)


def rate_spread(
    successes: ArrayLike, n: ArrayLike, n_squares: ArrayLike | None = None, confidence: float = 0.95, draws: int = DRAWS, least: float = 0.0
) -> GroupSpread:
    """Largest difference between the rates of groups, its most significant pair tested against the permutation null of equal groups.

    Parameters
    ----------
    successes : ArrayLike
        Successes of each group (Σw).
    n : ArrayLike
        Rows of each group (Σw).
    n_squares : ArrayLike | None
        Σw² of each group; None if rows are unweighted.
    confidence : float
        Coverage of the interval.
    draws : int
        Draws of the null distribution.
    least : float
        Pairs that differ by at least this are preferred as the most significant one; the null covers all pairs, so the test is
        conservative.

    Returns
    -------
    GroupSpread
    """
    return max_rate_spread([(successes, n, n_squares)], confidence, draws, least)


def max_rate_spread(
    families: list[tuple[ArrayLike, ArrayLike, ArrayLike | None]], confidence: float = 0.95, draws: int = DRAWS, least: float = 0.0
) -> GroupSpread:
    """Largest of several differences on separate rows, such as those of TPR and FPR for equalized odds.

    Parameters
    ----------
    families : list[tuple[ArrayLike, ArrayLike, ArrayLike | None]]
        (successes, n, n_squares) of the same groups in the same order.
    confidence : float
        Coverage of the interval.
    draws : int
        Draws of the null distribution.
    least : float
        Pairs that differ by at least this are preferred as the most significant one; the null covers all pairs, so the test is
        conservative.

    Returns
    -------
    GroupSpread
        lowest and highest are of the family that differs most.

    References
    ----------
    * Hardt, Price and Srebro (2016), Equality of opportunity in supervised learning.
    """
    found, nulls, pairs, counts = [], [], [], []
    for family in families:
        hits, rows = effective_counts(*family)
        if hits.size < 2 or not (rows > 0).all():
            return NO_SPREAD
        values, low, high = rate_intervals(hits, rows, None, _bonferroni_confidence(confidence, hits.size, len(families)))
        found.append(_widest_gap(values, values - low, high - values, float(rows.sum())))
        nulls.append(permutation_null(hits, rows, draws))
        share = hits.sum() / rows.sum()
        pairs.append((group_rates(hits, rows), np.sqrt(share * (1 - share) / rows)))
        counts.append((hits, rows))
    difference, _, _, lowest, highest, _ = max(found, key=lambda each: each[0])
    null, surest = np.max(nulls, axis=0), _surest_pair(pairs, least)
    ends, (hits, rows) = [surest.lowest, surest.highest], counts[surest.family]
    one = _pair_p_value(surest.reach, hits[ends], rows[ends], float(hits.sum() / rows.sum()))
    return GroupSpread(
        difference,
        max(each[1] for each in found),
        max(each[2] for each in found),
        lowest,
        highest,
        _null_95(null) * surest.error,
        _permutation_p_value(surest.reach, null, one * pair_count(len(found), counts[0][0].size)),
        sum(each[5] for each in found),
        surest,
    )


def mean_spread(means: ArrayLike, errors: ArrayLike, n: ArrayLike, draws: int = DRAWS, least: float = 0.0) -> GroupSpread:
    """Largest difference between the means of groups, with a normal null.

    Parameters
    ----------
    means : ArrayLike
        Mean of each group.
    errors : ArrayLike
        Standard error of each mean.
    n : ArrayLike
        Rows of each group (Σw).
    draws : int
        Draws of the null distribution.
    least : float
        Pairs that differ by at least this are preferred as the most significant one; the null covers all pairs, so the test is
        conservative.

    Returns
    -------
    GroupSpread
    """
    values, error, rows = (np.asarray(array, np.float64) for array in (means, errors, n))
    if values.size < 2 or not np.isfinite(error).all():
        return NO_SPREAD
    half = normal_quantile(_bonferroni_confidence(0.95, values.size, 1)) * error
    difference, low, high, lowest, highest, total = _widest_gap(values, half, half, float(rows.sum()))
    null, surest = largest_pair_z(_normal_draws(draws, values.size) * error, error), _surest_pair([(values, error)], least)
    p_value = _permutation_p_value(surest.reach, null, pair_count(1, values.size) * float(two_sided_p_value(surest.reach)))
    return GroupSpread(difference, low, high, lowest, highest, _null_95(null) * surest.error, p_value, total, surest)


def pair_count(families: int, groups: int) -> int:
    """Number of pairs of groups in all families.

    Parameters
    ----------
    families : int
        Number of families.
    groups : int
        Number of groups.

    Returns
    -------
    int
    """
    return families * groups * (groups - 1) // 2


def _surest_pair(families: list[tuple[Floats, Floats]], least: float) -> GroupPair:
    """The pair whose difference is largest in standard errors, among pairs that differ by at least `least` if any do. families: (values,
    errors).
    """
    found = []
    for family, (values, errors) in enumerate(families):
        gaps, error = values[:, None] - values[None, :], np.hypot(errors[:, None], errors[None, :])
        reach = np.where(gaps > 0, gaps / np.where(error > 0, error, np.nan), 0.0)
        reach = np.where(np.isnan(reach), np.inf, reach)
        np.fill_diagonal(reach, -1.0)
        for wanted in (gaps >= least - 1e-12, gaps >= 0):
            high, low = np.unravel_index(int(np.where(wanted, reach, -1.0).argmax()), gaps.shape)
            enough = bool(wanted[high, low] and gaps[high, low] >= least - 1e-12)
            pair = GroupPair(float(reach[high, low]), family, int(low), int(high), float(gaps[high, low]), float(error[high, low]))
            found.append((enough, pair.reach, pair))
    return max(found, key=lambda each: each[:2])[2]


def largest_pair_z(drawn: Floats, errors: Floats, farthest: int = FARTHEST) -> Floats:
    """For each draw, the largest difference between two groups in units of its standard error.

    A pair's z is at most the root of the sum of its groups' squared distances from zero, each in its own standard errors (Cauchy and
    Schwarz). So only pairs of the `farthest` groups of a draw are computed; pairs of more groups only if that bound does not exclude them.

    Parameters
    ----------
    drawn : Floats
        Draws × groups.
    errors : Floats
        Standard error of each group.
    farthest : int
        Groups to start from.

    Returns
    -------
    Floats
    """
    if errors.size < 3 * farthest or not (errors > 0).all():
        return _largest_z_of_all_pairs(drawn, errors)
    squares = (drawn / errors) ** 2
    places = np.argpartition(squares, errors.size - farthest - 1, axis=1)[:, -farthest - 1 :]
    next_one, far = places[:, 0], places[:, 1:]
    largest = _largest_z_of_all_pairs(np.take_along_axis(drawn, far, 1), errors[far])
    bound = np.take_along_axis(squares, next_one[:, None], 1)[:, 0] + squares.max(axis=1)
    open_ones = bound > largest**2 * (1 - 1e-12)
    largest[open_ones] = largest_pair_z(drawn[open_ones], errors, 3 * farthest)
    return largest


def _largest_z_of_all_pairs(drawn: Floats, errors: Floats) -> Floats:
    """`largest_pair_z` over all pairs, group by group, so that memory stays small. errors: standard errors of the groups, or of each draw's
    groups.
    """
    largest = np.zeros(drawn.shape[0])
    for place in range(drawn.shape[1] - 1):
        error = np.hypot(errors[..., place, None], errors[..., place + 1 :])
        gaps = np.abs(drawn[:, place + 1 :] - drawn[:, [place]])
        np.maximum(largest, np.divide(gaps, error, out=np.zeros_like(gaps), where=error > 0).max(axis=1), out=largest)
    return largest


def _null_95(null: Floats) -> float:
    """95 % quantile of the null, taken as one of its draws, so that p > 0.05 exactly if the value does not exceed it."""
    return float(np.quantile(null, 0.95, method="higher"))


def _bonferroni_confidence(confidence: float, groups: int, families: int) -> float:
    """Confidence of each pair's interval for simultaneous coverage of all pairs (Bonferroni)."""
    return 1 - (1 - confidence) / max(families * groups * (groups - 1) / 2, 1)


def _widest_gap(values: Floats, below: Floats, above: Floats, n: float) -> tuple[float, float, float, int, int, float]:
    """Difference, low, high, places of the lowest and highest group, n. low and high are the largest bounds over all pairs (MOVER: Zou and
    Donner 2008).
    """
    gaps = values[:, None] - values[None, :]
    low = gaps - np.hypot(below[:, None], above[None, :])
    high = gaps + np.hypot(above[:, None], below[None, :])
    np.fill_diagonal(high, -np.inf)
    difference = float(gaps.max())
    return (
        difference,
        min(max(float(low.max()), 0.0), difference),
        max(float(high.max()), difference),
        int(values.argmin()),
        int(values.argmax()),
        n,
    )


def permutation_null(successes: ArrayLike, n: ArrayLike, draws: int = DRAWS) -> Floats:
    """Standard score of the most significant pair of groups of these sizes when the successes fall on rows at random.

    If every group is expected to have LARGE successes and failures or more, normal draws replace the hypergeometric counts.

    Parameters
    ----------
    successes : ArrayLike
        Successes of each group (Σw).
    n : ArrayLike
        Rows of each group (Σw).
    draws : int
        Draws of the null distribution.

    Returns
    -------
    Floats
        One value per draw, seeded.
    """
    rows = np.maximum(np.rint(np.asarray(n, np.float64)), 1).astype(np.int64)
    total = min(int(np.rint(np.asarray(successes, np.float64).sum())), int(rows.sum()))
    share = total / rows.sum()
    errors = np.sqrt(share * (1 - share) / rows)
    if rows.min() * min(share, 1 - share) >= LARGE:
        return largest_pair_z(_normal_draws(draws, rows.size) * errors, errors)
    hits = np.random.default_rng(SEED).multivariate_hypergeometric(rows, total, size=draws, method="marginals")
    return largest_pair_z(hits / rows, errors)


@lru_cache(maxsize=16)
def _normal_draws(draws: int, groups: int) -> Floats:
    """Standard normal numbers, draws × groups, the same in each run; read-only."""
    drawn = np.random.default_rng(SEED).standard_normal((draws, groups))
    drawn.flags.writeable = False
    return drawn


def _permutation_p_value(reach: float, null: Floats, tail: float) -> float:
    """Share of the null's draws at or above a value, where the value itself counts as one draw (Davison and Hinkley 1997).

    If the value is beyond every draw, `tail` is taken if it is smaller: the pair's own p-value times the number of pairs (Bonferroni).
    """
    beyond = int(np.count_nonzero(null >= reach - 1e-9))
    drawn = (1 + beyond) / (1 + null.size)
    return drawn if beyond or reach <= 0 else min(drawn, tail)


def _pair_p_value(reach: float, successes: Floats, n: Floats, share: float) -> float:
    """Two-sided p-value of one pair of rates: normal where both groups are large, else Fisher's exact test."""
    from scipy.stats import hypergeom

    if n.min() * min(share, 1 - share) >= LARGE:
        return float(two_sided_p_value(reach))
    hits, rows = np.rint(successes).astype(int), np.maximum(np.rint(n), 1).astype(int)
    return float(min(1.0, 2 * hypergeom.sf(hits[1] - 1, rows.sum(), hits.sum(), rows[1])))


def smallest_rate_ratio(successes: ArrayLike, n: ArrayLike) -> tuple[Interval, int | None, int | None]:
    """Lowest rate divided by highest rate, with Koopman's interval at the confidence that covers every pair, and the places of both groups.

    Parameters
    ----------
    successes : ArrayLike
        Successes of each group (Σw).
    n : ArrayLike
        Rows of each group (Σw).

    Returns
    -------
    tuple[Interval, int | None, int | None]
        Unknown without two groups, or without any success.

    References
    ----------
    * Koopman (1984), Confidence intervals for the ratio of two binomial proportions.
    """
    hits, rows = effective_counts(successes, n)
    if hits.size < 2 or not (rows > 0).all() or hits.sum() <= 0:
        return Interval(None, None, None, float(rows.sum())), None, None
    values = group_rates(hits, rows)
    low, high = int(values.argmin()), int(values.argmax())
    found = rate_ratio_interval(hits[low], rows[low], hits[high], rows[high], confidence=_bonferroni_confidence(0.95, hits.size, 1))
    return found, low, high


def rate_variances(successes: ArrayLike, n: ArrayLike) -> Floats:
    """Variance of one row of each group, from (successes + 1) / (n + 2), so that a rate of 0 or 1 is not taken as certain.

    Parameters
    ----------
    successes : ArrayLike
        Successes of each group (Σw).
    n : ArrayLike
        Rows of each group (Σw).

    Returns
    -------
    Floats

    References
    ----------
    * Agresti and Caffo (2000), Simple and effective confidence intervals for proportions and differences of proportions.
    """
    share = (np.asarray(successes, np.float64) + 1) / (np.asarray(n, np.float64) + 2)
    return np.asarray(share * (1 - share))


def gap_changes(
    now: ArrayLike, now_variance: ArrayLike, now_n: ArrayLike, before: ArrayLike, before_variance: ArrayLike, before_n: ArrayLike
) -> GapChanges:
    """Change of each group's distance from the others: a difference in differences, so that a change common to all groups is no change.

    Both sides use the larger of the two variances, so that a few rows that agree by chance do not count as certain. On both sides the other
    groups are averaged with their numbers of rows now, so that a change of the mix is no change either.

    Parameters
    ----------
    now : ArrayLike
        Rate or mean of each of at least two groups.
    now_variance : ArrayLike
        Variance of one row of each group now.
    now_n : ArrayLike
        Rows of each group now.
    before : ArrayLike
        Rate or mean of each group before.
    before_variance : ArrayLike
        Variance of one row before.
    before_n : ArrayLike
        Rows before.

    Returns
    -------
    GapChanges
    """
    values, old, rows = (np.asarray(array, np.float64) for array in (now, before, now_n))
    of_row = np.maximum(np.asarray(now_variance, np.float64), np.asarray(before_variance, np.float64))
    share = shares_of_others(rows)
    gap, gap_before = values - share @ values, old - share @ old
    squared_now, squared_before = (of_row / each + share**2 @ (of_row / each) for each in (rows, np.asarray(before_n, np.float64)))
    error = np.sqrt(squared_now + squared_before)
    side = np.where(gap < 0, -1.0, 1.0)
    grown = np.abs(gap) - np.maximum(side * gap_before, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = np.where(error > 0, grown / error, np.where(grown > 0, np.inf, 0.0))
    return GapChanges(gap, gap_before, grown, error, np.where(grown > 0, two_sided_p_value(reach), 1.0))


def shares_of_others(n: Floats) -> Floats:
    """Square matrix: the row of each group holds the other groups' shares of the rows, which sum to 1.

    Parameters
    ----------
    n : Floats
        Rows of each group.

    Returns
    -------
    Floats
    """
    share = np.tile(n, (n.size, 1))
    np.fill_diagonal(share, 0.0)
    return np.asarray(share / share.sum(axis=1, keepdims=True))
