"""How far apart are groups, and is that more than chance gives groups that are equal?

Rates come as counts (successes of n rows), means with their standard errors; arrays hold one group a place. The largest difference between
groups is above zero even where all are equal, so it is held against its null distribution and never against zero; its interval takes all pairs
of groups at once. Weighted rates: successes = Σw of those, n = Σw, n_squares = Σw²; the effective n (Kish 1965) then stands for n.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from observability.stats.interval import Interval, normal_quantile, rate_ratio_interval

Floats = NDArray[np.float64]
DRAWS = 2000
SEED = 20160101
"""The draws of the null distribution are the same in each run, so that a finding repeats."""
LARGE = 50
"""Expected successes and failures from which a count of a group is as good as normal."""


@dataclass(frozen=True)
class Spread:
    """The largest difference between groups.

    difference: highest - lowest; low, high: 95 % interval for it, all pairs of groups taken at once (conservative). lowest, highest: places of
    these groups. null_95: what equal groups of these sizes stay under 95 times in 100. p_value: how often equal groups differ as much. n: rows.
    Without two groups the figures are None, null_95 and p_value NaN.
    """

    difference: float | None
    low: float | None
    high: float | None
    lowest: int | None
    highest: int | None
    null_95: float
    p_value: float
    n: float


@dataclass(frozen=True)
class GapChanges:
    """For each group, its distance from the other groups now and before (positive: above them), and whether it grew.

    grown: by how much the distance grew on the side where the group is now; negative where it shrank. error: standard error of the change.
    p_value: two-sided, of growth as large by chance.
    """

    now: Floats
    before: Floats
    grown: Floats
    error: Floats
    p_value: Floats


NO_SPREAD = Spread(None, None, None, None, None, float("nan"), float("nan"), 0.0)


def effective_counts(successes: ArrayLike, n: ArrayLike, n_squares: ArrayLike | None = None) -> tuple[Floats, Floats]:
    """Successes and n of an unweighted sample as informative: n = (Σw)² / Σw²."""
    hits, rows = np.asarray(successes, np.float64), np.asarray(n, np.float64)
    if n_squares is None:
        return hits, rows
    with np.errstate(invalid="ignore", divide="ignore"):
        scale = np.where(rows > 0, rows / np.asarray(n_squares, np.float64), 1.0)
    return hits * scale, rows * scale


def rates(successes: ArrayLike, n: ArrayLike) -> Floats:
    """Successes / n; NaN for a group without rows."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.asarray(successes, np.float64) / np.asarray(n, np.float64))


def rate_intervals(
    successes: ArrayLike, n: ArrayLike, n_squares: ArrayLike | None = None, confidence: float = 0.95
) -> tuple[Floats, Floats, Floats]:
    """Rate, low and high of each group with Wilson's score interval (Wilson 1927); NaN for a group without rows."""
    hits, rows = effective_counts(successes, n, n_squares)
    z, rate = normal_quantile(confidence), rates(hits, rows)
    with np.errstate(invalid="ignore", divide="ignore"):
        half = z * np.sqrt(np.maximum(rate * (1 - rate), 0.0) / rows + z**2 / (4 * rows**2))
        middle, scale = rate + z**2 / (2 * rows), 1 + z**2 / rows
        low, high = np.maximum((middle - half) / scale, 0.0), np.minimum((middle + half) / scale, 1.0)
    return rate, np.minimum(low, rate), np.maximum(high, rate)


def rate_spread(
    successes: ArrayLike, n: ArrayLike, n_squares: ArrayLike | None = None, confidence: float = 0.95, draws: int = DRAWS
) -> Spread:
    """The largest difference between the rates of groups, against the permutation null of equal groups (max - min over all groups)."""
    return max_rate_spread([(successes, n, n_squares)], confidence, draws)


def max_rate_spread(families: list[tuple[ArrayLike, ArrayLike, ArrayLike | None]], confidence: float = 0.95, draws: int = DRAWS) -> Spread:
    """The larger of several differences on separate rows, as equalized odds takes those of TPR and FPR (Hardt, Price and Srebro 2016).

    families: (successes, n, n_squares) of the same groups in the same order. lowest and highest are of the family that differs most.
    """
    found, nulls, bounds = [], [], []
    for family in families:
        hits, rows = effective_counts(*family)
        if hits.size < 2 or not (rows > 0).all():
            return NO_SPREAD
        values, low, high = rate_intervals(hits, rows, None, simultaneous(confidence, hits.size, len(families)))
        found.append(extremes(values, values - low, high - values, float(rows.sum())))
        nulls.append(rate_ranges(hits, rows, draws))
        share = hits.sum() / rows.sum()
        bounds.append(np.sqrt(share * (1 - share) / rows))
    widest = max(range(len(found)), key=lambda place: found[place][0])
    difference, _, _, lowest, highest, _ = found[widest]
    null = np.max(nulls, axis=0)
    return Spread(
        difference,
        max(each[1] for each in found),
        max(each[2] for each in found),
        lowest,
        highest,
        float(np.quantile(null, 0.95)),
        chance(difference, null, bounds),
        sum(each[5] for each in found),
    )


def mean_spread(means: ArrayLike, errors: ArrayLike, n: ArrayLike, confidence: float = 0.95, draws: int = DRAWS) -> Spread:
    """The largest difference between the means of groups, from their standard errors; the null is normal."""
    values, error, rows = (np.asarray(each, np.float64) for each in (means, errors, n))
    if values.size < 2 or not np.isfinite(error).all():
        return NO_SPREAD
    half = normal_quantile(simultaneous(confidence, values.size, 1)) * error
    difference, low, high, lowest, highest, total = extremes(values, half, half, float(rows.sum()))
    null = np.asarray(np.ptp(normal_draws(draws, values.size) * error, axis=1))
    return Spread(difference, low, high, lowest, highest, float(np.quantile(null, 0.95)), chance(difference, null, [error]), total)


