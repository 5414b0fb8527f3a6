"""Gradual-shift test of a daily figure, with a stated mean time between false alarms.

The error of a test that is repeated each day must not grow with the repetitions. This test is the e-detector of Shin, Ramdas and Rinaldo
(2023): the Shiryaev-Roberts sum of likelihood ratios, averaged over several sizes of a shift. Without a change, the sum minus the number of
days is a martingale. So a threshold of A days means at least A days between false alarms on average, whatever the distribution of days with
this variance.
"""

import numpy as np
from numpy.typing import ArrayLike

from observability.stats.arrays import Floats

SHIFTS = (0.5, 1.0, 2.0)
"""Sizes of a shift in standard deviations of a day, equally weighted."""
LARGEST = 3.0
"""Scores are clipped at this number of standard deviations, because one outlying day alone is not a gradual shift."""


def shiryaev_roberts(scores: ArrayLike) -> Floats:
    """For each day, the mean time in days until a series without change looks equally bad. An alarm at A has a mean time between false
    alarms of at least A.

    Parameters
    ----------
    scores : ArrayLike
        One a day, in order: distance on the bad side of what is allowed, in standard deviations of a day (at most 0 on average
        without change); NaN for an unknown day, which changes nothing.

    Returns
    -------
    Floats

    References
    ----------
    * Shin, Ramdas and Rinaldo (2023), E-detectors: a nonparametric framework for sequential change detection.
    """
    values = np.minimum(np.asarray(scores, np.float64), LARGEST)
    sums = np.zeros(len(SHIFTS))
    found = np.zeros(values.size)
    at = np.asarray(SHIFTS)
    for place, value in enumerate(values):
        if np.isfinite(value):
            sums = np.minimum((sums + 1) * np.exp(at * value - at**2 / 2), 1e300)
        found[place] = sums.mean()
    return found


def alarm_threshold(budget: float) -> float:
    """Threshold of `shiryaev_roberts` for a daily false-alarm budget.

    Parameters
    ----------
    budget : float
        Probability of a false alarm a day.

    Returns
    -------
    float
        Mean days between false alarms.

    Raises
    ------
    ValueError
        The budget is not above 0.
    """
    if not budget > 0:
        raise ValueError(f"a budget is above 0, got {budget}")
    return 1 / budget


def shift_start(scores: ArrayLike) -> int | None:
    """The place from which the sum of the scores to the end is largest: the likely start of a gradual shift.

    Parameters
    ----------
    scores : ArrayLike
        As in `shiryaev_roberts`.

    Returns
    -------
    int | None
        None if no sum is positive.
    """
    values = np.nan_to_num(np.asarray(scores, np.float64), nan=0.0)
    if not values.size:
        return None
    tails = np.cumsum((values - SHIFTS[0] / 2)[::-1])[::-1]
    best = int(np.argmax(np.round(tails, 9)))
    return best if tails[best] > 0 else None
