"""Measures how far the mean of a number moved from the reference, with sums of the values themselves.

A mean over the bins of a histogram (metrics/histograms.py) clips values beyond the reference's range to its ends. Therefore one extreme
value cannot move that mean, but its shift is too small if most values lie beyond the range. Sums have no such limit.
"""

from typing import TYPE_CHECKING

import numpy as np

from observability.core.analyzer import Ask, Context, Frames
from observability.core.questions import Aggregate, Bucket
from observability.detection.distribution_changes import ColumnDrift, DistributionChange
from observability.detection.unit_changes import ReferenceMoments, UnitChange, change_of_some_days
from observability.metrics.column_counts import DailySums, sums_by_column
from observability.metrics.histograms import mean_shift
from observability.metrics.performance import answer_columns

if TYPE_CHECKING:
    from pandas import DataFrame

WORTH_SAYING, SAME = 0.1, 0.05
"""Smallest shift of a mean that is reported, and smallest difference between two shifts with which both are reported. Both are in standard
deviations of the reference; if the larger shift exceeds 1, the difference is a share of it.
"""


def value_asks(columns: tuple[str, ...], context: Context) -> dict[str, Ask]:
    """Return the queries for the sums of numeric columns, by day of the window and for the reference. Empty if no column is a number."""
    known = [context.model.column(name) for name in columns]
    numbers = tuple(name for name, column in zip(columns, known, strict=True) if column is not None and column.kind == "number")
    if not numbers:
        return {}
    return {
        "sums": Ask(Aggregate("predictions", keys=(Bucket("day"),), sums=numbers)),
        "reference_sums": Ask(Aggregate("predictions", sums=numbers), span="reference"),
    }


class ColumnValues:
    """The means of the columns' values: by day of the window, and in the reference."""

    def __init__(self, frames: Frames, context: Context) -> None:
        self.by_day: dict[str, DailySums] = sums_by_column(frames["sums"]) if "sums" in frames else {}
        self.reference = mean_of_each(frames["reference_sums"]) if "reference_sums" in frames else {}
        self.last = context.whole_days[1]

    def unit_change(self, drift: ColumnDrift) -> UnitChange | None:
        """Return the change of unit on the days that changed. None if there is none, or if a sum is unknown."""
        before, scale = self.reference.get(drift.reference), drift.axis.scale
        return (
            change_of_some_days(ReferenceMoments(before, scale), self.by_day.get(drift.reference)) if before is not None and scale else None
        )

    def shift(self, drift: ColumnDrift, change: DistributionChange) -> float | None:
        """Return the mean of the change's days minus the reference's mean, in standard deviations of the reference. None if a sum is
        unknown.
        """
        own, before, scale = self.by_day.get(drift.reference), self.reference.get(drift.reference), drift.axis.scale
        if own is None or before is None or not scale:
            return None
        days = own.days.astype(np.int64)
        kept = np.ones(days.size, bool) if change.whole else (days > self.last - change.days) & (days <= self.last)
        rows = float(own.weight[kept].sum())
        return (float(own.total[kept].sum()) / rows - before) / scale if rows > 0 else None


def mean_of_each(frame: "DataFrame") -> dict[str, float]:
    """Return the mean of each column, from the answer of a query for sums."""
    of = answer_columns(frame)
    return {str(name): float(total / w) for name, total, w in zip(of["measure"], of["total"], of["w"], strict=True) if w > 0}


def shift_words(drift: ColumnDrift, change: DistributionChange, values: float | None) -> str:
    """Return in words how far the mean of a number moved. Empty if it hardly moved.

    values: the shift of the values themselves, None if their sum is unknown.
    """
    by_bins = mean_shift(drift.axis, drift.before, change.after)
    if by_bins is None:
        return ""
    shift = by_bins if values is None else values
    if max(abs(shift), abs(by_bins)) < WORTH_SAYING:
        return ""
    said = f"values are {abs(shift):.1f} reference standard deviations {_side(shift)} on average"
    ends = "with values limited to the reference’s range"
    if values is None:
        return said if drift.axis.winsorise is None else f"{said}, {ends}"
    if abs(values - by_bins) <= SAME * max(abs(values), abs(by_bins), 1.0):
        return said
    return f"{said} ({abs(by_bins):.1f} {_side(by_bins)} {ends})"


def _side(shift: float) -> str:
    """Return the direction of a shift in words."""
    return "higher" if shift > 0 else "lower"
