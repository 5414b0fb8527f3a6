"""What do the rollups answer about whole periods?

Sums of the deltas in `counts_<key>` and `sums_<key>`: small tables, whatever the number of raw rows. Answers are parts as store/answer.py
adds them up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb
import numpy as np

from observability.aggregate import Aggregate, Bucket
from observability.store.expressions import text
from observability.store.plan import HOURS_A_DAY, Kept
from observability.store.schema import OUTCOMES, STATUS_CODES, model_table
from observability.store.source import Rows

if TYPE_CHECKING:
    from pandas import DataFrame

STATUS = f"[{', '.join(text(name) for name in STATUS_CODES)}][status + 1]"


@dataclass(frozen=True)
class Slices:
    """Which slices of the rollups are read: slice 0 is all rows. levels: text by slice, where they are grouped by (None: a missing
    value).
    """

    numbers: tuple[int, ...] = (0,)
    levels: Mapping[int, str | None] | None = None


@dataclass(frozen=True)
class Part:
    """What is read: whole periods [first, last) in hours since 1970 (None: all), up to an arrival hour (None: all), of some slices."""

    rows: Rows
    periods: tuple[int, int] | None
    arrived: int | None
    slices: Slices

    @property
    def where(self) -> str:
        """The conditions on a rollup table, all of integers."""
        parts = [
            f"stream IN ({', '.join(map(str, sorted(self.rows.streams))) or 'NULL'})",
            f"slice IN ({', '.join(map(str, self.slices.numbers))})",
        ]
        if self.periods:
            parts.append(f"period >= {self.periods[0]} AND period < {self.periods[1]}")
        if self.arrived is not None:
            parts.append(f"arrived <= {self.arrived}")
        return " AND ".join(parts)


def read(
    cursor: duckdb.DuckDBPyConnection, aggregate: Aggregate, part: Part, items: Sequence[tuple[int, Kept]], level: str | None
) -> "DataFrame":
    """The figures of some items (their places in the aggregate; 0 of plain counts) of one table, over one part.

    level: the reference among the keys whose levels are the slices of the part.
    """
    table = items[0][1].table
    places = {kept.measure: place for place, kept in items}
    keys = "".join(f"{key_sql(key, part, level)} AS k{place}, " for place, key in enumerate(aggregate.keys))
    named = bool(aggregate.histogram or aggregate.sums)
    item = "measure AS item, " if named else ""
    figures = "sum(n)::BIGINT AS n, sum(w) AS w, sum(w2) AS w2"
    if table == "sums":
        figures += ", sum(total) AS total, sum(squares) AS squares, min(low) AS low, max(high) AS high"
    elif named:
        item += "bin, "
    frame = cursor.execute(
        f"""SELECT {keys}{item}{figures} FROM {model_table(table, part.rows.model.key)}
        WHERE measure IN ({", ".join(map(str, sorted(places)))}) AND {part.where} GROUP BY ALL HAVING sum(n) <> 0"""
    ).df()
    if named:
        measures = np.array(sorted(places))
        frame["item"] = np.array([places[measure] for measure in measures.tolist()])[np.searchsorted(measures, frame["item"].to_numpy())]
    return with_levels(frame, aggregate, part, level)


def key_sql(key: object, part: Part, level: str | None) -> str:
    """One key of an aggregate over the columns of the rollups."""
    if isinstance(key, Bucket):
        return "period" if key.period == "hour" or part.rows.timeless else f"period - period % {HOURS_A_DAY}"
    name = getattr(key, "column", "")
    if name == level:
        return "slice"
    return {"version": "stream", "score_bin": "bin", "status": STATUS}.get(name, name)


def with_levels(frame: "DataFrame", aggregate: Aggregate, part: Part, level: str | None) -> "DataFrame":
    """The frame with the texts of levels in place of the numbers of slices."""
    levels = part.slices.levels
    if levels is None:
        return frame
    for place, name in enumerate(aggregate.key_names[: len(aggregate.keys)]):
        if name == level:
            frame[f"k{place}"] = frame[f"k{place}"].map(dict(levels)).astype(object)
    return frame


def levels_of(cursor: duckdb.DuckDBPyConnection, rows: Rows, reference: str) -> dict[int, str | None]:
    """The rolled-up levels of a column: text by slice, None for a missing value."""
    table = model_table("slices", rows.model.key)
    found = cursor.execute(f"SELECT slice, level FROM {table} WHERE reference = ? ORDER BY slice", [reference]).fetchall()
    return {number: None if level == "null" else level for number, level in found}


def complete(cursor: duckdb.DuckDBPyConnection, part: Part) -> bool:
    """Whether the slices of a part hold every row: a column with very many levels, or replicas that are not said, are not rolled up
    whole.
    """
    every = Part(part.rows, part.periods, part.arrived, Slices((0, *part.slices.numbers)))
    ((all_rows, in_slices),) = cursor.execute(
        f"""SELECT coalesce(sum(n) FILTER (slice = 0), 0), coalesce(sum(n) FILTER (slice <> 0), 0)
        FROM {model_table("counts", part.rows.model.key)} WHERE measure = {OUTCOMES} AND {every.where}"""
    ).fetchall()
    return bool(all_rows == in_slices)
