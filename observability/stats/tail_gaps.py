"""The level from which values lie beyond the tail of the smaller values."""

import numpy as np

from observability.stats.arrays import Array

TAIL_VALUES = 50
"""Maximum number of values from which the tail is estimated: the largest ones."""
PRIOR_INDEX, PRIOR_VALUES = 8.0, 10.0
"""Index of the tail that is assumed before values are seen, and the number of values that this assumption counts as. Beyond three standard
deviations the tail of normal noise has an index above 10, that of Laplace noise about 5, that of Student's t with three degrees of
freedom 3.
"""


def tail_gap_level(values: Array, base: float, tested_from: float, chance: float) -> float:
    """The smallest value that exceeds all smaller values by more than their tail explains.

    The tail is taken as a power law (Pareto), which is heavier than the tails of normal and Laplace noise, so that gaps in the logarithm
    between neighbouring order statistics are exponential. Values are tested from the inside out, each against the smaller ones, so several
    outlying values do not hide each other. The r-th largest value is tested with `chance` / r². The more values there are, the farther out
    their tail ends, and the larger the first value after a gap has to be.

    Parameters
    ----------
    values : Array
        Independent values in units of their usual spread.
    base : float
        Where the tail begins, above 0; with more than TAIL_VALUES values above it, the largest of them count.
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
    if len(tail) > TAIL_VALUES:
        base, tail = float(tail[-TAIL_VALUES - 1]), tail[-TAIL_VALUES:]
    count = len(tail)
    smaller = np.arange(int(np.searchsorted(tail, tested_from)), count)
    excess = np.concatenate([[0.0], np.log(tail / base)])
    remaining = count - smaller
    total = np.cumsum(excess)[smaller] + remaining * excess[smaller] + PRIOR_VALUES / PRIOR_INDEX
    gap = remaining * (excess[smaller + 1] - excess[smaller])
    beyond = smaller[(1.0 + gap / total) ** -(smaller + PRIOR_VALUES) < chance / remaining**2]
    return float(tail[beyond[0]]) if len(beyond) else float("inf")
