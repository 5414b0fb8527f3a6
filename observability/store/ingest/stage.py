"""How do parsed rows become rows as they are stored?

From the tables of `parse_types.Parsed` to tables with the columns of `predictions_<key>`, `labels_<key>` and the tables of the other kinds,
with `line` (and of labels `inline`) beside them: hashes, streams, decisions and times of arrival are filled in.
"""

import json
from collections.abc import Iterable
from datetime import datetime

import duckdb
import numpy as np
import pyarrow as pa

from observability.core.catalog import Model
from observability.core.time import naive_utc
from observability.records.kinds import KINDS
from observability.store.db.catalog_store import stream, streams
from observability.store.db.expressions import decision_of, text
from observability.store.db.record_tables import FIELD_TYPES, content_hash, kind_columns
from observability.store.db.results import arrow, one
from observability.store.db.schema import COLUMN_TYPES, LABEL_COLUMNS, PREDICTION_COLUMNS, model_table, quoted

INCOMING = "incoming"
Cursor = duckdb.DuckDBPyConnection


def stored_columns(model: Model) -> dict[str, str]:
    """Columns of the predictions table of a model and their types."""
    return PREDICTION_COLUMNS | {each.column: COLUMN_TYPES[each.kind] for each in model.columns}


def stage_predictions(writer: Cursor, model: Model, table: pa.Table, now: datetime) -> pa.Table:
    """Parsed predictions as stored rows, with `line`. Streams (and so versions) that are new are made."""
    for pair in distinct(table, "version", "environment"):
        stream(writer, model.key, pair["version"], pair["environment"] or "production")
    ids = {each.reference: each.id for each in model.columns}
    columns = {each.reference: each.column for each in model.columns}
    kept = [name for name in table.column_names if name in columns or "." not in name]
    table = table.select(kept).rename_columns([columns.get(name, name) for name in kept])
    values = {
        "stream": "s.stream",
        "id_hash": "hash(i.id)",
        "sample_hash": "md5_number_upper(i.id)",
        "arrived": f"coalesce(i.received_at, {moment(now)})",
        "status": "coalesce(i.status, 'ok')",
        "decision": decision_of(model, "i.score", "i.prediction", "i.threshold", "i.probabilities"),
        "absent": ids_of("i.absent", ids) if not empty(table, "absent") else "NULL",
        "wrong": ids_of("i.wrong", ids) if not empty(table, "wrong") else "NULL",
    }
    picked = ", ".join(
        f"({values.get(name, f'i.{quoted(name)}')})::{kind} AS {quoted(name)}" for name, kind in stored_columns(model).items()
    )
    known = [(number, version, environment) for (version, environment), number in streams(writer, model.key).items()]
    rows = ", ".join(f"({number}, {text(version)}, {text(environment)})" for number, version, environment in known)
    writer.register(INCOMING, complete(table, [*stored_columns(model), "received_at", "environment"]))
    staged = arrow(
        writer,
        f"""SELECT i.line, {picked} FROM {INCOMING} i JOIN (VALUES {rows}) s(stream, version, environment)
        ON s.version = i.version AND s.environment = coalesce(i.environment, 'production')""",
    )
    writer.unregister(INCOMING)
    return staged


def stage_labels(writer: Cursor, table: pa.Table, now: datetime) -> pa.Table:
    """Parsed labels as stored rows, with `line` and `inline`."""
    values = {"id_hash": "hash(id)", "arrived": f"coalesce(received_at, {moment(now)})"}
    picked = ", ".join(f"({values.get(name, quoted(name))})::{kind} AS {quoted(name)}" for name, kind in LABEL_COLUMNS.items())
    writer.register(INCOMING, complete(table, [*LABEL_COLUMNS, "received_at"]))
    staged = arrow(writer, f"SELECT line, inline, {picked} FROM {INCOMING}")
    writer.unregister(INCOMING)
    return staged


