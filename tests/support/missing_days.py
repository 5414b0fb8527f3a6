"""Estimates of the accuracy of a week's last two days, whose labels are still to come, from its first five and the model's own past."""

import numpy as np
from numpy.typing import NDArray

KNOWN_DAYS, MISSING_DAYS = 5, 2
WEEK = KNOWN_DAYS + MISSING_DAYS
PAST_MEAN_DAYS = 28
LEARNED_DAYS = 56
Floats = NDArray[np.float64]


def steps_to_missing_days(daily: Floats) -> Floats:
    """For each week of seven consecutive days, by its first day: the mean of its last two days minus the mean of its first five."""
    weeks = np.lib.stride_tricks.sliding_window_view(daily, WEEK)
    return weeks[:, KNOWN_DAYS:].mean(axis=1) - weeks[:, :KNOWN_DAYS].mean(axis=1)


def steps_to_past_mean(daily: Floats) -> Floats:
    """For each week, by its first day: the mean of the 28 days before it minus the mean of its first five days; NaN with fewer than seven days
    before it.
    """
    steps = np.full(daily.size - WEEK + 1, np.nan)
    for first in range(WEEK, steps.size):
        steps[first] = daily[max(0, first - PAST_MEAN_DAYS) : first].mean() - daily[first : first + KNOWN_DAYS].mean()
    return steps


def labelled_weeks(first: int) -> NDArray[np.int64]:
    """The first days of the weeks from the last 56 days that have all labels when the week that begins at `first` is judged."""
    return np.arange(max(WEEK, first + KNOWN_DAYS - LEARNED_DAYS), first - MISSING_DAYS + 1)


def week_half_width(accuracy: Floats, first: int) -> float:
    """Half the width of an interval of about 95 % for the week's accuracy around that of its five days: twice the root mean square of the past
    steps to the last two days, times their part of the week.
    """
    steps = steps_to_missing_days(accuracy)[labelled_weeks(first)]
    return float(2 * MISSING_DAYS / WEEK * np.sqrt(np.mean(steps**2)))


def missing_days_estimates(accuracy: Floats, expected: Floats, first: int) -> dict[str, float]:
    """The accuracy of the two days without labels of the week that begins at index `first`, by each method. The days before `first` have their
    labels.

    accuracy, expected: for each day, the share of right predictions, and the share that the calibrated scores lead one to expect. `as the five
    days`: the mean of the five days. `expected, corrected`: what the scores of the two days lead one to expect, plus the error of this
    expectation on the five days (difference estimator). The other methods multiply a step by a slope between 0 and 1, by least squares from the
    weeks of the last 56 days that have all labels: the step of the expectation, the step to the mean of the 28 days before, or both.
    """
    known = float(accuracy[first : first + KNOWN_DAYS].mean())
    ripe = labelled_weeks(first)
    by_score, to_mean, moved = steps_to_missing_days(expected), steps_to_past_mean(accuracy), steps_to_missing_days(accuracy)
    told = {"as the five days": known, "expected, corrected": known + float(by_score[first])}
    for name, steps in (
        ("expected, own slope", [by_score]),
        ("past mean, own slope", [to_mean]),
        ("both, own slopes", [by_score, to_mean]),
    ):
        past = np.column_stack([each[ripe] for each in steps])
        slopes = np.clip(np.linalg.lstsq(past, moved[ripe], rcond=None)[0], 0, 1)
        told[name] = known + float(slopes @ [each[first] for each in steps])
    return told
