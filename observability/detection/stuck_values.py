"""Detects columns that are constant in the window, or over whole days, but vary in the reference.

One bin is not one value. A number is constant if its bin contains a single value, if each day has a single value, or if its bin is narrow.
It is stuck only if all values of a day are equal. In a column that always has the same value over a whole day, each day is a single
observation; therefore its longest run of equal values in the past is taken into account.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from observability.core.analyzer import Context
from observability.core.finding import Severity
from observability.core.time import aware_utc
from observability.detection.daily_rates import days_of, rate_variation
from observability.detection.shared_days import ROWS_A_DAY, is_shared_by_day, single_value_days
from observability.detection.significant_claims import (
    QualityClaim,
    quality_limits,
    quality_percent,
    rounded_count,
    undecided_quality,
    weight_of,
)
from observability.detection.unit_changes import scale_factor, usual_values
from observability.detection.value_checks import MINIMUM_ROWS, CheckedColumn
from observability.metrics.column_counts import NO_DAYS, NO_ROWS, ColumnCounts, ColumnShare, interior_bins
from observability.stats.change import runs_of_equal_values
from observability.stats.edges import atom_bins
from observability.stats.interval import rate_interval
from observability.stats.scores import bin_middles

CONSTANT_SHARE = 0.995
"""A column is constant if at least this share of values is in one bin: all but one value in two hundred."""
VARIES_BELOW = 0.9
"""If the most frequent bin has at least this share of the reference, the reference itself is nearly constant, and the column is not
judged.
"""
VARIES_MUCH_BELOW = 0.5
"""A constant column is `act` if the most frequent bin has less than this share of the reference; otherwise it is `watch` (weather, seasons,
small groups).
"""
NARROW = 0.1
"""Values within a bin hardly vary if the bin is at most this wide, in standard deviations of the reference."""
STUCK_WATCH, STUCK_ACT = 24.0, 48.0
"""Hours with a single value: one whole day is `watch`, two are `act`."""
OTHER_DAYS, MIXED_BELOW = 3, 0.8
"""A single day with one value is reported only if there are at least this many other days, and the median share of the most frequent value
on these days is below the second number. Otherwise values such as the day of the week would be reported.
"""
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Standstill:
    """The longest run of whole days with one value: first day, number of days, the bin and the value, number of rows, and the bin's share
    in the reference.

    looked_at: number of days on which a run could begin. observations: number of independent observations, which is the number of rows, or
    the number of days if rows of a day share a value.
    """

    first: datetime
    days: int
    bin: int
    value: float | None
    rows: int
    usual: float
    looked_at: int
    observations: int


def still_claims(column: CheckedColumn, context: Context) -> list[QualityClaim]:
    """Return claims that the column is constant or was stuck; empty if the reference does not vary or if there are too few rows."""
    before = column.before.values
    if column.baseline != "reference" or before.n < MINIMUM_ROWS:
        return []
    return [*constant_claim(column, before, context), *stuck_claim(column, before, context)]


def constant_claim(column: CheckedColumn, before: ColumnCounts, context: Context) -> list[QualityClaim]:
    """Return the claim that one bin contains nearly all values although the reference varies; otherwise empty."""
    now = column.now.values
    if now.n < MINIMUM_ROWS:
        return []
    top = int(now.bins[now.by_bin[0].argmax()])
    held = ColumnShare(now.weight(top), *now.sums)
    commonest = float(before.by_bin[0].max()) / before.total
    at = context.model.settings.limits.get("data/quality/constant", CONSTANT_SHARE)
    if not interior_bins(np.array([top]), column.edges)[0] or commonest >= VARIES_BELOW or held.value < at:
        return []
    if not hardly_varies(column, top) or longest_run_before(column) >= now.days.size:
        return []
    known = rate_interval(held.hits, held.total, held.squares)
    p_value = by_chance(column, top, held, before)
    severity: Severity = "act" if commonest < VARIES_MUCH_BELOW else "watch"
    said = (
        f"{column.text} hardly varies: {value_of(column, top)} is {quality_percent(held.value)} of "
        f"{rounded_count(now.rows, 'value')}; in the reference it is "
        f"{quality_percent(before.weight(top) / before.total)} and no value is more than {quality_percent(commonest)}."
    )
    finding = replace(
        undecided_quality(context, column.subject, "constant", now.rows, said),
        value=known.value,
        low=known.low,
        high=known.high,
        severity=severity,
        likely_source="input" if column.feature else "model",
        rank=1 + weight_of(context, column.subject),
        evidence={"column": column.reference, "baseline": commonest, "baseline_n": before.rows},
    )
    return [QualityClaim(finding, p_value, (at, at))]


def hardly_varies(column: CheckedColumn, place: int) -> bool:
    """Return whether the values in a bin are equal or nearly so: the bin is a level, contains a single value or is narrow, or each day has
    one value. The bins of a classifier's score are narrow.

    If a column arrived in another unit, all its values may be in a narrow bin. This does not count as stuck, because the values vary as
    before, only in smaller steps.
    """
    edges = column.edges
    if edges.levels or not edges.edges or atom_bins(edges.edges)[place]:
        return True
    if column.sums is None or not column.sums.days.size:
        return edges.scale is not None and edges.edges[place] - edges.edges[place - 1] <= NARROW * edges.scale
    if (column.sums.low == column.sums.high).all():
        return True
    steady = edges.scale is not None and column.sums.deviation <= NARROW * edges.scale
    return steady and scale_factor(usual_values(column.before, edges), column.sums) is None


def longest_run_before(column: CheckedColumn) -> int:
    """Return the longest run of days with one value in the past month, for a column in which the rows of a day share a value; 0 for other
    columns, or without a past.
    """
    if column.past is None or not is_shared_by_day(column.past.values):
        return 0
    runs = runs_of_equal_values([None if place < 0 else place for place in single_value_days(column.past.values).tolist()])
    return max((run.length for run in runs if run.value is not None), default=0)


def by_chance(column: CheckedColumn, top: int, now: ColumnShare, before: ColumnCounts) -> float:
    """Return the p-value of such a large share of one value, given the number of rows and the daily variation."""
    reference = ColumnShare(before.weight(top), *before.sums)
    past = NO_DAYS if column.past is None else column.past.values.of_days(column.past.values.bins == top)
    by_days = rate_variation(past, reference)
    return by_days.p_value(now, days_of(column.now), reference, by_days.reference_days(reference))


def stuck_claim(column: CheckedColumn, before: ColumnCounts, context: Context) -> list[QualityClaim]:
    """Return the claim about whole days in one bin that are improbable given the reference; otherwise empty."""
    found = longest_same_value(column, before, context)
    if found is None:
        return []
    hours = 24.0 * found.days
    at = quality_limits(context, "stuck_hours", STUCK_WATCH, STUCK_ACT)
    chance = min(found.looked_at * max(found.usual, 1 / before.total) ** found.observations, 1.0)
    since = f"{found.first:%Y-%m-%d}"
    value = value_of(column, found.bin) if found.value is None else f"{found.value:.6g}"
    near = f"{quality_percent(found.usual)} of the values are{near_or_equal(column, found.bin)}"
    said = (
        f"{column.text} kept one value, {value}, for {rounded_count(found.days, 'whole day')} from {since} over "
        f"{rounded_count(found.rows, 'value')}; in the reference {near}."
    )
    finding = replace(
        undecided_quality(context, column.subject, "stuck_hours", found.rows, said),
        value=hours,
        low=hours,
        high=hours,
        severity="act" if hours >= at[1] else "watch",
        likely_source="input" if column.feature else "model",
        onset=found.first,
        rank=1 + weight_of(context, column.subject),
        evidence={"column": column.reference, "baseline": found.usual, "baseline_n": before.rows, "days": found.days},
    )
    return [QualityClaim(finding, chance, at)]


def near_or_equal(column: CheckedColumn, place: int) -> str:
    """Return the end of a phrase: whether the reference's values in a bin are equal to the single value, or only near it."""
    return " it" if column.edges.levels or (column.edges.edges and atom_bins(column.edges.edges)[place]) else " near it"


