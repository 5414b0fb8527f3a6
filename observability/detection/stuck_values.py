"""Does a column stand still that moves in the reference: one value in all of the window, or over whole days?"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from observability.core.analyzer import Context
from observability.core.finding import Severity
from observability.core.time import aware_utc
from observability.detection.daily_rates import days_of, strays
from observability.detection.significant_claims import Claim, blank, limits, percent, plural, weight_of
from observability.detection.value_checks import MINIMUM_ROWS, ROWS_A_DAY, Column
from observability.metrics.column_counts import NO_DAYS, NO_ROWS, Counts, Share, interior
from observability.stats.change import runs_of_equal_values
from observability.stats.interval import rate_interval
from observability.stats.scores import bin_middles

CONSTANT_SHARE = 0.995
"""A bin that holds all but one value in two hundred stands still for every purpose of a model."""
VARIES_BELOW = 0.9
"""A reference whose commonest bin holds more is nearly constant itself: one dry week holds no rain, and nobody is to blame."""
VARIES_MUCH_BELOW = 0.5
"""Up to here a constant is an act; above it weather, seasons and small groups stand still by themselves for a week now and then: a watch."""
STUCK_WATCH, STUCK_ACT = 24.0, 48.0
"""Hours: one whole day of one value is worth a look, two need somebody."""
OTHER_DAYS, MIXED_BELOW = 3, 0.8
"""A single day of one value says something only beside this many days, in the middle one of which the commonest value has a smaller share: the
day of the week is one value nearly every day."""
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Standstill:
    """The longest run of whole days in one bin: its first day, its days, its rows, the share of that bin in the reference."""

    first: datetime
    days: int
    bin: int
    rows: int
    usual: float
    looked_at: int


def still_claims(column: Column, context: Context) -> list[Claim]:
    """Claims that the column is constant or was stuck; none where the reference does not vary or is too small, or rows are too few."""
    before = column.before.values
    if column.baseline != "reference" or before.n < MINIMUM_ROWS:
        return []
    return [*constant(column, before, context), *stuck(column, before, context)]


def constant(column: Column, before: Counts, context: Context) -> list[Claim]:
    """One bin holds nearly all values, though the reference's commonest bin holds fewer than nine in ten."""
    now = column.now.values
    if now.n < MINIMUM_ROWS:
        return []
    top = int(now.bins[now.by_bin[0].argmax()])
    held = Share(now.weights[top], *now.sums)
    commonest = float(before.by_bin[0].max()) / before.total
    at = context.model.settings.limits.get("data/quality/constant", CONSTANT_SHARE)
    if not interior(np.array([top]), column.edges)[0] or commonest >= VARIES_BELOW or held.value < at:
        return []
    known = rate_interval(held.hits, held.total, held.squares)
    p_value = by_chance(column, top, held, before)
    severity: Severity = "act" if commonest < VARIES_MUCH_BELOW else "watch"
    said = (
        f"{column.text} hardly varies: {value_of(column, top)} is {percent(held.value)} of {plural(now.rows, 'value')}; in the reference it is "
        f"{percent(before.weights.get(top, 0.0) / before.total)} and no value is more than {percent(commonest)}."
    )
    finding = replace(
        blank(context, column.subject, "constant", now.rows, said),
        value=known.value,
        low=known.low,
        high=known.high,
        severity=severity,
        likely_source="input" if column.feature else "model",
        rank=1 + weight_of(context, column.subject),
        evidence={"column": column.reference, "baseline": commonest, "baseline_n": before.rows},
    )
    return [Claim(finding, p_value, (at, at))]


def by_chance(column: Column, top: int, now: Share, before: Counts) -> float:
    """How easily rows and days give one value so large a share: a dry week after a month of dry and of wet days is no news."""
    reference = Share(before.weights.get(top, 0.0), *before.sums)
    past = NO_DAYS if column.past is None else column.past.values.of_days(column.past.values.bins == top)
    by_days = strays(past, reference)
    return by_days.p_value(now, days_of(column.now), reference, by_days.reference_days(reference))


