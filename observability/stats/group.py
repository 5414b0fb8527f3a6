"""How far apart are groups, and is that more than chance gives groups that are equal?

Rates come as counts (successes of n rows), means with their standard errors; arrays hold one group a place. The largest difference between
groups is above zero even where all are equal, so it is held against a null distribution and never against zero: that of the surest pair, each pair in its
own standard errors, so that a small group widens its own pairs only. The interval takes all pairs of groups at once. Weighted rates: successes = Σw of those, n = Σw, n_squares = Σw²; the effective n (Kish 1965) then stands for n.
"""

from collections.abc import Sized
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from observability.stats.interval import Interval, normal_quantile, opened, rate_ratio_interval

Floats = NDArray[np.float64]
DRAWS = 2000
SEED = 20160101
"""The draws of the null distribution are the same in each run, so that a finding repeats."""
FARTHEST = 6
"""Groups of a draw among whose pairs its surest one is nearly always found."""
LARGE = 50
"""Expected successes and failures from which a count of a group is as good as normal."""


@dataclass(frozen=True)
class Spread:
    """The largest difference between groups.

    difference: highest - lowest; low, high: 95 % interval for it, all pairs of groups taken at once (conservative). lowest, highest: places of
    these groups. p_value: how often the surest pair of equal groups is as sure. null_95: what the pair that is surest here stays under 95 times in
    100 where all groups are equal. n: rows. surest: that pair. Without two groups the figures are None, null_95 and p_value NaN.
    """

    difference: float | None
    low: float | None
    high: float | None
    lowest: int | None
    highest: int | None
    null_95: float
    p_value: float
    n: float
    surest: "Pair | None" = None


@dataclass(frozen=True)
class Pair:
    """The pair of groups whose difference is most of its standard errors, so that one small group hides no certain difference of others.

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
    """Rate, low and high of each group as `interval.rate_interval` has them; NaN for a group without rows."""
    hits, rows = effective_counts(successes, n, n_squares)
    z, rate = normal_quantile(confidence), rates(hits, rows)
    with np.errstate(invalid="ignore", divide="ignore"):
        half = z * np.sqrt(np.maximum(rate * (1 - rate), 0.0) / rows + z**2 / (4 * rows**2))
        middle, scale = rate + z**2 / (2 * rows), 1 + z**2 / rows
        low, high = np.maximum((middle - half) / scale, 0.0), np.minimum((middle + half) / scale, 1.0)
        low, high = opened(rate, low, high, rows, confidence)
    return rate, np.minimum(low, rate), np.maximum(high, rate)


def rate_spread(
    successes: ArrayLike,
    n: ArrayLike,
    n_squares: ArrayLike | None = None,
    confidence: float = 0.95,
    draws: int = DRAWS,
    least: float = 0.0,
) -> Spread:
    """The largest difference between the rates of groups, its surest pair held against the permutation null of equal groups."""
    return max_rate_spread([(successes, n, n_squares)], confidence, draws, least)


def max_rate_spread(
    families: list[tuple[ArrayLike, ArrayLike, ArrayLike | None]], confidence: float = 0.95, draws: int = DRAWS, least: float = 0.0
) -> Spread:
    """The larger of several differences on separate rows, as equalized odds takes those of TPR and FPR (Hardt, Price and Srebro 2016).

    families: (successes, n, n_squares) of the same groups in the same order. lowest and highest are of the family that differs most. least: the
    surest pair is looked for among those that differ as much, where there are any; the null is that of all pairs, so this only makes it careful.
    """
    found, nulls, pairs, counts = [], [], [], []
    for family in families:
        hits, rows = effective_counts(*family)
        if hits.size < 2 or not (rows > 0).all():
            return NO_SPREAD
        values, low, high = rate_intervals(hits, rows, None, simultaneous(confidence, hits.size, len(families)))
        found.append(extremes(values, values - low, high - values, float(rows.sum())))
        nulls.append(rate_reaches(hits, rows, draws))
        share = hits.sum() / rows.sum()
        pairs.append((rates(hits, rows), np.sqrt(share * (1 - share) / rows)))
        counts.append((hits, rows))
    difference, _, _, lowest, highest, _ = max(found, key=lambda each: each[0])
    null, surest = np.max(nulls, axis=0), surest_pair(pairs, least)
    ends, (hits, rows) = [surest.lowest, surest.highest], counts[surest.family]
    one = pair_chance(surest.reach, hits[ends], rows[ends], share_of(hits, rows))
    return Spread(
        difference,
        max(each[1] for each in found),
        max(each[2] for each in found),
        lowest,
        highest,
        stays_under(null) * surest.error,
        chance(surest.reach, null, one * pairs_of(found, counts[0][0].size)),
        sum(each[5] for each in found),
        surest,
    )


def mean_spread(
    means: ArrayLike, errors: ArrayLike, n: ArrayLike, confidence: float = 0.95, draws: int = DRAWS, least: float = 0.0
) -> Spread:
    """The largest difference between the means of groups, from their standard errors; the null is normal. least: see max_rate_spread."""
    from scipy.special import ndtr

    values, error, rows = (np.asarray(each, np.float64) for each in (means, errors, n))
    if values.size < 2 or not np.isfinite(error).all():
        return NO_SPREAD
    half = normal_quantile(simultaneous(confidence, values.size, 1)) * error
    difference, low, high, lowest, highest, total = extremes(values, half, half, float(rows.sum()))
    null, surest = largest_reaches(normal_draws(draws, values.size) * error, error), surest_pair([(values, error)], least)
    p_value = chance(surest.reach, null, pairs_of([1], values.size) * float(2 * ndtr(-surest.reach)))
    return Spread(difference, low, high, lowest, highest, stays_under(null) * surest.error, p_value, total, surest)


def pairs_of(families: Sized, groups: int) -> int:
    """How many pairs of groups there are in all families."""
    return len(families) * groups * (groups - 1) // 2


def surest_pair(families: list[tuple[Floats, Floats]], least: float) -> Pair:
    """The pair with the most standard errors between, among those that differ by `least` where there are any. families: values, standard errors."""
    found = []
    for family, (values, errors) in enumerate(families):
        gaps, error = values[:, None] - values[None, :], np.hypot(errors[:, None], errors[None, :])
        reach = np.where(gaps > 0, gaps / np.where(error > 0, error, np.nan), 0.0)
        reach = np.where(np.isnan(reach), np.inf, reach)
        np.fill_diagonal(reach, -1.0)
        for wanted in (gaps >= least - 1e-12, gaps >= 0):
            high, low = np.unravel_index(int(np.where(wanted, reach, -1.0).argmax()), gaps.shape)
            enough = bool(wanted[high, low] and gaps[high, low] >= least - 1e-12)
            pair = Pair(float(reach[high, low]), family, int(low), int(high), float(gaps[high, low]), float(error[high, low]))
            found.append((enough, pair.reach, pair))
    return max(found, key=lambda each: each[:2])[2]


def largest_reaches(drawn: Floats, errors: Floats, farthest: int = FARTHEST) -> Floats:
    """Of each draw (draws × groups) the largest difference of a pair in its standard errors.

    A pair's reach is at most the root of the sum of its groups' squared distances from zero, each in its own standard errors (Cauchy and Schwarz).
    So only pairs of the groups that are `farthest` in a draw are looked at, and of more groups only where that bound leaves others in question.
    """
    if errors.size < 3 * farthest or not (errors > 0).all():
        return every_pair(drawn, errors)
    squares = (drawn / errors) ** 2
    places = np.argpartition(squares, errors.size - farthest - 1, axis=1)[:, -farthest - 1 :]
    next_one, far = places[:, 0], places[:, 1:]
    largest = every_pair(np.take_along_axis(drawn, far, 1), errors[far])
    bound = np.take_along_axis(squares, next_one[:, None], 1)[:, 0] + squares.max(axis=1)
    open_ones = bound > largest**2 * (1 - 1e-12)
    largest[open_ones] = largest_reaches(drawn[open_ones], errors, 3 * farthest)
    return largest


def every_pair(drawn: Floats, errors: Floats) -> Floats:
    """The same over all pairs, group by group, so that memory stays small. errors: of the groups, or of each draw's groups."""
    largest = np.zeros(drawn.shape[0])
    for place in range(drawn.shape[1] - 1):
        error = np.hypot(errors[..., place, None], errors[..., place + 1 :])
        gaps = np.abs(drawn[:, place + 1 :] - drawn[:, [place]])
        np.maximum(largest, np.divide(gaps, error, out=np.zeros_like(gaps), where=error > 0).max(axis=1), out=largest)
    return largest


