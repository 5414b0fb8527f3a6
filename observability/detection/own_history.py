"""Is what came now unusual beside what came before, one delivery or one run of a rule at a time?

Each value is held against the middle of the past, of its weekday where there are two weeks of it, and against how far single ones strayed from that
(stats/dispersion.py, so that a fault of the past does not hide the next one). What is unusual must also be further out than nearly all of the past was.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import stdtr

from observability.stats.dispersion import LEAST_DAYS, WEEKS_FOR_PATTERN, variation

Array = np.ndarray[Any, np.dtype[Any]]
LEAST = LEAST_DAYS
"""Values of the past from which on something is called usual."""
LEAST_SPREAD = 0.1
"""What never varied is taken to vary by a tenth, of a logarithm."""
LEAST_SPREAD_OF_SHARES = 0.02
"""The same on the arcsine of a share's root: one point at a share of 5 %, two at 50 %."""
SEEN = 1 / 8
"""What more than this part of the values that it is held against was as far out as is not unusual, whatever the tail of a distribution says."""
MOST_FREEDOM = 12.0
"""Single values have longer tails than a normal: p-values are read on Student's t of no more degrees than this."""
WEEK = 7
OF_A_MEDIAN = np.pi / 2
"""Variance of a median over that of a mean (of normal values)."""


@dataclass(frozen=True)
class Beside:
    """New values beside the past, a place each. middle: what is usual (NaN where nothing is known); low, high: how often chance alone gives as little, as much."""

    middle: Array
    low: Array
    high: Array
    past: int

    @property
    def known(self) -> bool:
        """Whether the past tells what is usual."""
        return self.past >= LEAST


def beside(
    values: Array, days: Array, past: Array, past_days: Array, noise: Array | float = 0.0, past_noise: Array | float = 0.0,
    *, least: float = LEAST_SPREAD,
) -> Beside:  # fmt: skip
    """New values beside past ones. values, past: on a scale on which they stray alike (a logarithm, an arcsine); noise: variance from rows alone, of
    the same length or one for all; days: whole days since 1970, of which the weekday is told; least: how far values stray at the least.
    """
    nothing = np.full(values.size, np.nan)
    if past.size < LEAST:
        return Beside(nothing, nothing, nothing, int(past.size))
    order = np.argsort(past_days, kind="stable")
    before, at = past[order], past_days[order]
    of_past = np.broadcast_to(np.asarray(past_noise, float), past.shape)[order]
    found = variation(before, of_past, at)
    between = max(float(found.between[0]), least**2)
    middle, size, below, above = (np.empty(values.size) for _ in range(4))
    for place, (value, weekday) in enumerate(zip(values, days % WEEK, strict=True)):
        own = before[at % WEEK == weekday] if past.size >= WEEK * WEEKS_FOR_PATTERN else before
        own = own if own.size > 1 else before
        middle[place], size[place] = np.median(own), own.size
        below[place], above[place] = np.mean(own <= value), np.mean(own >= value)
    error = np.sqrt(between * (1 + OF_A_MEDIAN / size) + np.broadcast_to(np.asarray(noise, float), values.shape))
    t, freedom = (values - middle) / error, min(found.freedom, MOST_FREEDOM)
    low, high = np.where(below <= SEEN, stdtr(freedom, t), 1.0), np.where(above <= SEEN, stdtr(freedom, -t), 1.0)
    return Beside(middle, low, high, int(past.size))


def share_of(middle: float, rows: Array) -> float:
    """The share that a middle on the arcsine scale (Anscombe 1948) stands for, of values from so many rows each: of values that were all nothing it is nothing."""
    usual = float(np.median(rows)) if rows.size else 1.0
    return max((float(np.sin(middle) ** 2) * (usual + 3 / 4) - 3 / 8) / usual, 0.0)
