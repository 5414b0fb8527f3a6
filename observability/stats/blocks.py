"""Ratios, differences and quantiles of rows that are correlated within blocks of time.

A system has a state (the content of a cache, the length of a queue), so consecutive rows are not independent. Every interval here treats
blocks, not rows, as its units.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import bdtr, bdtrik, stdtr, stdtrit

from observability.stats.interval import CONFIDENCE, Interval, ordered_interval

MIN_BLOCKS = 5
"""The least number of blocks for a comparison."""
MAX_DESIGN_EFFECT = 50.0


@dataclass(frozen=True)
class BlockEstimate:
    """An estimate with its standard error and degrees of freedom. n: number of rows; blocks: number of blocks that it comes from."""

    value: float
    error: float
    freedom: float
    n: int
    blocks: int

    def interval(self, confidence: float = CONFIDENCE) -> Interval:
        """The confidence interval from Student's t distribution."""
        half = float(stdtrit(self.freedom, 0.5 + confidence / 2)) * self.error
        return ordered_interval(self.value, self.value - half, self.value + half, self.n)

    def p_above(self, level: float) -> float:
        """One-sided p-value of the hypothesis that the true value is at most `level`."""
        if self.error <= 0:
            return float(self.value <= level)
        return float(stdtr(self.freedom, (level - self.value) / self.error))

    def shifted(self, by: float) -> "BlockEstimate":
        """The estimate plus a constant."""
        return BlockEstimate(self.value + by, self.error, self.freedom, self.n, self.blocks)


def block_ratio(totals: ArrayLike, sizes: ArrayLike, blocks: ArrayLike) -> BlockEstimate | None:
    """Return Σ totals / Σ sizes of rows, with the linearised standard error over blocks.

    Parameters
    ----------
    totals : ArrayLike
        Numerator of each row.
    sizes : ArrayLike
        Denominator of each row.
    blocks : ArrayLike
        The block of each row, as an integer.

    Returns
    -------
    BlockEstimate or None
        None below MIN_BLOCKS blocks, or where the sizes do not sum to a positive number.

    References
    ----------
    * Cochran (1977), Sampling Techniques, section 6.4.
    """
    total, size, code = np.asarray(totals, np.float64), np.asarray(sizes, np.float64), np.asarray(blocks)
    names, place = np.unique(code, return_inverse=True)
    if names.size < MIN_BLOCKS or not size.sum() > 0:
        return None
    by_total, by_size = np.bincount(place, total, names.size), np.bincount(place, size, names.size)
    value = float(by_total.sum() / by_size.sum())
    spread = float(((by_total - value * by_size) ** 2).sum()) * names.size / (names.size - 1)
    return BlockEstimate(value, float(np.sqrt(spread) / by_size.sum()), names.size - 1.0, total.size, int(names.size))


def estimate_difference(first: BlockEstimate, second: BlockEstimate) -> BlockEstimate:
    """Return the first estimate minus the second, which comes from other blocks, with the degrees of freedom of Welch and Satterthwaite.

    Parameters
    ----------
    first : BlockEstimate
        An estimate.
    second : BlockEstimate
        An estimate of other blocks.

    Returns
    -------
    BlockEstimate
        n and blocks are the sums of both.

    References
    ----------
    * Welch (1947), The generalization of Student's problem when several different population variances are involved.
    """
    return _welch(first.value - second.value, (first, first.error**2), (second, second.error**2))


def estimate_quotient(first: BlockEstimate, second: BlockEstimate) -> BlockEstimate | None:
    """Return the first estimate divided by the second, which comes from other blocks (delta method); None if the second is not positive.

    Parameters
    ----------
    first : BlockEstimate
        An estimate.
    second : BlockEstimate
        An estimate of other blocks.

    Returns
    -------
    BlockEstimate or None
        n and blocks are the sums of both.
    """
    if second.value <= 0:
        return None
    value = first.value / second.value
    return _welch(value, (first, (first.error / second.value) ** 2), (second, (value * second.error / second.value) ** 2))


def _welch(value: float, *parts: tuple[BlockEstimate, float]) -> BlockEstimate:
    """An estimate from independent parts; each part is given with the variance that it contributes."""
    variance = sum(square for _, square in parts)
    below = sum(square**2 / part.freedom for part, square in parts)
    freedom = variance**2 / below if below > 0 else min(part.freedom for part, _ in parts)
    n, blocks = sum(part.n for part, _ in parts), sum(part.blocks for part, _ in parts)
    return BlockEstimate(value, float(np.sqrt(variance)), freedom, n, blocks)


