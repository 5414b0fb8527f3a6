"""Count the rows of one partition of a lake in a task. The store's own code counts them, in a DuckDB in the memory of the task's process.

Spark distributes the files, resolves labels, adds the parts up and repeats lost tasks. `LakeEngine` passes batches whose rows have the same
form. The definition of a count is not repeated here. A task puts each batch of rows into tables with the store's names and runs the same
modules that count for the store. Nothing here imports Spark.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from observability.core.catalog import Column, Model
from observability.core.questions import CURRENCY, Aggregate, Bucket, Sample
from observability.core.window import Window
from observability.store.db.expressions import sql_literal
from observability.store.db.results import Cursor
from observability.store.db.schema import (
    COLUMN_TYPES,
    COUNT_COLUMNS,
    LABEL_COLUMNS,
    MODEL_TABLES,
    PREDICTION_COLUMNS,
    SUM_COLUMNS,
    create_table_sql,
    model_table,
)
from observability.store.lake.manifest import COUNTED_BY
from observability.store.query import aggregates, listing
from observability.store.query.answer import Part, part_arrays
from observability.store.query.source import SAMPLE_ORDER, window_rows
from observability.store.rollup.rollup import COUNT_KEYS, add_to_rollups
from observability.store.types.answer_columns import CODE_COLUMNS

MAX_KEYS = 8
KEYS = tuple(f"k{place}" for place in range(MAX_KEYS))
FIGURES = ("w", "w2", "total", "squares", "low", "high")
PART_COLUMNS = {
    "question": "INT",
    **dict.fromkeys(KEYS, "STRING"),
    "item": "INT",
    "bin": "INT",
    "n": "BIGINT",
    **dict.fromkeys(FIGURES, "DOUBLE"),
}
"""Columns of the parts of answers, with Spark's types."""
DELTA_COLUMNS = {"sums": "BOOLEAN", **dict.fromkeys(COUNT_KEYS, "INT"), "n": "BIGINT", **dict.fromkeys(FIGURES, "DOUBLE")}
"""Columns of the changes of rollups; counts and sums share one table."""
ARROW_TYPES = {"INT": pa.int32(), "BIGINT": pa.int64(), "DOUBLE": pa.float64(), "STRING": pa.string(), "BOOLEAN": pa.bool_()}
CURRENT = {"current_at": "TIMESTAMP", "current_arrived": "TIMESTAMP", "current_value": "VARCHAR", "current_number": "DOUBLE"}
"""The current label of a row, beside its own columns."""
REVISIONS = "revisions"
"""All revisions of the label of a row, as a list of structs (at, arrived, value, number)."""
LADDER = ("id", "at", "arrived", "value", "number")
"""Columns of labels from which the revisions are made."""
ALWAYS = ("stream", "id", "id_hash", "sample_hash", "at", "arrived", "weight", "absent", "wrong")
Stream = tuple[int, str, str]
"""Number, version and environment."""


@dataclass(frozen=True)
class TaskModel:
    """What a task needs to know about a model: its catalog entry, its streams, the slices of its rollups (number, reference, level), and
    the rounds of late labels that the store has counted.
    """

    model: Model
    streams: tuple[Stream, ...]
    slices: tuple[tuple[int, str, str], ...] = ()
    rounds: tuple[str, ...] = ()

    @property
    def numbers(self) -> dict[tuple[str, str], int]:
        """The number of each stream by its version and environment."""
        return {(version, environment): number for number, version, environment in self.streams}

    @property
    def counted_label(self) -> str:
        """SQL of DuckDB and of Spark: whether the store has counted a label of the lake."""
        return f"({COUNTED_BY} IS NULL OR {COUNTED_BY} IN ({', '.join(map(sql_literal, self.rounds)) or 'NULL'}))"


def needed_columns(model: Model, questions: Iterable[tuple[Aggregate | Sample, Window]]) -> tuple[str, ...]:
    """The stored columns of predictions that the answers need."""
    found = dict.fromkeys(ALWAYS)
    for question, window in questions:
        names = list(question.columns) if isinstance(question, Sample) else [*question.histogram, *question.sums]
        names += [] if isinstance(question, Sample) else [key.column for key in question.keys if not isinstance(key, Bucket)]
        names += [model.resolve(name) for name, _ in (window.slice.conditions if window.slice else ())]
        for name in names:
            found |= dict.fromkeys(_columns_of(model, name))
        if question.table == "outcomes" or "decision" in names or model.redecided:
            found |= dict.fromkeys(("score", "decision", "prediction", "threshold", "probabilities"))
    known = {*PREDICTION_COLUMNS, *(column.column for column in model.columns)}
    return tuple(name for name in found if name in known)