def stuck(column: Column, before: Counts, context: Context) -> list[Claim]:
    """Whole days in one bin that the reference says are improbable."""
    found = longest(column, before, context)
    if found is None:
        return []
    hours = 24.0 * found.days
    at = limits(context, "stuck_hours", STUCK_WATCH, STUCK_ACT)
    chance = min(found.looked_at * max(found.usual, 1 / before.total) ** found.rows, 1.0)
    since = f"{found.first:%Y-%m-%d}"
    said = (
        f"{column.text} kept one value, {value_of(column, found.bin)}, for {plural(found.days, 'whole day')} from {since} over "
        f"{plural(found.rows, 'value')}; in the reference it is {percent(found.usual)} of the values."
    )
    finding = replace(
        blank(context, column.subject, "stuck_hours", found.rows, said),
        value=hours,
        low=hours,
        high=hours,
        severity="act" if hours >= at[1] else "watch",
        likely_source="input" if column.feature else "model",
        onset=found.first,
        rank=1 + weight_of(context, column.subject),
        evidence={"column": column.reference, "baseline": found.usual, "baseline_n": before.rows, "days": found.days},
    )
    return [Claim(finding, chance, at)]


def longest(column: Column, before: Counts, context: Context) -> Standstill | None:
    """The longest run of whole days in one bin that is less than half of the reference; None where there is none.

    A run of a single day counts only beside other days that hold several values.
    """
    values = column.now.values
    if not (np.count_nonzero(values.table[2], axis=1) == 1).any():
        return None  # every day holds several values
    days = whole_days(values, context)
    bins = [only_bin(rows, column) for _, rows in days]
    runs = [
        each
        for each in runs_of_equal_values(bins)
        if each.value is not None and before.weights.get(each.value, 0.0) < VARIES_MUCH_BELOW * before.total
    ]
    run = max(runs, key=lambda each: each.length, default=None)
    if run is None:
        return None
    rows = sum(part.rows for _, part in days[run.start : run.start + run.length])
    others = [part for place, (_, part) in enumerate(days) if part.rows >= ROWS_A_DAY and not run.start <= place < run.start + run.length]
    if rows < MINIMUM_ROWS or (
        run.length == 1 and (len(others) < OTHER_DAYS or float(np.median([top_share(part) for part in others])) >= MIXED_BELOW)
    ):
        return None
    return Standstill(days[run.start][0], run.length, run.value, rows, before.weights.get(run.value, 0.0) / before.total, len(days))


def top_share(values: Counts) -> float:
    """Share of the commonest bin."""
    return float(values.by_bin[0].max()) / values.total


def whole_days(counts: Counts, context: Context) -> list[tuple[datetime, Counts]]:
    """Each day that lies wholly inside the window and is over, with its rows; a day without rows has none."""
    of = {aware_utc(day.astype("datetime64[s]").item()): counts.on(place) for place, day in enumerate(counts.days)}
    end = min(context.window.end, context.now)
    first = context.window.start.replace(hour=0, minute=0, second=0, microsecond=0)
    first += DAY if first < context.window.start else timedelta()
    return [(day, of.get(day, NO_ROWS)) for day in (first + DAY * i for i in range(max((end - first) // DAY, 0)))]


def only_bin(rows: Counts, column: Column) -> int | None:
    """The bin that holds every value of a day; None where there are several, or hardly any value."""
    bins = rows.bins[rows.by_bin[2] > 0]
    return int(bins[0]) if bins.size == 1 and rows.rows >= ROWS_A_DAY and interior(bins, column.edges)[0] else None


def value_of(column: Column, place: int) -> str:
    """The value of a bin, as far as the bins tell."""
    if column.edges.levels:
        return f"`{column.edges.levels[place]}`"
    positions = column.edges.positions or tuple(bin_middles())
    return f"about {positions[min(place, len(positions) - 1)]:.4g}"