def simultaneous(confidence: float, groups: int, families: int) -> float:
    """The confidence of each pair's interval, so that all pairs hold together (Bonferroni)."""
    return 1 - (1 - confidence) / max(families * groups * (groups - 1) / 2, 1)


def extremes(values: Floats, below: Floats, above: Floats, n: float) -> tuple[float, float, float, int, int, float]:
    """Difference, low, high, place of the lowest and highest, n: the bounds are the largest of all pairs' (MOVER: Zou and Donner 2008)."""
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


def rate_ranges(successes: ArrayLike, n: ArrayLike, draws: int = DRAWS) -> Floats:
    """Max - min of the rates of groups of these sizes when the successes fall on rows at random: `draws` permutations, seeded.

    Where every group has LARGE successes and failures to expect, the hypergeometric counts are drawn as normal ones.
    """
    rows = np.maximum(np.rint(np.asarray(n, np.float64)), 1).astype(np.int64)
    total = min(int(np.rint(np.asarray(successes, np.float64).sum())), int(rows.sum()))
    share = total / rows.sum()
    if rows.min() * min(share, 1 - share) >= LARGE:
        return np.asarray(np.ptp(normal_draws(draws, rows.size) * np.sqrt(share * (1 - share) / rows), axis=1))
    hits = np.random.default_rng(SEED).multivariate_hypergeometric(rows, total, size=draws, method="marginals")
    return np.asarray(np.ptp(hits / rows, axis=1), np.float64)


@lru_cache(maxsize=16)
def normal_draws(draws: int, groups: int) -> Floats:
    """Standard normal numbers, draws × groups, the same in each run; not to be written to."""
    drawn = np.random.default_rng(SEED).standard_normal((draws, groups))
    drawn.flags.writeable = False
    return drawn


def chance(difference: float, null: Floats, errors: list[Floats]) -> float:
    """Share of the null's draws at or above a difference, itself counted as one (Davison and Hinkley 1997).

    Beyond every draw, the normal tail summed over all pairs of groups is taken where it is smaller. errors: standard errors under the null.
    """
    from scipy.special import ndtr

    beyond = int(np.count_nonzero(null >= difference - 1e-12))
    drawn = (1 + beyond) / (1 + null.size)
    if beyond or difference <= 0:
        return drawn
    tail = 0.0
    for error in errors:
        spread = np.hypot(error[:, None], error[None, :])[np.triu_indices(error.size, 1)]
        with np.errstate(divide="ignore"):
            tail += float((2 * ndtr(-difference / spread)).sum())
    return min(drawn, tail)


def smallest_ratio(
    successes: ArrayLike, n: ArrayLike, n_squares: ArrayLike | None = None, confidence: float = 0.95
) -> tuple[Interval, int | None, int | None]:
    """Lowest rate over highest rate with Koopman's interval (Koopman 1984) at the confidence that covers every pair; and their places.

    Unknown without two groups, or without any success.
    """
    hits, rows = effective_counts(successes, n, n_squares)
    if hits.size < 2 or not (rows > 0).all() or hits.sum() <= 0:
        return Interval(None, None, None, float(rows.sum())), None, None
    values = rates(hits, rows)
    low, high = int(values.argmin()), int(values.argmax())
    found = rate_ratio_interval(hits[low], rows[low], hits[high], rows[high], confidence=simultaneous(confidence, hits.size, 1))
    return found, low, high


def rate_variances(successes: ArrayLike, n: ArrayLike) -> Floats:
    """Variance of one row of each group, from (successes + 1) / (n + 2), so that a rate of 0 or 1 is not taken for certain (Agresti and Caffo 2000)."""
    share = (np.asarray(successes, np.float64) + 1) / (np.asarray(n, np.float64) + 2)
    return np.asarray(share * (1 - share))


def gap_changes(
    now: ArrayLike,
    now_variance: ArrayLike,
    now_n: ArrayLike,
    before: ArrayLike,
    before_variance: ArrayLike,
    before_n: ArrayLike,
) -> GapChanges:
    """How each group's distance from the others changed: a difference in differences, so that what happens to all groups is no change.

    now, before: rate or mean of each of at least two groups, over now_n and before_n rows; the variances are those of one row, and the larger of
    the two is taken both times, so that a few rows that agree by luck are not taken for certain. The others are averaged by their rows now both
    times, so that a change of the mix is no change either.
    """
    from scipy.special import ndtr

    values, old, rows = (np.asarray(each, np.float64) for each in (now, before, now_n))
    of_row = np.maximum(np.asarray(now_variance, np.float64), np.asarray(before_variance, np.float64))
    share = shares_of_others(rows)
    gap, gap_before = values - share @ values, old - share @ old
    squared_now, squared_before = (of_row / each + share**2 @ (of_row / each) for each in (rows, np.asarray(before_n, np.float64)))
    error = np.sqrt(squared_now + squared_before)
    side = np.where(gap < 0, -1.0, 1.0)
    grown = np.abs(gap) - np.maximum(side * gap_before, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = np.where(error > 0, grown / error, np.where(grown > 0, np.inf, 0.0))
    return GapChanges(gap, gap_before, grown, error, np.where(grown > 0, 2 * ndtr(-np.abs(reach)), 1.0))


def shares_of_others(n: Floats) -> Floats:
    """Square matrix: in the row of each group the shares of the others' rows, which add up to 1."""
    share = np.tile(n, (n.size, 1))
    np.fill_diagonal(share, 0.0)
    return np.asarray(share / share.sum(axis=1, keepdims=True))
