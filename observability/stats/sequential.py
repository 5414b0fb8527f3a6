"""Has a daily figure been creeping up, looked at every day, with a stated number of days between false alarms?

A test of one window asks once. A figure that is looked at each day needs a test whose error does not grow with the looks: the e-detector of Shin, Ramdas
and Rinaldo (2023), the Shiryaev-Roberts sum of likelihood ratios, averaged over several sizes of a shift. Under no change the sum less the number of
days is a martingale, so that a threshold of A days means at least A days between false alarms on average, whatever days look like beyond their variance.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

SHIFTS = (0.5, 1.0, 2.0)
"""Sizes of a shift that are watched for, in standard deviations of a day; weighted alike."""
LARGEST = 3.0
"""A day counts for no more than so many standard deviations: one wild day alone is no creep."""


def creeping(scores: ArrayLike) -> NDArray[np.float64]:
    """After each day, how many days one would wait on average for a clean series to look as bad: an alarm at A has a mean time between false alarms of
    at least A days.

    scores: one a day, in order: how far the day lies on the bad side of what is allowed, in standard deviations of a day (at most 0 on average
    while nothing changed); NaN for a day that is not known, which changes nothing.
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


def mean_days_between(budget: float) -> float:
    """The threshold of `creeping` that spends a chance of `budget` a day on false alarms."""
    if not budget > 0:
        raise ValueError(f"a budget is above 0, got {budget}")
    return 1 / budget


def began(scores: ArrayLike) -> int | None:
    """The place from which to the end the scores add up to most: where a creep began, as far as they tell; None where they add up to nothing."""
    values = np.nan_to_num(np.asarray(scores, np.float64), nan=0.0)
    if not values.size:
        return None
    tails = np.cumsum((values - SHIFTS[0] / 2)[::-1])[::-1]
    best = int(np.argmax(np.round(tails, 9)))
    return best if tails[best] > 0 else None
