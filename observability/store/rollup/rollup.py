"""Maintain the rollups: add new rows, rebuild them from raw rows, and keep them small.

`counts_<key>` and `sums_<key>` hold additive deltas. `add_to_rollups` adds the changes of a load, `rebuild_rollups` computes the same from
all raw rows, `merge_rollups` adds up rows with equal keys, `compact_rollups` coarsens the arrival of old rows from hours to days.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa

from observability.core.catalog import Model, Version
from observability.core.time import aware_utc
from observability.store.db.catalog_store import require_model, stream_numbers
from observability.store.db.expressions import decision_sql, sql_literal
from observability.store.db.results import Cursor, arrow_result, single_row
from observability.store.db.schema import COUNT_COLUMNS, SUM_COLUMNS, model_table
from observability.store.db.shared_tables import give_own_tables
from observability.store.rollup.features import add_feature_counts, add_rollup_rows, feature_counts
from observability.store.rollup.grouped_outcomes import AddedRows, grouped_outcome_counts, grouped_rows
from observability.store.rollup.outcomes import add_outcome_counts, outcome_columns, sliced_columns

REBUILD_ROWS = 200_000
"""Predictions per step of a rebuild, so that its memory is bounded."""
MERGE_FROM = 200_000
"""A model's rollups are merged once they hold more than twice the rows they had after the last merge, plus this many."""
COMPACT_FROM = 500_000
"""Number of counts rows of a model from which old arrivals are coarsened."""
COMPACT_DAYS = 30
COUNTED_TOGETHER = 50
"""Number of tables of counts whose rows are counted by one statement."""
WHOLE_DAYS = "(arrived + 23) // 24 * 24"
"""SQL: the hour of an arrival, rounded up to whole days."""
COUNT_KEYS = ("stream", "period", "slice", "measure", "bin", "decision", "label", "status", "arrived")
SUM_KEYS = ("stream", "period", "slice", "measure", "arrived")
COUNT_FIGURES = "sum(n)::BIGINT AS n, sum(w) AS w, sum(w2) AS w2"
FIGURES = {
    "counts": COUNT_FIGURES,
    "sums": f"{COUNT_FIGURES}, sum(total) AS total, sum(squares) AS squares, min(low) AS low, max(high) AS high",
}


def add_to_rollups(
    writer: Cursor,
    model: Model,
    new: pa.Table | None,
    older: pa.Table | None = None,
    revisions: pa.Table | None = None,
    *,
    threads: int = 2,
) -> None:
    """Update the rollups for new rows.

    new: predictions that were just stored (columns of `predictions_<key>`). older: predictions that were stored earlier and whose ids have
    new labels. revisions: every label of the ids in both, with `is_new` for labels of this load.
    """
    added = added_rows(model, stream_numbers(writer, model.key), new, older, revisions)
    if new is not None:
        add_feature_counts(writer, model, new, added.versions, added.references, threads)
    add_outcome_counts(writer, model, new, older, revisions, added.versions, added.references)


def added_rows(
    model: Model, numbers: Mapping[tuple[str, str], int], new: pa.Table | None, older: pa.Table | None, revisions: pa.Table | None
) -> AddedRows:
    """The rows that a block adds to a model (see `add_to_rollups`), with the model's versions. numbers: numbers of its streams, by version
    and environment.
    """
    versions = {number: model.version(version) or Version(version) for (version, _), number in numbers.items()}
    references = [number for (_, environment), number in numbers.items() if environment == "reference"]
    return AddedRows(model, new, older, revisions, versions, references)


def add_many_to_rollups(writer: Cursor, added: Iterable[AddedRows], *, threads: int = 2) -> None:
    """Add the rows of a block to the rollups of several models. Outcomes of models of one form are counted together."""
    for group in grouped_rows([each for each in added if each.streams]):
        outcomes: dict[str, dict[int, pa.Table]] = {}
        if len(group) > 1:
            outcomes = grouped_outcome_counts(writer, group)
        for each in group:
            features = {} if each.new is None else feature_counts(each.model, each.new, each.versions, each.references, threads)
            for table in FIGURES:
                parts = [features.get(table), outcomes.get(table, {}).get(each.model.key)]
                add_rollup_rows(writer, each.model, table, [part for part in parts if part is not None])
            if not outcomes:
                add_outcome_counts(writer, each.model, each.new, each.older, each.revisions, each.versions, each.references)


