"""Compares single new values (one delivery, one run of a rule) with past values of the same source.

Each value is compared with the median of past values (of the same weekday, if there are two weeks of past), relative to the variation of
single values. The estimate of this variation is robust (stats/dispersion.py), so that a past fault does not hide the next one. An unusual
value must also be more extreme than nearly all past values.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from scipy.special import stdtr, stdtrit

from observability.stats.dispersion import MIN_DAYS, WEEKS_FOR_PATTERN, estimate_day_variation

Array = np.ndarray[Any, np.dtype[Any]]
MIN_PAST_VALUES = MIN_DAYS
"""A comparison needs at least this many past values."""
MIN_SPREAD = 0.1
"""Minimum standard deviation of a logarithm."""
MIN_SPREAD_OF_SHARES = 0.02
"""Minimum standard deviation on the arcsine scale; it corresponds to about one point at a share of 5 %, and two points at 50 %."""
SEEN = 1 / 8
"""A value is not unusual, whatever its p-value, if more than this share of past values is at least as extreme."""
NATURAL = 0.01
"""Share of usual values that lie outside the range of values called usual."""
ROUNDING = 1e-9
"""Relative amount by which both ends of a range are widened, so that a value equal to an earlier one lies within the range."""
MAX_FREEDOM = 12.0
"""Maximum degrees of freedom of Student's t. Single values have heavier tails than a normal distribution."""
WEEK = 7
OF_A_MEDIAN = np.pi / 2
"""Variance of a median divided by the variance of a mean, for normal values."""


@dataclass(frozen=True, kw_only=True)
class HistoryComparison:
    """One new value of a metric, at an instant.

    value: in the unit of the metric. usual: the usual value, NaN if there is too little past. p_value: the probability of a value at least
    this extreme.
    """

    metric: str
    at: datetime
    value: float
    usual: float
    p_value: float

    @property
    def known(self) -> bool:
        """Whether there is enough past."""
        return not np.isnan(self.usual)

    def exceeds(self, limit: tuple[float, float]) -> bool:
        """Return whether the value is at least a given multiple of the usual value, and exceeds it by at least a given amount."""
        return self.value >= limit[0] * self.usual and self.value - self.usual >= limit[1]


@dataclass(frozen=True)
class UsualValues:
    """The usual value for each new value.

    middle: the usual value, NaN if unknown. low, high: p-values of a value at least as low, and at least as high. past: number of past
    values. lowest, highest: the range of usual values, on the scale of the values: it contains all but NATURAL of usual values, and
    everything up to what an eighth of the past values reached.
    """

    middle: Array
    low: Array
    high: Array
    past: int
    lowest: Array
    highest: Array

    @property
    def known(self) -> bool:
        """Whether there is enough past."""
        return self.past >= MIN_PAST_VALUES


def usual_values(
    values: Array,
    days: Array,
    past: Array,
    past_days: Array,
    noise: Array | float = 0.0,
    past_noise: Array | float = 0.0,
    *,
    least: float = MIN_SPREAD,
) -> UsualValues:
    """Return the usual value for each new value, from past values.

    values, past: on a variance-stabilized scale (logarithm, arcsine). noise: sampling variance, one for each value or one for all. days:
    whole days since 1970, from which the weekday follows. least: minimum standard deviation.
    """
    nothing = np.full(values.size, np.nan)
    if past.size < MIN_PAST_VALUES:
        return UsualValues(nothing, nothing, nothing, int(past.size), nothing, nothing)
    order = np.argsort(past_days, kind="stable")
    before, at = past[order], past_days[order]
    of_past = np.broadcast_to(np.asarray(past_noise, float), past.shape)[order]
    found = estimate_day_variation(before, of_past, at)
    between = max(float(found.between[0]), least**2)
    middle, size, below, above, lowest, highest = (np.empty(values.size) for _ in range(6))
    for place, (value, weekday) in enumerate(zip(values, days % WEEK, strict=True)):
        own = before[at % WEEK == weekday] if past.size >= WEEK * WEEKS_FOR_PATTERN else before
        own = np.sort(own if own.size > 1 else before)
        n = size[place] = own.size
        middle[place] = np.mean(own[(n - 1) // 2 : n // 2 + 1])
        below[place], above[place] = np.searchsorted(own, value, "right") / n, (n - np.searchsorted(own, value, "left")) / n
        seen = int(SEEN * n)
        lowest[place], highest[place] = own[seen], own[n - 1 - seen]
    error = np.sqrt(between * (1 + OF_A_MEDIAN / size) + np.broadcast_to(np.asarray(noise, float), values.shape))
    t, freedom = (values - middle) / error, min(found.freedom, MAX_FREEDOM)
    low, high = np.where(below <= SEEN, stdtr(freedom, t), 1.0), np.where(above <= SEEN, stdtr(freedom, -t), 1.0)
    reach = stdtrit(freedom, 1 - NATURAL / 2) * error
    return UsualValues(middle, low, high, int(past.size), np.minimum(lowest, middle - reach), np.maximum(highest, middle + reach))


def share_from_arcsine(middle: float, rows: Array) -> float:
    """Return the share that corresponds to a median on the arcsine scale (Anscombe 1948); 0 if all shares were 0. rows: number of rows of
    each value.
    """
    usual = float(np.median(rows)) if rows.size else 1.0
    return max(round((float(np.sin(middle) ** 2) * (usual + 3 / 4) - 3 / 8) / usual, 12), 0.0)