def longest_same_value(column: CheckedColumn, before: ColumnCounts, context: Context) -> Standstill | None:
    """Return the longest run of whole days with a single value, if the bin of this value has less than half of the reference; otherwise
    None.

    A run of one day counts only if other days have several values. In a column in which the rows of a day always share one value, a run
    counts only if it is longer than every run of the month before.
    """
    values = column.now.values
    if not (np.count_nonzero(values.table[2], axis=1) == 1).any():
        return None  # no day has a single value
    days = whole_days(values, context)
    held = [single_value_of_day(day, rows, column) for day, rows in days]
    runs = [
        each
        for each in runs_of_equal_values(held)
        if each.value is not None and before.weight(each.value[0]) < VARIES_MUCH_BELOW * before.total
    ]
    run = max(runs, key=lambda each: each.length, default=None)
    if run is None:
        return None
    rows = sum(part.rows for _, part in days[run.start : run.start + run.length])
    others = [part for place, (_, part) in enumerate(days) if part.rows >= ROWS_A_DAY and not run.start <= place < run.start + run.length]
    mixed = len(others) >= OTHER_DAYS and float(np.median([top_share(part) for part in others])) < MIXED_BELOW
    if rows < MINIMUM_ROWS or (run.length == 1 and not mixed) or longest_run_before(column) >= run.length:
        return None
    varied = mixed or (column.past is not None and is_shared_by_day(column.past.values) is False)
    place, value = run.value
    usual = before.weight(place) / before.total
    return Standstill(days[run.start][0], run.length, place, value, rows, usual, len(days), rows if varied else run.length)


