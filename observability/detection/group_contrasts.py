"""Follows a difference between groups by day: its natural variation and its onset.

A contrast is a weighted sum of the groups' rates with weights that add up to zero: a group minus the other groups, or one group minus
another. Days of the model's own past show how much variance between days adds to the variance of rows (stats/dispersion.py). These days may
already contain the fault. Therefore the variation between days is used for changes, and the variation between consecutive days for the
level of a window.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from observability.detection.change import DifferenceError
from observability.detection.days_beyond import evidence_of_days_beyond
from observability.detection.onset import OnsetEstimate, estimate_onset
from observability.detection.windows import Floats, reference_days
from observability.stats.dispersion import MIN_DAYS, DayVariation, consecutive_day_variation, estimate_day_variation, fast_median

MIN_ROWS = 5
"""A group with fewer rows on a day has no value on that day."""
MIN_PAST = 5
"""With at least this many past days, they give the level before an onset; with fewer, the reference gives it."""


@dataclass(frozen=True)
class GroupContrast:
    """One difference between groups, by day.

    days: numbers since 1970, rising; values, variances (from rows only): NaN if a group is too small; past: whether the day is before the
    window. rows: number of rows of its groups on each day.
    """

    days: NDArray[np.int64]
    values: Floats
    variances: Floats
    past: NDArray[np.bool_]
    rows: Floats

    @cached_property
    def usual_rows(self) -> float:
        """The number of rows of its groups on a usual day of the past; 0 without past days."""
        return float(fast_median(self.rows[self.past], 0)) if self.past.any() else 0.0

    @cached_property
    def variation(self) -> DayVariation:
        """The variance between days, estimated from the past."""
        kept = self.past & np.isfinite(self.values)
        if not kept.any():
            return DayVariation(np.zeros(1), 0.0, 0)
        return estimate_day_variation(self.values[kept], self.variances[kept], self.days[kept])

    @cached_property
    def variation_of_level(self) -> DayVariation:
        """The variance between days for the level of a window, estimated from consecutive days of past and window. A lasting change does
        not increase it. If the past has too few days, it is `variation`.
        """
        return consecutive_day_variation(self.values, self.variances, self.days) if self.days_known else self.variation

    def error(self, rows: float, days: float, n_reference: float, *, level: bool = False) -> DifferenceError:
        """Return the standard error of the change of the contrast between some days and the reference.

        rows: the error from rows alone; n_reference: number of rows of the reference; level: True for the error of the level of these days,
        False for the error of their change.
        """
        known = self.variation_of_level if level else self.variation
        from_days = known.of_mean(days) + known.of_mean(reference_days(n_reference, self.usual_rows))
        return DifferenceError(rows, float(from_days[0]), known.freedom)

    def varies(self, error: DifferenceError) -> float:
        """Return the change that unchanged windows do not exceed; 0 if the past has too few days to estimate it."""
        return error.reach if self.days_known >= MIN_DAYS else 0.0

    @property
    def days_known(self) -> int:
        """Number of past days from which the natural variation is estimated; 0 if there are too few."""
        return self.variation.days

    def onset(self, start: datetime, before: tuple[float, float], worse: int) -> OnsetEstimate:
        """Estimate the date on which the change began. before: the value of the contrast in the reference, and its standard error."""
        kept = np.isfinite(self.values)
        past = int((kept & self.past).sum())
        return estimate_onset(
            self.days[kept],
            self.values[kept],
            np.sqrt(self.variances[kept]),
            start=start,
            before=None if past >= MIN_PAST else before,
            worse=worse,
        )

    def standing(self, level: float, worse: int) -> dict[str, Any]:
        """Return, as evidence of a finding, since when the difference has been beyond a level on its worse side (1 or -1)."""
        return evidence_of_days_beyond(self.days, worse * (self.values - level), np.sqrt(self.variances))


def rate_contrasts(days: NDArray[np.int64], first: int, values: Floats, n: Floats, weights: Floats, of_row: Floats) -> list[GroupContrast]:
    """Return one contrast for each row of weights (× groups), computed from rates by day (days × groups) over n rows.

    first: number of the window's first day; of_row: for each group, the variance of one row.
    """
    there = (n >= MIN_ROWS) & np.isfinite(values)
    of, over = np.where(there, values, 0.0), np.where(there, np.nan_to_num(of_row) / np.where(there, n, 1.0), 0.0)
    shape = (len(weights), days.size)
    totals, variances, known = np.zeros(shape), np.zeros(shape), np.ones(shape, bool)
    for sign in (1.0, -1.0):  # If a part of a side is missing, the side is measured by its remaining parts.
        side = np.maximum(sign * weights, 0.0)
        left, whole = side @ there.T, side.sum(axis=1, keepdims=True)
        known &= left >= whole / 2
        scale = whole / np.where(left > 0, left, 1.0)
        totals += sign * scale * (side @ of.T)
        variances += scale**2 * (side**2 @ over.T)
    rows, past = (weights != 0) @ n.T, np.asarray(days < first, bool)
    totals, variances = np.where(known, totals, np.nan), np.where(known, variances, np.nan)
    return [GroupContrast(days, value, variance, past, size) for value, variance, size in zip(totals, variances, rows, strict=True)]


def growth_p_value(error: DifferenceError, grown: float) -> float:
    """Return the two-sided p-value of a growth of this size; 1 if nothing has grown."""
    return error.p_value(grown) if grown > 0 else 1.0
