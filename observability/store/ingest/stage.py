"""Convert parsed rows into the form of stored rows.

Takes the tables of `parse_types.ParsedBlock` and adds hashes, streams, decisions and times of arrival. The results have the columns of
`predictions_<key>`, `labels_<key>` and the tables of the other kinds, with `line` (and `inline` for labels) beside them.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from datetime import datetime

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from observability.core.catalog import Model
from observability.core.time import naive_utc
from observability.core.view_names import quoted_identifier
from observability.store.db.catalog_store import ensure_stream, stream_numbers
from observability.store.db.expressions import decision_sql, sql_literal
from observability.store.db.kept_numbers import kept_columns, with_kept_numbers
from observability.store.db.record_tables import content_hash, kind_columns, kind_tables
from observability.store.db.results import arrow_result, single_row
from observability.store.db.schema import COLUMN_TYPES, LABEL_COLUMNS, MODEL_TABLES, PREDICTION_COLUMNS, model_table
from observability.store.db.shared_tables import feature_list_sql, give_own_tables, shared_table

INCOMING = "incoming"
STAGED_TOGETHER, MOST_STREAMS = 200, 30_000
"""Maximum number of models in one statement, and of their streams, whose numbers are 16 bits wide."""
Cursor = duckdb.DuckDBPyConnection


def stored_columns(model: Model) -> dict[str, str]:
    """Columns of the predictions table of a model with their types."""
    return PREDICTION_COLUMNS | {column.column: COLUMN_TYPES[column.kind] for column in model.columns}


def stage_predictions(
    writer: Cursor,
    models: Sequence[Model],
    tables: Mapping[str, pa.Table],
    numbers: Mapping[int, dict[tuple[str, str], int]],
    now: datetime,
) -> dict[int, pa.Table]:
    """Parsed predictions of models (tables: by name) as stored rows with `line`, by key. One statement stages all models whose rows are
    staged alike. Creates new streams and versions. numbers: the known stream numbers of each model; new ones are added to it.
    """
    held = [model for model in models if model.name in tables and tables[model.name].num_rows]
    alike: dict[Hashable, list[list[Model]]] = {}
    streams: dict[int, list[tuple[int, str, str, int]]] = {}
    for model in held:
        pairs = _distinct(tables[model.name], "version", "environment")
        named = list(dict.fromkeys((pair["version"], pair["environment"] or "production") for pair in pairs))  # in the order of the lines
        for each in named:
            if each not in numbers[model.key]:
                numbers[model.key][each] = ensure_stream(writer, model.key, *each)
        streams[model.key] = [(model.key, *each, numbers[model.key][each]) for each in named]
        parts = alike.setdefault((model.task, model.classes, model.settings.threshold, model.columns), [[]])
        staged = sum(len(streams[other.key]) for other in parts[-1])
        if parts[-1] and (len(parts[-1]) == STAGED_TOGETHER or staged + len(named) > MOST_STREAMS):
            parts.append([])
        parts[-1].append(model)
    found: dict[int, pa.Table] = {}
    for part in (part for parts in alike.values() for part in parts):
        of_part = [stream for model in part for stream in streams[model.key]]
        found |= _staged_alike(writer, part, [tables[model.name] for model in part], of_part, now)
    return found


def _staged_alike(
    writer: Cursor, models: Sequence[Model], tables: Sequence[pa.Table], places: Sequence[tuple[int, str, str, int]], now: datetime
) -> dict[int, pa.Table]:
    """Predictions of models that are staged alike, by key. places: key, version, environment and number of each of their streams."""
    if len(models) == 1:
        (model,), (table,) = models, tables
        known = [(number, version, environment) for _, version, environment, number in places]
        return {model.key: staged_predictions(writer, model, table, known, now)}
    named = [(place, f"{key}/{version}", environment) for place, (key, version, environment, _) in enumerate(places)]
    joined = pa.concat_tables(map(_with_owner, models, tables), promote_options="default")
    staged = staged_predictions(writer, models[0], joined, named, now)
    of_row = staged["stream"].to_numpy()
    owners = np.array([key for key, *_ in places])[of_row]
    numbers = pa.array(np.array([number for *_, number in places], np.int16)[of_row])
    staged = staged.set_column(staged.column_names.index("stream"), "stream", numbers)
    return {key: staged.filter(pa.array(owners == key)) for key in sorted(model.key for model in models)}


def _with_owner(model: Model, table: pa.Table) -> pa.Table:
    """Parsed predictions in which each version has the key of its model in front."""
    versions = pc.binary_join_element_wise(pa.scalar(str(model.key)), table["version"], "/")
    return table.set_column(table.column_names.index("version"), "version", versions)


def staged_predictions(
    writer: Cursor, model: Model, table: pa.Table, streams: Iterable[tuple[int, str, str]], now: datetime, own_id: str = "id"
) -> pa.Table:
    """Parsed predictions as stored rows, with `line`. streams: number, version and environment. own_id: column of the id that is hashed."""
    ids = {column.reference: column.id for column in model.columns}
    columns = {column.reference: column.column for column in model.columns}
    kept = [name for name in table.column_names if name in columns or "." not in name]
    table = table.select(kept).rename_columns([columns.get(name, name) for name in kept])
    values = {
        "stream": "s.stream",
        "id_hash": f"hash(i.{own_id})",
        "sample_hash": f"md5_number_upper(i.{own_id})",
        "arrived": f"coalesce(i.received_at, {_timestamp_literal(now)})",
        "status": "coalesce(i.status, 'ok')",
        "decision": decision_sql(model, "i.score", "i.prediction", "i.threshold", "i.probabilities"),
        "absent": _column_ids_sql("i.absent", ids) if not _is_empty(table, "absent") else "NULL",
        "wrong": _column_ids_sql("i.wrong", ids) if not _is_empty(table, "wrong") else "NULL",
    }
    picked = ", ".join(
        f"({values.get(name, f'i.{quoted_identifier(name)}')})::{kind} AS {quoted_identifier(name)}"
        for name, kind in stored_columns(model).items()
    )
    rows = ", ".join(f"({number}, {sql_literal(version)}, {sql_literal(environment)})" for number, version, environment in streams)
    writer.register(INCOMING, with_null_columns(table, [*stored_columns(model), "received_at", "environment"]))
    staged = arrow_result(
        writer,
        f"""SELECT i.line, {picked} FROM {INCOMING} i JOIN (VALUES {rows}) s(stream, version, environment)
        ON s.version = i.version AND s.environment = coalesce(i.environment, 'production')""",
    )
    writer.unregister(INCOMING)
    return staged


def stage_labels(writer: Cursor, table: pa.Table, now: datetime, own_id: str = "id") -> pa.Table:
    """Parsed labels as stored rows, with `line` and `inline`. own_id: column of the id that is hashed."""
    values = {"id_hash": f"hash({own_id})", "arrived": f"coalesce(received_at, {_timestamp_literal(now)})"}
    picked = ", ".join(
        f"({values.get(name, quoted_identifier(name))})::{kind} AS {quoted_identifier(name)}" for name, kind in LABEL_COLUMNS.items()
    )
    writer.register(INCOMING, with_null_columns(table, [*LABEL_COLUMNS, "received_at"]))
    staged = arrow_result(writer, f"SELECT line, inline, {picked} FROM {INCOMING}")
    writer.unregister(INCOMING)
    return staged


def staged_labels(writer: Cursor, tables: Mapping[int, pa.Table], now: datetime) -> dict[int, pa.Table]:
    """Parsed labels of several models as stored rows, as `stage_labels` does for one model; models without labels are left out."""
    held = {key: table for key, table in tables.items() if table.num_rows}
    if not held:
        return {}
    owners = np.repeat(np.array([*held], np.int64), [table.num_rows for table in held.values()])
    joined = pa.concat_tables(held.values(), promote_options="default")
    lines = joined["line"].to_numpy()
    order = np.argsort(lines, kind="stable")
    staged = stage_labels(writer, joined, now)
    of_row = owners[order][np.searchsorted(lines[order], staged["line"].to_numpy())]
    return {key: staged if len(held) == 1 else staged.filter(pa.array(of_row == key)) for key in held}


def staged_records(writer: Cursor, kind: str, table: pa.Table, now: datetime) -> pa.Table:
    """Parsed records of another kind as stored rows, with `line`. Their JSON is canonical, so records with equal contents have equal
    hashes.
    """
    names = [name for name in kind_columns(kind) if name not in ("arrived", "content_hash")]
    values = {name: quoted_identifier(name) if name in table.column_names else "NULL" for name in names}
    picked = ", ".join(f"{value}::{kind_columns(kind)[name]} AS {quoted_identifier(name)}" for name, value in values.items())
    writer.register(INCOMING, table)
    staged = arrow_result(
        writer,
        f"""SELECT *, {content_hash(kind)} AS content_hash FROM (
            SELECT line, {picked}, coalesce(received_at, {_timestamp_literal(now)}) AS arrived FROM {INCOMING})""",
    )
    writer.unregister(INCOMING)
    return staged


def insert_rows(writer: Cursor, table: str, columns: list[str], rows: pa.Table) -> None:
    """Append staged rows to a table."""
    if not rows.num_rows:
        return
    names = ", ".join(map(quoted_identifier, columns))
    writer.register(INCOMING, rows.select(columns))
    writer.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM {INCOMING}")
    writer.unregister(INCOMING)


def insert_records(writer: Cursor, kind: str, rows: pa.Table) -> None:
    """Append staged records of a kind to its table, together with the numbers that are kept beside their objects."""
    if not rows.num_rows:
        return
    columns = list(kind_columns(kind))
    names = ", ".join(map(quoted_identifier, [*columns, *kept_columns(kind)]))
    writer.register(INCOMING, rows.select(columns))
    writer.execute(
        f"INSERT INTO {kind_tables()[kind]} ({names}) SELECT {names} FROM ({with_kept_numbers(kind, f'SELECT * FROM {INCOMING}')})"
    )
    writer.unregister(INCOMING)


def insert_model_rows(writer: Cursor, model: Model, table: str, rows: pa.Table) -> None:
    """Append staged rows to the `predictions` or `labels` of a model."""
    columns = list(stored_columns(model)) if table == "predictions" else list(LABEL_COLUMNS)
    if not model.shared:
        insert_rows(writer, model_table(table, model.key), columns, rows)
    elif rows.num_rows:
        features = [feature_list_sql([(column.id, column.column) for column in model.columns])] if table == "predictions" else []
        picked = ", ".join([*map(quoted_identifier, MODEL_TABLES[table]), *features, str(model.key)])
        writer.register(INCOMING, rows.select(columns))
        writer.execute(f"INSERT INTO {shared_table(table)} SELECT {picked} FROM {INCOMING}")
        writer.unregister(INCOMING)


def insert_predictions(writer: Cursor, model: Model, predictions: pa.Table, labels: pa.Table | None = None, *, now: datetime) -> int:
    """Store parsed rows (as in `ParsedBlock.predictions` and `ParsedBlock.labels`) without deduplication and without counting; return how
    many.

    Used for a reference, because its ids occur nowhere else. `rollup.rebuild_rollups` must follow.
    """
    if "line" not in predictions.column_names:
        predictions = predictions.append_column("line", pa.array(np.arange(predictions.num_rows)))
    staged = stage_predictions(writer, [model], {model.name: predictions}, {model.key: stream_numbers(writer, model.key)}, now)
    if predictions.num_rows:
        insert_model_rows(writer, model, "predictions", staged[model.key])
    if labels is not None and labels.num_rows:
        for name, filler in (("line", pa.array(np.arange(labels.num_rows))), ("inline", pa.array([True] * labels.num_rows))):
            if name not in labels.column_names:
                labels = labels.append_column(name, filler)
        insert_model_rows(writer, model, "labels", stage_labels(writer, labels, now))
    return int(predictions.num_rows)


def delete_stream(writer: Cursor, model: Model, version: str, environment: str) -> int:
    """Delete the predictions of a version in an environment with their labels and counts; return the number of predictions."""
    number = stream_numbers(writer, model.key).get((version, environment))
    if number is None:
        return 0
    give_own_tables(writer, model.key)
    predictions, labels = model_table("predictions", model.key), model_table("labels", model.key)
    writer.execute(f"DELETE FROM {labels} WHERE id IN (SELECT id FROM {predictions} WHERE stream = {number})")
    (count,) = single_row(writer, f"SELECT count(*) FROM {predictions} WHERE stream = {number}")
    for table in ("predictions", "counts", "sums"):
        writer.execute(f"DELETE FROM {model_table(table, model.key)} WHERE stream = {number}")
    return int(count)


def _distinct(table: pa.Table, *names: str) -> list[dict[str, str]]:
    """The distinct combinations of some columns, sorted by their text."""
    rows = table.select(names).group_by(list(names)).aggregate([]).to_pylist()
    return sorted(rows, key=lambda row: [str(row[name]) for name in names])


def with_null_columns(table: pa.Table, names: Iterable[str]) -> pa.Table:
    """The table with a column of nulls for each missing name."""
    held = table.column_names
    known = set(held)
    missing = [name for name in dict.fromkeys(names) if name not in known]
    if not missing:
        return table
    whole = pa.Table.from_arrays([*table.columns, *[pa.nulls(table.num_rows)] * len(missing)], names=[*held, *missing])
    return whole.replace_schema_metadata(table.schema.metadata)


def _is_empty(table: pa.Table, name: str) -> bool:
    """Whether a column is missing or all null."""
    return name not in table.column_names or table[name].null_count == table.num_rows


def _timestamp_literal(instant: datetime) -> str:
    """The time as an SQL literal, without a time zone."""
    return f"TIMESTAMP '{naive_utc(instant).isoformat(sep=' ')}'"


def _column_ids_sql(lists: str, ids: dict[str, int]) -> str:
    """Column ids of a list of column references; unknown references are left out."""
    names, numbers = ", ".join(map(sql_literal, ids)), ", ".join(map(str, ids.values()))
    return f"list_filter(list_transform({lists}, lambda r: [{numbers}][nullif(list_position([{names}], r), 0)]), lambda i: i IS NOT NULL)"
