"""The level from which values lie beyond the tail of the smaller values."""

import numpy as np

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
    excess = np.concatenate([[0.0], np.log(tail / base)])
    sums = np.cumsum(excess)
    first = np.maximum(smaller - TAIL_VALUES, 0)
    seen, remaining = smaller - first + PRIOR_VALUES, count - smaller
    above = excess[smaller] - excess[first]
    total = sums[smaller] - sums[first] - (smaller - first) * excess[first] + remaining * above + PRIOR_VALUES / PRIOR_INDEX
    gap = remaining * (excess[smaller + 1] - excess[smaller])
    for scale in (total, np.minimum(total, seen / MIN_INDEX)):
        beyond = smaller[(1.0 + gap / scale) ** -seen < chance / remaining**2]
        if len(beyond):
            return float(tail[beyond[0]])
    return float("inf")
