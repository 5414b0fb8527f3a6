"""Read whole periods from the rollups.

The deltas in `counts_<key>` and `sums_<key>` are summed; these tables are small for any number of raw rows. Answers are parts, which
store/query/answer.py adds up.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from observability.core.questions import Aggregate, Bucket
from observability.store.db.expressions import sql_literal
from observability.store.db.results import Cursor
from observability.store.db.schema import LATENCY, OUTCOMES, SLICE_LEVELS, SLICED_FIELDS, STATUS_CODES, model_table
from observability.store.query import answer
from observability.store.query.plan import HOURS_A_DAY, RollupPlace
from observability.store.query.source import WindowRows

STATUS = f"[{', '.join(sql_literal(name) for name in STATUS_CODES)}][status + 1]"


@dataclass(frozen=True)
class RollupSlices:
    """The slices of the rollups that are read. Slice 0 is all rows. reference: the column whose levels the slices are (None: all rows).

    levels: text by slice, if the answer is grouped by them (None: a missing value). rest: whether rows in none of the slices count as the
    missing level; their counts are the counts of all rows minus the counts of the slices.
    """

    numbers: tuple[int, ...] = (0,)
    reference: str | None = None
    levels: Mapping[int, str | None] | None = None
    rest: bool = False


@dataclass(frozen=True)
class RollupRange:
    """The part of the rollups that is read: whole periods [first, last) in hours since 1970 (None: all), up to an arrival hour (None:
    all), of some slices.
    """

    rows: WindowRows
    periods: tuple[int, int] | None
    arrived: int | None
    slices: RollupSlices

    @property
    def where(self) -> str:
        """The conditions on a rollup table; all of them compare integers."""
        parts = [
            f"stream IN ({', '.join(map(str, sorted(self.rows.streams))) or 'NULL'})",
            f"slice IN ({', '.join(map(str, self.slices.numbers)) or 'NULL'})",
        ]
        if self.periods:
            parts.append(f"period >= {self.periods[0]} AND period < {self.periods[1]}")
        if self.arrived is not None:
            parts.append(f"arrived <= {self.arrived}")
        return " AND ".join(parts)

    @property
    def source(self) -> str:
        """The rows of a rollup table `{table}` as SQL, with the number of their level as `level`."""
        own = f"SELECT *, slice AS level FROM {{table}} WHERE {self.where}"
        if not self.slices.rest:
            return own
        all_rows = replace(self, slices=RollupSlices()).where
        less = f"SELECT * REPLACE (-n AS n, -w AS w, -w2 AS w2), 0 FROM {{table}} WHERE {self.where}"
        return f"{own} UNION ALL SELECT *, 0 FROM {{table}} WHERE {all_rows} UNION ALL {less}"


def split_by_day(
    part: RollupRange, items: Sequence[tuple[int, RollupPlace]], bucket: Bucket | None
) -> Iterator[tuple[RollupRange, list[tuple[int, RollupPlace]]]]:
    """Split a range into whole days and the hours at its ends, if the rollups keep all of its items by day as well.

    There are far fewer daily rows than hourly rows.
    """
    days = [(place, replace(kept, measure=kept.by_day)) for place, kept in items if kept.by_day is not None]
    if part.periods is None or len(days) < len(items) or (bucket is not None and bucket.period == "hour"):
        yield part, list(items)
        return
    first, last = part.periods
    start = min(first + -first % HOURS_A_DAY, last)
    end = max(last - last % HOURS_A_DAY, start)
    for span, kept_there in (((first, start), list(items)), ((start, end), days), ((end, last), list(items))):
        if span[0] < span[1]:
            yield replace(part, periods=span), kept_there


def read_rollup(
    cursor: Cursor, aggregate: Aggregate, part: RollupRange, items: Sequence[tuple[int, RollupPlace]], level: str | None
) -> answer.Part:
    """The figures of some items of one table over one range. items: by position in the aggregate; 0 for plain counts.

    level: the reference among the keys whose levels are the slices of the range.
    """
    table = items[0][1].table
    places = {kept.measure: place for place, kept in items}
    keys = "".join(f"{_key_sql(key, part, level)} AS k{place}, " for place, key in enumerate(aggregate.keys))
    named = bool(aggregate.histogram or aggregate.sums)
    item = "measure AS item, " if named else ""
    figures = "sum(n)::BIGINT AS n, sum(w) AS w, sum(w2) AS w2"
    if table == "sums":
        figures += ", sum(total) AS total, sum(squares) AS squares, min(low) AS low, max(high) AS high"
    elif named:
        item += "bin, "
    cursor.execute(
        f"""SELECT {keys}{item}{figures} FROM ({part.source.format(table=model_table(table, part.rows.model.key))})
        WHERE {_measures_sql(sorted(places))} GROUP BY ALL HAVING sum(n) <> 0"""
    )
    found = {name: answer.without_mask(values) for name, values in cursor.fetchnumpy().items()}
    if named:
        first = min(places)
        place_of = np.zeros(max(places) - first + 1, np.int64)
        place_of[[measure - first for measure in places]] = list(places.values())
        found["item"] = place_of[found["item"] - first]
    return _with_level_names(found, aggregate, part, level)


def _measures_sql(measures: Sequence[int]) -> str:
    """The SQL condition for some measures, whose numbers are given in rising order. The measures of all columns of a model have consecutive
    numbers, and a range of thousands is planned and compared faster than a list.
    """
    if measures[-1] - measures[0] == len(measures) - 1:
        return f"measure BETWEEN {measures[0]} AND {measures[-1]}"
    return f"measure IN ({', '.join(map(str, measures))})"


def _key_sql(key: object, part: RollupRange, level: str | None) -> str:
    """SQL for a key of an aggregate, over the columns of the rollups."""
    if isinstance(key, Bucket):
        return "period" if key.period == "hour" or part.rows.timeless else f"period - period % {HOURS_A_DAY}"
    name = getattr(key, "column", "")
    if name == level:
        return "level"
    return {"version": "stream", "score_bin": "bin", "status": STATUS}.get(name, name)


def _with_level_names(found: answer.Part, aggregate: Aggregate, part: RollupRange, level: str | None) -> answer.Part:
    """The part with the texts of levels in place of slice numbers."""
    levels = part.slices.levels
    if levels is None:
        return found
    for place, name in enumerate(aggregate.key_names[: len(aggregate.keys)]):
        if name == level:
            found[f"k{place}"] = answer.level_names(levels, found[f"k{place}"])
    return found


def rollup_levels(cursor: Cursor, rows: WindowRows, reference: str) -> dict[int, str | None]:
    """The rolled-up levels of a column: text by slice, None for a missing value."""
    table = model_table("slices", rows.model.key)
    found = cursor.execute(f"SELECT slice, level FROM {table} WHERE reference = ? ORDER BY slice", [reference]).fetchall()
    return {number: None if level == "null" else level for number, level in found}


def covers_all_rows(cursor: Cursor, part: RollupRange) -> bool:
    """Whether the slices of a range hold every row.

    Columns with very many levels, and rows without replica or device, are not rolled up completely.
    """
    slices = part.slices
    by = LATENCY if slices.reference in SLICED_FIELDS else OUTCOMES
    both = replace(part, slices=replace(slices, numbers=tuple({0, *slices.numbers})))
    numbers = ", ".join(map(str, slices.numbers)) or "NULL"
    ((all_rows, in_slices),) = cursor.execute(
        f"""SELECT coalesce(sum(n) FILTER (measure = {LATENCY} AND slice = 0), 0),
            coalesce(sum(n) FILTER (measure = {by} AND slice IN ({numbers})), 0)
        FROM {model_table("counts", part.rows.model.key)} WHERE measure IN ({LATENCY}, {by}) AND {both.where}"""
    ).fetchall()
    return bool(all_rows == in_slices)


def with_missing_level(part: RollupRange, kept: RollupPlace) -> RollupRange | None:
    """The range with all remaining rows as the missing level, or None.

    This is possible for replicas and devices if all other levels are slices. It is possible for counts only, because minima and maxima
    cannot be subtracted.
    """
    slices = part.slices
    if slices.levels is None or slices.reference not in SLICED_FIELDS or kept.table != "counts" or len(slices.levels) >= SLICE_LEVELS:
        return None
    named = {number: level for number, level in slices.levels.items() if level is not None}
    return replace(part, slices=replace(slices, numbers=tuple(named), levels={0: None, **named}, rest=True))
