"""The calculations of bench_natural.py: which weeks are degraded, the simple rule, and the comparison of alarms with the truth."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import nan, sqrt
from typing import Literal

import numpy as np
from scipy.stats import rankdata, t

FALL = 0.05
"""A fall of accuracy that matters: five percentage points."""
PLAIN_Z = 3.0
Truth = Literal["degraded", "unsure", "sound"]


@dataclass(frozen=True)
class WeekTruth:
    """The truth about a week, from all its labels. low, high: the 95 % t-interval of the week's accuracy over its days."""

    accuracy: float
    low: float
    high: float
    truth: Truth


def week_truth(right_by_day: Sequence[np.ndarray], reference: float) -> WeekTruth:
    """Whether a week was degraded. right_by_day: for each day, whether each prediction was right.

    Degraded: the week's accuracy is at least FALL below the reference, and the upper end of the 95 % t-interval over its daily accuracies is below
    the reference. Sound: it fell by less than FALL. Unsure: it fell by FALL, but its days differ too much to be sure; neither degraded nor sound.
    """
    daily = np.array([np.mean(each) for each in right_by_day])
    accuracy = float(np.mean(np.concatenate(right_by_day)))
    half = float(t.ppf(0.975, daily.size - 1) * daily.std(ddof=1) / sqrt(daily.size)) if daily.size > 1 else nan
    fall = reference - accuracy
    truth: Truth = "sound"
    if fall >= FALL - 1e-12:
        truth = "degraded" if daily.mean() + half < reference else "unsure"
    return WeekTruth(accuracy, float(daily.mean()) - half, float(daily.mean()) + half, truth)


def plain_rule(right: int, n: int, reference_right: int, reference_n: int) -> tuple[bool, float, float]:
    """(alarm, fall, z) of the simple rule `fell five points, z above 3`: two shares, compared with the pooled standard error."""
    if not n or not reference_n:
        return False, nan, nan
    fall = reference_right / reference_n - right / n
    pooled = (right + reference_right) / (n + reference_n)
    error = sqrt(pooled * (1 - pooled) * (1 / n + 1 / reference_n))
    z = fall / error if error else 0.0
    return fall >= FALL - 1e-12 and z > PLAIN_Z, fall, z


@dataclass(frozen=True)
class AlarmRates:
    """The number of degraded, sound and unsure weeks, and how many of each had an alarm."""

    degraded_alarms: int
    degraded: int
    sound_alarms: int
    sound: int
    unsure_alarms: int
    unsure: int

    @property
    def power(self) -> float:
        """The share of degraded weeks with an alarm; nan if there is no degraded week."""
        return self.degraded_alarms / self.degraded if self.degraded else nan

    @property
    def false_alarm_rate(self) -> float:
        """The share of sound weeks with an alarm; nan if there is no sound week."""
        return self.sound_alarms / self.sound if self.sound else nan


def alarm_rates(weeks: Iterable[tuple[Truth, bool | None]]) -> AlarmRates:
    """The counts from each week's truth and alarm. Weeks for which the tool gave no answer (None) are left out."""
    told = [each for each in weeks if each[1] is not None]
    counts = []
    for kind in ("degraded", "sound", "unsure"):
        alarms = [bool(alarm) for truth, alarm in told if truth == kind]
        counts += [sum(alarms), len(alarms)]
    return AlarmRates(*counts)


def auroc(values: Sequence[float], positive: Sequence[bool]) -> float:
    """The probability that a degraded week has a larger value than another week; ties count half. nan if there are no weeks of one kind."""
    truth = np.asarray(positive, dtype=bool)
    above, below = int(truth.sum()), int((~truth).sum())
    if not above or not below:
        return nan
    return float((rankdata(values)[truth].sum() - above * (above + 1) / 2) / (above * below))


def power_at(values: Sequence[float], positive: Sequence[bool], false_alarm_rate: float) -> float:
    """The largest share of degraded weeks above a limit, if at most this share of the other weeks may lie above it. nan if there are no
    weeks of one kind.
    """
    truth, scores = np.asarray(positive, dtype=bool), np.asarray(values, dtype=float)
    if not truth.any() or truth.all():
        return nan
    allowed = int(np.floor(false_alarm_rate * int((~truth).sum()) + 1e-9))
    highest_first = np.sort(scores[~truth])[::-1]
    limit = highest_first[allowed] if allowed < highest_first.size else -np.inf
    return float(np.mean(scores[truth] > limit))


def expected_news(truths: Sequence[Truth]) -> list[str | None]:
    """The expected news of each week: `new` in the first degraded week of a run, `standing` in the next ones, `recovered` in the sound week
    that follows.

    None: there is no news, or it is unknown (in an unsure week and in the one directly after).
    """
    told: list[str | None] = []
    for before, truth in zip(["sound", *truths[:-1]], truths):
        if truth == "degraded":
            told.append({"sound": "new", "degraded": "standing"}.get(before))
        else:
            told.append("recovered" if truth == "sound" and before == "degraded" else None)
    return told