def _columns_of(model: Model, reference: str) -> Sequence[str]:
    if (column := model.column(reference)) is not None:
        return (column.column,)
    if reference.startswith("band."):
        return [column.column for column in model.columns if column.name == reference.removeprefix("band.")]
    if reference == CURRENCY:
        return ("extra",)
    return ("score", "probabilities") if reference.startswith("score") else (reference,)


def stored_types(columns: Iterable[Column]) -> dict[str, str]:
    """The types of the stored columns of predictions."""
    return {**PREDICTION_COLUMNS, **{column.column: COLUMN_TYPES[column.kind] for column in columns}}


@lru_cache(maxsize=8)
def _task_database(number: int, threads: int = 1) -> Cursor:
    """A database of this process. number: each number has its own database, so that different uses do not share one."""
    del number
    connection = duckdb.connect(config={"threads": threads, "memory_limit": "1GB", "python_enable_replacements": False})
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    connection.execute("CREATE TABLE streams (key INTEGER, stream SMALLINT, version VARCHAR, environment VARCHAR)")
    connection.execute("CREATE TABLE rollups (key INTEGER, merged_rows BIGINT, compacted_before INTEGER)")
    return connection


def task_tables(task: TaskModel, rows: pa.Table) -> Cursor:
    """A database that holds these rows as the predictions of the model, with their current labels."""
    cursor, key = _task_database(1), task.model.key
    _write_streams(cursor, task)
    cursor.register("batch", rows)
    _create_predictions(cursor, task.model, rows.column_names)
    labels = model_table("labels", key)
    cursor.execute(f"DROP TABLE IF EXISTS {labels}")
    cursor.execute(create_table_sql(labels, LABEL_COLUMNS))
    if "current_value" in rows.column_names:
        cursor.execute(
            f"""INSERT INTO {labels} (id, id_hash, "at", arrived, value, number) SELECT DISTINCT id, id_hash::UBIGINT, current_at,
            current_arrived, current_value, current_number FROM batch WHERE current_at IS NOT NULL"""
        )
    cursor.unregister("batch")
    return cursor


def _write_streams(cursor: Cursor, task: TaskModel) -> None:
    cursor.execute("DELETE FROM streams")
    if task.streams:
        cursor.executemany("INSERT INTO streams VALUES (?, ?, ?, ?)", [(task.model.key, *stream) for stream in task.streams])


def _create_predictions(cursor: Cursor, model: Model, held: Sequence[str]) -> None:
    """Make the table of predictions from the rows of `batch`. Columns that these rows lack are NULL."""
    picked = ", ".join(
        f'"{name}"::{kind} AS "{name}"' if name in held else f'NULL::{kind} AS "{name}"'
        for name, kind in stored_types(model.columns).items()
    )
    name = model_table("predictions", model.key)
    cursor.execute(f"DROP TABLE IF EXISTS {name}")
    cursor.execute(f"CREATE TABLE {name} AS SELECT {picked} FROM batch")


