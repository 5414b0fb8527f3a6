"""The level from which values lie beyond the tail of the smaller values."""

import numpy as np
from scipy import special

from observability.stats.arrays import Array

TAIL_VALUES = 50
"""Maximum number of values from which the tail below a tested value is estimated: the next smaller ones."""
PRIOR_INDEX, PRIOR_VALUES = 8.0, 10.0
"""Index of the tail that is assumed before values are seen, and the number of values that this assumption counts as. Beyond three standard
deviations the tail of normal noise has an index above 10, that of Laplace noise about 5, that of Student's t with three degrees of
freedom 3.
"""

MIN_INDEX = 2.5
"""Least index of a tail in a second test, which is made if the first finds no gap. Outlying values of very different sizes resemble a tail
of a smaller index, and would hide each other.
"""


def tail_gap_level(values: Array, base: float, tested_from: float, chance: float) -> float:
    """The smallest value that exceeds all smaller values by more than their tail explains.

    The tail is taken as a power law (Pareto), which is heavier than the tails of normal and Laplace noise, so that gaps in the logarithm
    between neighbouring order statistics are exponential. Values are tested from the inside out, each against the TAIL_VALUES next smaller
    ones, so outlying values do not hide each other, however many they are. The r-th largest value is tested with `chance` / r². The more
    values there are, the farther out their tail ends, and the larger the first value after a gap has to be.

    Parameters
    ----------
    values : Array
        Independent values in units of their usual spread.
    base : float
        Where the tail begins, above 0. A value with more than TAIL_VALUES smaller values above it is tested against the nearest of them.
    tested_from : float
        Smaller values are not tested.
    chance : float
        Probability that the largest value of a power law is reported, and 1.65 times this over all values, where many values are in the
        tail. With few of them, or with an index below PRIOR_INDEX, it is larger.

    Returns
    -------
    float
        Infinity without such a value.

    References
    ----------
    * Davies and Gather (1993), The identification of multiple outliers.
    * Schluter and Trede (2008), Identifying multiple outliers in heavy-tailed distributions.
    """
    tail = np.sort(values[values > base])
    count = len(tail)
    smaller = np.arange(int(np.searchsorted(tail, tested_from)), count)
    seen, total, reached = _tail_below(tail, smaller, base)
    remaining = count - smaller
    gap = remaining * (np.log(tail[smaller] / base) - reached)
    limit = np.log(chance / remaining**2)
    return _first_beyond(tail[smaller], gap, seen, total, limit)


def chosen_gap_level(values: Array, chosen: Array, stride: int, base: float, tested_from: float, chance: float) -> float:
    """The smallest value that exceeds the tail of a sample by more than is probable among the values outside the sample.

    The sample holds one in `stride` of all values. The others were not seen, except those that were chosen because they are large. So the
    r-th largest value seen may be the r-th largest of all, while the tail is known from the sample. If k - 1 values of the sample are as
    large as the tested value x, and y is the next smaller one, then of a power law with index a at least r of all values exceed x with a
    probability of at most C(k + r - 1, r) (stride (y / x)^a)^r.

    Parameters
    ----------
    values : Array
        Independent values in units of their usual spread.
    chosen : Array
        A mask of the values that do not belong to the sample.
    stride : int
        Number of all values for one of the sample.
    base : float
        As in `tail_gap_level`.
    tested_from : float
        As in `tail_gap_level`.
    chance : float
        As in `tail_gap_level`.

    Returns
    -------
    float
        Infinity without such a value.
    """
    sample = np.sort(values[~chosen & (values > base)])
    tested = np.sort(values[values >= tested_from])
    smaller = np.searchsorted(sample, tested)
    seen, total, reached = _tail_below(sample, smaller, base)
    rank, as_large = len(tested) - np.arange(len(tested)), len(sample) - smaller
    ways = special.gammaln(as_large + rank + 1) - special.gammaln(as_large + 1) - special.gammaln(rank + 1)
    gap = rank * (np.log(tested / base) - reached)
    return _first_beyond(tested, gap, seen, total, np.log(chance / rank**2) - ways - rank * np.log(stride))


def _tail_below(tail: Array, smaller: Array, base: float) -> tuple[Array, Array, Array]:
    """For each number of smaller values of a sorted tail: how many values its index is estimated from, the sum of their logarithms above
    the base, larger values counted as the largest of them, and the logarithm of that one over `base`. The assumption about the index is
    included.
    """
    excess = np.concatenate([[0.0], np.log(tail / base)])
    sums = np.cumsum(excess)
    first = np.maximum(smaller - TAIL_VALUES, 0)
    above = excess[smaller] - excess[first]
    total = sums[smaller] - sums[first] - (smaller - first) * excess[first] + (len(tail) - smaller) * above
    return smaller - first + PRIOR_VALUES, total + PRIOR_VALUES / PRIOR_INDEX, excess[smaller]


def _first_beyond(tested: Array, gap: Array, seen: Array, total: Array, limit: Array) -> float:
    """The first of the tested values whose gap has a probability with a logarithm below the limit; infinity without one."""
    for scale in (total, np.minimum(total, seen / MIN_INDEX)):
        beyond = np.flatnonzero(-seen * np.log1p(gap / scale) < limit)
        if len(beyond):
            return float(tested[beyond[0]])
    return float("inf")
