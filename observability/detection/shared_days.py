"""Finds columns in which all rows of a day share one value.

If all rows of a day have the same value (a holiday, a daily price), the day is a single observation, no matter how many rows it has.
"""

import math

import numpy as np

from observability.metrics.column_counts import ColumnCounts, ColumnShare, DailyShares
from observability.stats.arrays import Integers

ROWS_A_DAY = 20
"""A day is judged on its own only if it has at least this many rows."""
ONE_VALUE = 0.995
"""If one bin holds at least this share of a day, the day counts as having one value."""
SHARED_DAYS, MIN_DAYS, MIN_OTHERS = 0.8, 5, 3
"""A column counts as equal within a day if at least this share of days has a single value. Then: minimum number of days of past, and
minimum number of days of the window if there is no past.
"""


def single_value_days(values: ColumnCounts) -> Integers:
    """Return, for each day with enough values, the bin that contains nearly all of them; -1 for a day with several such bins."""
    days = values.by_day
    kept = days[2] >= ROWS_A_DAY
    table = values.table[0][kept]
    if not table.size:
        return np.empty(0, np.int64)
    return np.where(table.max(axis=1) >= ONE_VALUE * days[0][kept], values.bins[table.argmax(axis=1)], -1).astype(np.int64)


def is_shared_by_day(values: ColumnCounts | None, fewest: int = MIN_DAYS) -> bool | None:
    """Return whether most days hold a single value; None if too few days are known."""
    found = single_value_days(values) if values is not None else np.empty(0, np.int64)
    return None if found.size < fewest else bool((found >= 0).mean() >= SHARED_DAYS)


def hit_as_wholes(hits: DailyShares) -> bool:
    """Return whether each day with enough rows was hit as a whole or not at all (up to a few rows); False if there is only one such day."""
    value = hits.value[hits.rows >= ROWS_A_DAY]
    return bool(value.size > 1 and ((value >= ONE_VALUE) | (value <= 1 - ONE_VALUE)).all())


def rows_a_day_if_shared(now: ColumnCounts, past: ColumnCounts | None, hits: DailyShares) -> float | None:
    """If the rows of a day share the column's value, and are also hit together or not at all, return the number of rows of a usual day;
    otherwise None.

    now, past: counts of the ordinary values by day. hits: for each day of the window, the share of rows that were hit.
    """
    if not hit_as_wholes(hits):
        return None
    some = hits.at(hits.rows >= ROWS_A_DAY)
    shared = is_shared_by_day(past)
    if shared is None:
        others = np.isin(now.days, some.days[some.value <= 1 - ONE_VALUE])
        shared = is_shared_by_day(ColumnCounts(now.days[others], now.bins, now.table[:, others]), MIN_OTHERS)
    return float(np.median(some.n)) if shared else None


def whole_day_p_value(now: ColumnShare, before: ColumnShare, rows_a_day: float) -> float:
    """Return the two-sided p-value of an increase in the number of days that are hit as a whole, by Fisher's exact test."""
    days, others = max(round(now.n / rows_a_day), 1), max(round(before.n / rows_a_day), 1)
    hit = round(now.value * days)
    every = hit + round(before.value * others)
    ways = math.comb(days + others, days)
    tail = sum(math.comb(every, k) * math.comb(days + others - every, days - k) for k in range(hit, min(every, days) + 1))
    return min(2 * tail / ways, 1.0)