def count_batches(
    task: TaskModel, questions: Sequence[tuple[Aggregate, Window]], batches: Iterable[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    """The parts of the answers that come from the rows of each batch, with the PART_COLUMNS."""
    for batch in batches:
        if not batch.num_rows:
            continue
        cursor = task_tables(task, pa.Table.from_batches([batch]))
        for number, (aggregate, window) in enumerate(questions):
            for part in aggregates.raw_parts(cursor, task.model, task.numbers, aggregate, window):
                arrays = part_arrays(part)
                if arrays["n"].size:
                    yield _part_rows(number, arrays)


def _part_rows(number: int, part: Part) -> pa.RecordBatch:
    size = part["n"].size
    columns: dict[str, Any] = {"question": np.full(size, number), "item": np.zeros(size, int), "bin": np.zeros(size, int)}
    columns |= {name: np.zeros(size) for name in FIGURES}
    columns |= {name: values for name, values in part.items() if not name.startswith("k")}
    arrays = []
    for name, kind in PART_COLUMNS.items():
        if name in KEYS:
            held = (
                [None if value is None or value != value else str(value) for value in part[name].tolist()]
                if name in part
                else [None] * size
            )
            arrays.append(pa.array(held, pa.string()))
        else:
            arrays.append(pa.array(np.asarray(columns[name]).astype({"INT": np.int32, "BIGINT": np.int64, "DOUBLE": np.float64}[kind])))
    return pa.RecordBatch.from_arrays(arrays, names=list(PART_COLUMNS))


def parts_of_answer(aggregate: Aggregate, rows: pa.Table) -> list[Part]:
    """The summed parts of one answer, as `answer.assemble_answer` takes them."""
    if not rows.num_rows:
        return []
    part: Part = {name: rows[name].to_numpy() for name in ("item", "bin", "n", *FIGURES)}
    for place, key in enumerate(aggregate.keys):
        texts = rows[f"k{place}"]
        is_code = isinstance(key, Bucket) or key.column in CODE_COLUMNS or key.column == "version"
        part[f"k{place}"] = texts.cast(pa.int64()).to_numpy() if is_code else np.array([*texts.to_pylist(), None], object)[:-1]
    return [part]


def sample_batches(task: TaskModel, sample: Sample, window: Window, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """From each batch, the rows of the window with the smallest hashes, up to the size of the sample."""
    found = window_rows(task.model, window, task.numbers)
    for batch in batches:
        if not batch.num_rows or not found.streams:
            continue
        cursor = task_tables(task, pa.Table.from_batches([batch]))
        table = model_table("predictions", task.model.key)
        chosen = cursor.execute(
            f"SELECT rowid FROM {table} p WHERE {found.where} ORDER BY {SAMPLE_ORDER} LIMIT {int(sample.rows)}", found.values
        ).fetchall()
        if chosen:
            yield batch.take(pa.array([place for (place,) in chosen]))


def sample_frame(task: TaskModel, sample: Sample, window: Window, rows: pa.Table) -> Any:
    """The answer to a sample from its rows."""
    fields = listing.column_fields(task.model, sample.columns, outcomes=sample.table == "outcomes")
    found = window_rows(task.model, window, task.numbers)
    cursor = task_tables(task, rows)
    return listing.fetch_rows(cursor, found, fields, list(range(rows.num_rows)), SAMPLE_ORDER)


def rollup_batches(task: TaskModel, batches: Iterable[pa.RecordBatch], threads: int = 1) -> Iterator[pa.RecordBatch]:
    """The rows that the predictions of each batch, with all revisions of their labels, add to the rollups; with the DELTA_COLUMNS."""
    model, cursor = task.model, _task_database(2, threads)
    for batch in batches:
        if not batch.num_rows:
            continue
        _write_streams(cursor, task)
        for table, columns in MODEL_TABLES.items():
            cursor.execute(f"DROP TABLE IF EXISTS {model_table(table, model.key)}")
            cursor.execute(create_table_sql(model_table(table, model.key), columns))
        if task.slices:
            cursor.executemany(f"INSERT INTO {model_table('slices', model.key)} VALUES (?, ?, ?)", task.slices)
        cursor.register("batch", pa.Table.from_batches([batch]))
        _create_predictions(cursor, model, batch.schema.names)
        rows = cursor.sql(f"SELECT * FROM {model_table('predictions', model.key)}").to_arrow_table()
        revisions = cursor.sql(
            f"""SELECT DISTINCT id, r."at", r.arrived, r.value, r.number, true AS is_new
            FROM (SELECT id, unnest({REVISIONS}) AS r FROM batch WHERE {REVISIONS} IS NOT NULL)"""
        ).to_arrow_table()
        cursor.unregister("batch")
        add_to_rollups(cursor, model, rows, None, revisions if revisions.num_rows else None, threads=threads)
        for table, own in (("counts", COUNT_COLUMNS), ("sums", SUM_COLUMNS)):
            picked = ", ".join(_delta_column(name, kind, table, own) for name, kind in DELTA_COLUMNS.items())
            deltas = cursor.sql(f"SELECT {picked} FROM {model_table(table, model.key)}").to_arrow_table()
            schema = pa.schema([(name, ARROW_TYPES[kind]) for name, kind in DELTA_COLUMNS.items()])
            yield from deltas.cast(schema).to_batches()


def _delta_column(name: str, kind: str, table: str, own: dict[str, str]) -> str:
    if name == "sums":
        return f"{'true' if table == 'sums' else 'false'} AS sums"
    return f"{name if name in own else 'NULL'}::{'INTEGER' if kind == 'INT' else kind} AS {name}"