def design_effect(flags: ArrayLike, blocks: ArrayLike) -> float:
    """Return the variance of a share divided by that of independent rows, between 1 and MAX_DESIGN_EFFECT.

    Parameters
    ----------
    flags : ArrayLike
        Whether each row has the property.
    blocks : ArrayLike
        The block of each row, as an integer.

    Returns
    -------
    float
        1 if it is unknown.

    References
    ----------
    * Kish (1965), Survey Sampling, section 8.2.
    """
    flag = np.asarray(flags, np.float64)
    found = block_ratio(flag, np.ones(flag.size), blocks)
    if found is None or not 0 < found.value < 1:
        return 1.0
    plain = found.value * (1 - found.value) / flag.size
    return float(np.clip(found.error**2 / plain, 1.0, MAX_DESIGN_EFFECT))


def tail_quantile(values: ArrayLike, q: float, blocks: ArrayLike, confidence: float = CONFIDENCE) -> Interval:
    """Return a quantile with an interval from order statistics. Its n is reduced by the design effect of the rows beyond the quantile.

    Parameters
    ----------
    values : ArrayLike
        Finite values.
    q : float
        The quantile, as 0.999: the smallest value that a share of at least q does not exceed.
    blocks : ArrayLike
        The block of each row, as an integer.
    confidence : float
        Coverage of the interval.

    Returns
    -------
    Interval
        n is the effective number of rows. Low and high are None if no order statistic is far enough out.

    References
    ----------
    * David and Nagaraja (2003), Order Statistics, section 7.1.
    """
    value = np.asarray(values, np.float64)
    order = np.sort(value)
    if not order.size:
        return Interval(None, None, None, 0.0)
    point = float(order[min(int(np.ceil(q * order.size)), order.size) - 1])
    effective = order.size / design_effect(value > point, blocks)
    rows = int(effective)
    low, high = (binomial_quantile((1 + side * confidence) / 2, rows, q) if rows >= 2 else np.nan for side in (-1, 1))
    if not (low >= 1 and high + 1 <= rows):
        return Interval(point, None, None, effective)
    bounds = [float(order[min(max(int(np.ceil(rank / rows * order.size)), 1), order.size) - 1]) for rank in (low, high + 1)]
    return ordered_interval(point, bounds[0], bounds[1], effective)


def binomial_quantile(p: float, n: int, share: float) -> float:
    """Return the smallest k for which the probability of at most k successes in n trials is at least p.

    Parameters
    ----------
    p : float
        The probability, above 0 and below 1.
    n : int
        Trials, at least 1.
    share : float
        Probability of a success, above 0 and below 1.

    Returns
    -------
    float
    """
    rank = max(float(np.ceil(bdtrik(p, n, share))), 0.0)
    return rank - 1 if rank >= 1 and bdtr(rank - 1, n, share) >= p else rank


def rows_for_quantile(q: float, confidence: float = CONFIDENCE) -> int:
    """Return the number of independent rows from which a quantile has an upper bound: 1 - q^n is at least (1 + confidence) / 2.

    Parameters
    ----------
    q : float
        The quantile.
    confidence : float
        Coverage of the two-sided interval.

    Returns
    -------
    int
        The number of rows.
    """
    return int(np.ceil(np.log((1 - confidence) / 2) / np.log(q)))


def rank_separation(values: ArrayLike, first: ArrayLike, blocks: ArrayLike) -> BlockEstimate | None:
    """Return the probability that a value of the first side is above a value of the other, minus a half, with a standard error over blocks.

    Parameters
    ----------
    values : ArrayLike
        Values of both sides; ties count a half.
    first : ArrayLike
        Whether each row is of the first side.
    blocks : ArrayLike
        The block of each row; the blocks of the sides differ.

    Returns
    -------
    BlockEstimate or None
        Between -0.5 and 0.5, 0 if the sides are alike. None if a side has fewer than MIN_BLOCKS blocks.

    References
    ----------
    * Brunner and Munzel (2000), The nonparametric Behrens-Fisher problem.
    """
    value, side, code = np.asarray(values, np.float64), np.asarray(first, bool), np.asarray(blocks)
    if not side.any() or side.all():
        return None
    places: NDArray[np.float64] = np.empty(value.size)
    for own in (side, ~side):
        others = np.sort(value[~own])
        places[own] = (others.searchsorted(value[own], "left") + others.searchsorted(value[own], "right")) / 2 / others.size
    parts = [block_ratio(places[own], np.ones(int(own.sum())), code[own]) for own in (side, ~side)]
    if parts[0] is None or parts[1] is None:
        return None
    found = estimate_difference(parts[0], parts[1])
    return BlockEstimate(found.value / 2, found.error, found.freedom, found.n, found.blocks)