def stage_others(writer: Cursor, kind: str, table: pa.Table, now: datetime) -> pa.Table:
    """Parsed records of another kind as stored rows, with `line`. JSON columns get sorted keys, so that equal contents have equal hashes."""
    fields = {each.name: FIELD_TYPES[each.type] for each in KINDS[kind].fields.values() if each.name != "received_at"}
    for name, type_name in fields.items():
        if type_name == "JSON" and name in table.column_names and not empty(table, name):
            place = table.column_names.index(name)
            table = table.set_column(place, name, pa.array([canonical_json(each) for each in table[name].to_pylist()], pa.string()))
    names = [name for name in kind_columns(kind) if name not in ("arrived", "content_hash")]
    picked = ", ".join(f"{quoted(name)}::{kind_columns(kind)[name]} AS {quoted(name)}" if name in table.column_names else
                       f"NULL::{kind_columns(kind)[name]} AS {quoted(name)}" for name in names)  # fmt: skip
    writer.register(INCOMING, table)
    staged = arrow(
        writer,
        f"""SELECT *, {content_hash(kind)} AS content_hash FROM (
            SELECT line, {picked}, coalesce(received_at, {moment(now)}) AS arrived FROM {INCOMING})""",
    )
    writer.unregister(INCOMING)
    return staged


def insert(writer: Cursor, table: str, columns: list[str], rows: pa.Table) -> None:
    """Appends staged rows to a table."""
    if not rows.num_rows:
        return
    names = ", ".join(map(quoted, columns))
    writer.register(INCOMING, rows.select(columns))
    writer.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM {INCOMING}")
    writer.unregister(INCOMING)


def insert_predictions(
    writer: Cursor, model: Model, predictions: pa.Table, labels: pa.Table | None = None, *, now: datetime
) -> int:  # fmt: skip
    """Stores parsed rows (as `Parsed.predictions` and `Parsed.labels` have them) without looking for duplicates and without counting them.

    For a reference, whose ids are its own: the rollups follow with `rollup.rebuild`. Gives the number of predictions.
    """
    if "line" not in predictions.column_names:
        predictions = predictions.append_column("line", pa.array(np.arange(predictions.num_rows)))
    insert(writer, model_table("predictions", model.key), list(stored_columns(model)), stage_predictions(writer, model, predictions, now))
    if labels is not None and labels.num_rows:
        for name, filler in (("line", pa.array(np.arange(labels.num_rows))), ("inline", pa.array([True] * labels.num_rows))):
            if name not in labels.column_names:
                labels = labels.append_column(name, filler)
        insert(writer, model_table("labels", model.key), list(LABEL_COLUMNS), stage_labels(writer, labels, now))
    return int(predictions.num_rows)


def delete_stream(writer: Cursor, model: Model, version: str, environment: str) -> int:
    """Deletes the predictions of a version in an environment, their labels and their counts; gives how many predictions there were."""
    number = streams(writer, model.key).get((version, environment))
    if number is None:
        return 0
    predictions, labels = model_table("predictions", model.key), model_table("labels", model.key)
    writer.execute(f"DELETE FROM {labels} WHERE id IN (SELECT id FROM {predictions} WHERE stream = {number})")
    (count,) = one(writer, f"SELECT count(*) FROM {predictions} WHERE stream = {number}")
    for table in ("predictions", "counts", "sums"):
        writer.execute(f"DELETE FROM {model_table(table, model.key)} WHERE stream = {number}")
    return int(count)


def distinct(table: pa.Table, *names: str) -> list[dict[str, str]]:
    """The different combinations of some columns, in order of their text."""
    rows = table.select(names).group_by(list(names)).aggregate([]).to_pylist()
    return sorted(rows, key=lambda row: [str(row[name]) for name in names])


def complete(table: pa.Table, names: Iterable[str]) -> pa.Table:
    """The table with a column of nulls for each of these that it lacks."""
    for name in names:
        if name not in table.column_names:
            table = table.append_column(name, pa.nulls(table.num_rows))
    return table


def empty(table: pa.Table, name: str) -> bool:
    """Whether a column is not there or holds nothing."""
    return name not in table.column_names or table[name].null_count == table.num_rows


def moment(instant: datetime) -> str:
    """A timestamp literal."""
    return f"TIMESTAMP '{naive_utc(instant).isoformat(sep=' ')}'"


def ids_of(lists: str, ids: dict[str, int]) -> str:
    """Column ids of a list of column references; references that are no column are left out."""
    names, numbers = ", ".join(map(text, ids)), ", ".join(map(str, ids.values()))
    return f"list_filter(list_transform({lists}, lambda r: [{numbers}][nullif(list_position([{names}], r), 0)]), lambda i: i IS NOT NULL)"


def canonical_json(value: str | None) -> str | None:
    """JSON text with sorted keys and no spaces; null stays null."""
    return None if value is None else json.dumps(json.loads(value), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
