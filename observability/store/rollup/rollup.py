"""How are the rollups kept: added to as rows arrive, made anew from raw rows, and kept small?

`counts_<key>` and `sums_<key>` hold deltas that add up. `add` is what a load changes, `rebuild` is the same from all raw rows, `merge` adds up
rows with equal keys, `compact` coarsens the arrival of old rows from hours to days.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

import duckdb
import pyarrow as pa

from observability.core.catalog import Model, Version
from observability.store.db.catalog_store import read_catalog, streams
from observability.store.db.expressions import decision_of
from observability.store.db.results import arrow, first, one
from observability.store.db.schema import COUNT_COLUMNS, SUM_COLUMNS, model_table
from observability.store.rollup.features import add_features
from observability.store.rollup.outcomes import add_outcomes, columns_needed, sliced

REBUILD_ROWS = 200_000
"""Predictions that a rebuild takes at once, so that its memory is bounded."""
MERGE_FROM = 200_000
"""Rows beyond twice the merged ones from which the rollups of a model are merged."""
COMPACT_FROM = 500_000
"""Rows of the counts of a model from which the arrival of old ones is coarsened."""
COMPACT_DAYS = 30
COUNT_KEYS = ("stream", "period", "slice", "measure", "bin", "decision", "label", "status", "arrived")
SUM_KEYS = ("stream", "period", "slice", "measure", "arrived")
FIGURES = {
    "counts": "sum(n)::BIGINT AS n, sum(w) AS w, sum(w2) AS w2",
    "sums": "sum(n)::BIGINT AS n, sum(w) AS w, sum(w2) AS w2, sum(total) AS total, sum(squares) AS squares, min(low) AS low, max(high) AS high",
}


def add(
    writer: duckdb.DuckDBPyConnection,
    model: Model,
    new: pa.Table | None,
    older: pa.Table | None = None,
    revisions: pa.Table | None = None,
    *,
    threads: int = 2,
) -> None:
    """Adds to the rollups what new rows change.

    new: predictions that were just stored (columns of `predictions_<key>`). older: predictions that were stored before and whose ids have new
    labels. revisions: every label of the ids in both, stored before or now, with `is_new` for those of now.
    """
    numbers = streams(writer, model.key)
    versions = {number: model.version(version) or Version(version) for (version, _), number in numbers.items()}
    references = [number for (_, environment), number in numbers.items() if environment == "reference"]
    if new is not None:
        add_features(writer, model, new, versions, references, threads)
    add_outcomes(writer, model, new, older, revisions, versions, references)


def rebuild(writer: duckdb.DuckDBPyConnection, name: str, streams_only: Iterable[int] | None = None, *, threads: int = 2) -> None:
    """Makes the rollups of a model anew from its raw rows, with its present classes, threshold, edges and sensitive columns.

    streams_only: only these streams, the others stay. The decisions of the raw rows are made anew as well. Arrivals that were compacted stay so.
    """
    model = read_catalog(writer).model(name)
    chosen = sorted(streams(writer, model.key).values() if streams_only is None else set(streams_only))
    predictions, labels = model_table("predictions", model.key), model_table("labels", model.key)
    wanted = ", ".join(map(str, chosen)) or "NULL"
    for table in ("counts", "sums"):
        writer.execute(f"DELETE FROM {model_table(table, model.key)}" + ("" if streams_only is None else f" WHERE stream IN ({wanted})"))
    if streams_only is None:
        kept = ", ".join(f"'{each.replace(chr(39), chr(39) * 2)}'" for each in sliced(model))
        writer.execute(f"DELETE FROM {model_table('slices', model.key)} WHERE reference NOT IN ({kept})")
    new_decision = decision_of(model)
    writer.execute(
        f"UPDATE {predictions} SET decision = {new_decision} WHERE stream IN ({wanted}) AND decision IS DISTINCT FROM {new_decision}"
    )
    parts = writer.execute(f"SELECT DISTINCT rowid // {REBUILD_ROWS} FROM {predictions} WHERE stream IN ({wanted}) ORDER BY 1").fetchall()
    columns = [*columns_needed(model), "absent", "wrong", *(each.column for each in model.columns)]
    selected = ", ".join(f'"{column}"' for column in dict.fromkeys(columns))
    for (part,) in parts:
        start = part * REBUILD_ROWS
        some = f"FROM {predictions} WHERE rowid BETWEEN {start} AND {start + REBUILD_ROWS - 1} AND stream IN ({wanted})"
        rows = arrow(writer, f"SELECT {selected} {some}")
        revisions = arrow(
            writer, f'SELECT id, "at", arrived, value, number, true AS is_new FROM {labels} WHERE id_hash IN (SELECT id_hash {some})'
        )
        add(writer, model, rows, None, revisions, threads=threads)
    coarsen(writer, model, compacted_before(writer).get(model.key, 0))
    merge(writer, model)


def merge(writer: duckdb.DuckDBPyConnection, model: Model) -> None:
    """Adds up the rows of the rollups that have equal keys, and leaves out what cancelled. The answers stay the same."""
    rows = 0
    for table, columns, keys in (("counts", COUNT_COLUMNS, COUNT_KEYS), ("sums", SUM_COLUMNS, SUM_KEYS)):
        name, grouped = model_table(table, model.key), ", ".join(keys)
        picked = ", ".join(f"{column}::{kind} AS {column}" for column, kind in columns.items())
        cancelled = "WHERE n <> 0 OR abs(w) > 1e-9" if table == "counts" else ""
        writer.execute(
            f"""CREATE OR REPLACE TABLE {name} AS SELECT {picked}
            FROM (SELECT {grouped}, {FIGURES[table]} FROM {name} GROUP BY {grouped}) {cancelled} ORDER BY measure, slice, stream, period"""
        )
        if table == "counts":
            (rows,) = one(writer, f"SELECT count(*) FROM {name}")
    writer.execute(
        "INSERT OR REPLACE INTO rollups SELECT ?, ?, coalesce((SELECT compacted_before FROM rollups WHERE key = ?), 0)",
        [model.key, rows, model.key],
    )


def merge_if_grown(writer: duckdb.DuckDBPyConnection, model: Model) -> bool:
    """Merges where so many rows have been added that it pays; says whether it did. Amortised, a row is merged a constant number of times."""
    (rows,) = one(writer, f"SELECT count(*) FROM {model_table('counts', model.key)}")
    row = first(writer, "SELECT merged_rows FROM rollups WHERE key = ?", [model.key])
    if rows <= 2 * (row[0] if row else 0) + MERGE_FROM:
        return False
    merge(writer, model)
    return True


def compact(writer: duckdb.DuckDBPyConnection, model: Model, *, now: datetime | None = None, days: int = COMPACT_DAYS) -> int:
    """Rounds the arrival of rollup rows that arrived more than `days` ago up to whole days, and merges; gives that limit in hours since 1970.

    From then on `as_of` before the limit is exact in the rollups at midnights only; another instant asks the raw rows. The limit is kept in
    the table `rollups`.
    """
    limit = compaction_limit(now or datetime.now(UTC), days)
    coarsen(writer, model, limit)
    merge(writer, model)
    writer.execute("UPDATE rollups SET compacted_before = greatest(compacted_before, ?) WHERE key = ?", [limit, model.key])
    return limit


def coarsen(writer: duckdb.DuckDBPyConnection, model: Model, limit: int) -> None:
    """Rounds arrivals before an hour up to whole days."""
    for table in ("counts", "sums"):
        writer.execute(
            f"UPDATE {model_table(table, model.key)} SET arrived = (arrived + 23) // 24 * 24 WHERE arrived < {limit} AND arrived % 24 <> 0"
        )


def wants_compaction(cursor: duckdb.DuckDBPyConnection, model: Model, now: datetime) -> bool:
    """Whether the rollups are so large that compacting them pays, and that was not done today. Read-only."""
    (rows,) = one(cursor, f"SELECT count(*) FROM {model_table('counts', model.key)}")
    return rows >= COMPACT_FROM and compacted_before(cursor).get(model.key, 0) < compaction_limit(now, COMPACT_DAYS)


def compaction_limit(now: datetime, days: int) -> int:
    """The midnight `days` before today (UTC), in hours since 1970."""
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days)
    return int(midnight.timestamp() // 3600)


def compacted_before(cursor: duckdb.DuckDBPyConnection) -> Mapping[int, int]:
    """By model key, the arrival hour before which the rollups know arrivals by the day only. Read-only."""
    return dict(cursor.execute("SELECT key, compacted_before FROM rollups").fetchall())