def top_share(values: ColumnCounts) -> float:
    """Return the share of the most frequent bin."""
    return float(values.by_bin[0].max()) / values.total


def whole_days(counts: ColumnCounts, context: Context) -> list[tuple[datetime, ColumnCounts]]:
    """Return each complete day inside the window with its rows; for a day without rows, the rows are empty."""
    of = {aware_utc(day.astype("datetime64[s]").item()): counts.on(place) for place, day in enumerate(counts.days)}
    end = min(context.window.end, context.now)
    first = context.window.start.replace(hour=0, minute=0, second=0, microsecond=0)
    first += DAY if first < context.window.start else timedelta()
    return [(day, of.get(day, NO_ROWS)) for day in (first + DAY * i for i in range(max((end - first) // DAY, 0)))]


def single_value_of_day(day: datetime, rows: ColumnCounts, column: CheckedColumn) -> tuple[int, float | None] | None:
    """Return the bin of a day and its only value (None for a level, or for a bin that contains one value); None instead if the day has
    several values or too few rows.
    """
    bins = rows.bins[rows.by_bin[2] > 0]
    if bins.size != 1 or rows.rows < ROWS_A_DAY or not interior_bins(bins, column.edges)[0]:
        return None
    place = int(bins[0])
    if column.edges.levels or (column.edges.edges and atom_bins(column.edges.edges)[place]):
        return place, None
    value = column.sums.single_value(np.datetime64(day.date())) if column.sums is not None else None
    return None if value is None else (place, value)


def value_of(column: CheckedColumn, place: int) -> str:
    """Return the value of a bin as text, as precise as the bins."""
    if column.edges.levels:
        return f"`{column.edges.levels[place]}`"
    positions = column.edges.positions or tuple(bin_middles())
    return f"about {positions[min(place, len(positions) - 1)]:.4g}"