def rebuild_rollups(writer: Cursor, name: str, streams_only: Iterable[int] | None = None, *, threads: int = 2) -> None:
    """Rebuild the rollups of a model from its raw rows with its present classes, threshold, edges and sensitive columns.

    streams_only: rebuild only these streams. The decisions of the raw rows are recomputed as well. Compacted arrivals stay compacted, and
    counts of removed rows (`Model.rows_from`) do not change.
    """
    model = _model_with_own_tables(writer, name)
    chosen = sorted(stream_numbers(writer, model.key).values() if streams_only is None else set(streams_only))
    predictions = model_table("predictions", model.key)
    wanted = ", ".join(map(str, chosen)) or "NULL"
    replaced = ["true" if streams_only is None else f"stream IN ({wanted})"]
    if model.rows_from is not None:  # counts of removed rows stay; rows of references have period 0
        numbers = [number for (_, environment), number in stream_numbers(writer, model.key).items() if environment == "reference"]
        first = int(model.rows_from.timestamp() // 3600)
        replaced.append(f"(period >= {first} OR list_contains({numbers}::SMALLINT[], stream))")
    for table in ("counts", "sums"):
        writer.execute(f"DELETE FROM {model_table(table, model.key)} WHERE {' AND '.join(replaced)}")
    if streams_only is None:
        kept = ", ".join(map(sql_literal, sliced_columns(model)))
        writer.execute(f"DELETE FROM {model_table('slices', model.key)} WHERE reference NOT IN ({kept})")
    new_decision = decision_sql(model)
    writer.execute(
        f"UPDATE {predictions} SET decision = {new_decision} WHERE stream IN ({wanted}) AND decision IS DISTINCT FROM {new_decision}"
    )
    _add_stored_rows(writer, model, f"stream IN ({wanted})", threads)
    if limit := compaction_hours(writer).get(model.key):
        coarsen_arrivals(writer, model, limit)
    merge_rollups(writer, model)


def rebuild_days(writer: Cursor, name: str, touched: Iterable[tuple[int, date]], *, merge: bool = True, threads: int = 2) -> None:
    """Compute the rollups of some days of some streams of a model again from its raw rows: (stream, day in UTC); for references, all rows.

    merge: add up rows with equal keys afterwards.
    """
    model = _model_with_own_tables(writer, name)
    references = {number for (_, environment), number in stream_numbers(writer, model.key).items() if environment == "reference"}
    days: dict[int, set[date]] = {}
    for stream, day in touched:
        days.setdefault(stream, set()).add(day)
    if whole := sorted(references & days.keys()):
        rebuild_rollups(writer, name, whole, threads=threads)
    for stream in sorted(days.keys() - references):
        numbers = ", ".join(str((day - date(1970, 1, 1)).days) for day in days[stream])
        for table in ("counts", "sums"):
            writer.execute(f"DELETE FROM {model_table(table, model.key)} WHERE stream = {stream} AND floor(period / 24) IN ({numbers})")
        dates = ", ".join(f"DATE '{day}'" for day in sorted(days[stream]))
        _add_stored_rows(writer, model, f'stream = {stream} AND "at"::DATE IN ({dates})', threads)
    if limit := compaction_hours(writer).get(model.key):
        coarsen_arrivals(writer, model, limit)
    if merge:
        merge_rollups(writer, model)


def _model_with_own_tables(writer: Cursor, name: str) -> Model:
    """The model of this name, after its rows were moved out of the shared tables."""
    model = require_model(writer, name)
    return replace(model, shared=False) if give_own_tables(writer, model.key) else model


def _add_stored_rows(writer: Cursor, model: Model, chosen: str, threads: int) -> None:
    """Add the stored predictions that meet a condition, with their labels, to rollups that hold none of them."""
    predictions, labels = model_table("predictions", model.key), model_table("labels", model.key)
    parts = writer.execute(f"SELECT DISTINCT rowid // {REBUILD_ROWS} FROM {predictions} WHERE {chosen} ORDER BY 1").fetchall()
    columns = [*outcome_columns(model), "absent", "wrong", *(column.column for column in model.columns)]
    selected = ", ".join(f'"{column}"' for column in dict.fromkeys(columns))
    for (part,) in parts:
        start = part * REBUILD_ROWS
        some = f"FROM {predictions} WHERE rowid BETWEEN {start} AND {start + REBUILD_ROWS - 1} AND {chosen}"
        rows = arrow_result(writer, f"SELECT {selected} {some}")
        revisions = arrow_result(
            writer, f'SELECT id, "at", arrived, value, number, true AS is_new FROM {labels} WHERE id_hash IN (SELECT id_hash {some})'
        )
        add_to_rollups(writer, model, rows, None, revisions, threads=threads)


def merge_rollups(writer: Cursor, model: Model) -> None:
    """Add up rollup rows with equal keys and remove those that cancel out. Answers do not change."""
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
            (rows,) = single_row(writer, f"SELECT count(*) FROM {name}")
    writer.execute(
        "INSERT OR REPLACE INTO rollups SELECT ?, ?, coalesce((SELECT compacted_before FROM rollups WHERE key = ?), 0)",
        [model.key, rows, model.key],
    )


def merge_grown(writer: Cursor, models: Iterable[Model]) -> list[Model]:
    """Merge the rollups of models if they have grown enough; return these models. Amortized, a row is merged O(1) times.

    Rows in the shared tables are few and are never merged.
    """
    own = [model for model in models if not model.shared]
    rows = _own_counts(writer, own)
    merged = dict(writer.execute("SELECT key, merged_rows FROM rollups WHERE list_contains(?, key)", [list(rows)]).fetchall())
    grown = [model for model in own if rows[model.key] > 2 * merged.get(model.key, 0) + MERGE_FROM]
    for model in grown:
        merge_rollups(writer, model)
    return grown


def _own_counts(cursor: Cursor, models: Sequence[Model]) -> dict[int, int]:
    """The number of counts rows of models with tables of their own, by key. Read-only."""
    queries = [f"SELECT {model.key}, count(*) FROM {model_table('counts', model.key)}" for model in models]
    found: dict[int, int] = {}
    for first in range(0, len(queries), COUNTED_TOGETHER):
        found |= dict(cursor.execute(" UNION ALL ".join(queries[first : first + COUNTED_TOGETHER])).fetchall())
    return found


def compact_rollups(writer: Cursor, model: Model, *, now: datetime | None = None, days: int = COMPACT_DAYS) -> int:
    """Round arrivals older than `days` up to whole days, and merge the rollups; return this limit of age in hours since 1970.

    Before the limit, `as_of` is then exact in the rollups only at midnight; other instants are answered from raw rows. The limit is stored
    in the table `rollups`.
    """
    limit = compaction_limit(now or datetime.now(UTC), days)
    give_own_tables(writer, model.key)
    coarsen_arrivals(writer, model, limit)
    merge_rollups(writer, model)
    writer.execute("UPDATE rollups SET compacted_before = greatest(compacted_before, ?) WHERE key = ?", [limit, model.key])
    return limit


def coarsen_arrivals(writer: Cursor, model: Model, limit: int) -> None:
    """Round arrivals before an hour up to whole days."""
    for table in ("counts", "sums"):
        writer.execute(f"UPDATE {model_table(table, model.key)} SET arrived = {WHOLE_DAYS} WHERE arrived < {limit} AND arrived % 24 <> 0")


def wants_compaction(cursor: Cursor, models: Iterable[Model], now: datetime) -> list[Model]:
    """The models whose rollups are large enough to compact and were not compacted today. Read-only."""
    hours, limit = compaction_hours(cursor), compaction_limit(now, COMPACT_DAYS)
    due = [model for model in models if hours.get(model.key, 0) < limit]
    shared = [model.key for model in due if model.shared]
    counted = "SELECT key, count(*) FROM counts_shared WHERE key IN (SELECT unnest(?::INTEGER[])) GROUP BY key"
    rows = dict(cursor.execute(counted, [shared]).fetchall()) if shared else {}
    rows |= _own_counts(cursor, [model for model in due if not model.shared])
    large = {key for key, count in rows.items() if count >= COMPACT_FROM}
    return [model for model in due if model.key in large]


def compaction_limit(now: datetime, days: int) -> int:
    """The midnight `days` before today (UTC), in hours since 1970."""
    midnight = aware_utc(now).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days)
    return int(midnight.timestamp() // 3600)


def compaction_hours(cursor: Cursor) -> Mapping[int, int]:
    """By model key, the hour of arrival before which the rollups keep arrivals by day only. Read-only."""
    return dict(cursor.execute("SELECT key, compacted_before FROM rollups").fetchall())
