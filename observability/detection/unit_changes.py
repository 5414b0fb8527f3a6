"""Detects values whose unit changed: their mean and standard deviation are multiplied by the same factor."""

import math
from typing import NamedTuple

import numpy as np

from observability.core.catalog import Edges
from observability.metrics.column_counts import ColumnCounts, DailySums, interior_bins

MOSTLY = 0.9
"""If at least this share of values is out of range, the factor between all values and the reference is stated."""
MIN_FACTOR, MIN_OF_DAYS, SIMILAR = 2.0, 5.0, 0.25
"""In this order: minimum factor to report if most values are out of range; minimum factor for single days, which vary more; maximum
difference of the logarithms of two factors (of the mean and of the standard deviation).
"""
FULL = 0.2
"""A day is judged if it has at least this share of a usual day's rows."""


class ReferenceMoments(NamedTuple):
    """Mean and standard deviation of a number in the reference."""

    mean: float
    deviation: float


def usual_values(before: ColumnCounts, edges: Edges) -> ReferenceMoments | None:
    """Return the mean and standard deviation of a reference, from its bins without the bins beyond its range. None if they are unknown."""
    if not edges.scale or not edges.positions:
        return None
    values = before.values
    kept = interior_bins(values.bins, edges)
    weights, positions = values.by_bin[0][kept], np.asarray(edges.positions)[values.bins[kept]]
    total = float(weights.sum())
    return ReferenceMoments(float(weights @ positions) / total, edges.scale) if total > 0 else None


class UnitChange(NamedTuple):
    """The factor by which the values of some days changed, the number of these days, and the number of days that were judged (`of`)."""

    factor: float
    days: int
    of: int

    @property
    def words(self) -> str:
        """The change and its size in words, for the end of a sentence."""
        size = float(f"{max(self.factor, 1 / self.factor):.2g}")
        when = "" if self.days == self.of else f" on {self.days} of {self.of} days"
        return f"values{when} are about {size:,g} times {'larger' if self.factor > 1 else 'smaller'}"


def scale_factor(usual: ReferenceMoments | None, sums: DailySums | None) -> float | None:
    """Return the factor by which both the mean and the standard deviation of some days differ from the usual ones. None if they do not
    share a factor.
    """
    if usual is None or sums is None or not sums.mean * usual.mean > 0 or not min(sums.deviation, usual.deviation) > 0:
        return None
    factor, spread = sums.mean / usual.mean, sums.deviation / usual.deviation
    size = max(factor, 1 / factor)
    return factor if math.isfinite(size) and size >= MIN_FACTOR and abs(math.log(factor / spread)) <= SIMILAR else None


def change_of_all_days(usual: ReferenceMoments | None, sums: DailySums | None) -> UnitChange | None:
    """Return the change of unit over a whole window. None if there is none."""
    factor = scale_factor(usual, sums)
    return None if factor is None or sums is None else UnitChange(factor, sums.days.size, sums.days.size)


def change_of_some_days(usual: ReferenceMoments | None, sums: DailySums | None) -> UnitChange | None:
    """Return the change of unit on the days whose mean differs by a factor of at least MIN_OF_DAYS. None if no day differs so much.

    The factor compares the changed days with the unchanged days, because a column may have drifted from the reference before. If that gives
    no factor, it compares the changed days with the reference.
    """
    if usual is None or sums is None or not usual.mean or not sums.days.size:
        return None
    means = np.divide(sums.total, sums.weight * usual.mean, out=np.ones(sums.days.size), where=sums.weight > 0)
    full = sums.weight >= FULL * np.median(sums.weight)
    for beyond in (means >= MIN_OF_DAYS, (means > 0) & (means <= 1 / MIN_OF_DAYS)):
        changed, others = sums.at(full & beyond), sums.at(full & ~beyond)
        if not changed.days.size:
            continue
        factor = scale_factor(ReferenceMoments(others.mean, others.deviation), changed) or scale_factor(usual, changed)
        if factor is not None and max(factor, 1 / factor) >= MIN_OF_DAYS:
            return UnitChange(factor, changed.days.size, int(full.sum()))
    return None