def stays_under(null: Floats) -> float:
    """The null's 95 % point: a draw of it, so that a p-value above 0.05 and a figure at most this are the same thing."""
    return float(np.quantile(null, 0.95, method="higher"))


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


def share_of(successes: Floats, n: Floats) -> float:
    """The share of all groups together."""
    return float(successes.sum() / n.sum())


def rate_reaches(successes: ArrayLike, n: ArrayLike, draws: int = DRAWS) -> Floats:
    """The surest pair's standard errors, of groups of these sizes, when the successes fall on rows at random: `draws` permutations, seeded.

    Where every group has LARGE successes and failures to expect, the hypergeometric counts are drawn as normal ones.
    """
    rows = np.maximum(np.rint(np.asarray(n, np.float64)), 1).astype(np.int64)
    total = min(int(np.rint(np.asarray(successes, np.float64).sum())), int(rows.sum()))
    share = total / rows.sum()
    errors = np.sqrt(share * (1 - share) / rows)
    if rows.min() * min(share, 1 - share) >= LARGE:
        return largest_reaches(normal_draws(draws, rows.size) * errors, errors)
    hits = np.random.default_rng(SEED).multivariate_hypergeometric(rows, total, size=draws, method="marginals")
    return largest_reaches(hits / rows, errors)


@lru_cache(maxsize=16)
def normal_draws(draws: int, groups: int) -> Floats:
    """Standard normal numbers, draws × groups, the same in each run; not to be written to."""
    drawn = np.random.default_rng(SEED).standard_normal((draws, groups))
    drawn.flags.writeable = False
    return drawn


def chance(reach: float, null: Floats, tail: float) -> float:
    """Share of the null's draws at or above a reach, itself counted as one (Davison and Hinkley 1997).

    Beyond every draw, `tail` is taken where it is smaller: the pair's own p-value times the number of pairs (Bonferroni).
    """
    beyond = int(np.count_nonzero(null >= reach - 1e-9))
    drawn = (1 + beyond) / (1 + null.size)
    return drawn if beyond or reach <= 0 else min(drawn, tail)


def pair_chance(reach: float, successes: Floats, n: Floats, share: float) -> float:
    """Two-sided p-value of one pair of rates: normal where both groups are large, else Fisher's exact test, since few successes have a long tail."""
    from scipy.special import ndtr
    from scipy.stats import hypergeom

    if n.min() * min(share, 1 - share) >= LARGE:
        return float(2 * ndtr(-reach))
    hits, rows = np.rint(successes).astype(int), np.maximum(np.rint(n), 1).astype(int)
    return float(min(1.0, 2 * hypergeom.sf(hits[1] - 1, rows.sum(), hits.sum(), rows[1])))


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
