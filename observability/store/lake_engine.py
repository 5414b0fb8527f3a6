"""An `Engine` whose raw rows are in a lake. DuckDB reads the Parquet files with the queries that the store uses for its own tables.

The store answers all other questions (records, events, stored explanations, counts of the loader). The store need not
hold the rows that the lake has.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import date
from typing import TYPE_CHECKING, Any, cast

import duckdb
import pyarrow as pa

from observability.core.catalog import Model
from observability.core.errors import NotFoundError
from observability.core.questions import Aggregate, Question, Sample
from observability.core.view_names import quoted_identifier
from observability.core.window import Window
from observability.store.beside_store import EngineBesideStore
from observability.store.db.database import Database
from observability.store.engine import Store
from observability.store.lake.lake_tables import LakeTables
from observability.store.lake.manifest import LakeFile, read_manifest
from observability.store.lake.spark_tasks import ARROW_TYPES, DELTA_COLUMNS, FIGURES, LADDER, REVISIONS, TaskModel, rollup_batches
from observability.store.query import aggregates, listing
from observability.store.query.source import snapshot_cursor
from observability.store.rollup.rollup import COUNT_KEYS, REBUILD_ROWS

if TYPE_CHECKING:
    from pandas import DataFrame

ROWS_TOGETHER = 2_000_000
"""Predictions whose labels are searched together when rollups are computed."""
ADDED_AT_ONCE = 2_000_000
"""Number of changes of rollups that are held in memory before they are added up."""
EXTREMES = {"low": "min", "high": "max"}
ROLLING = threading.Lock()
"""Held while rollups are computed, because a process has only one database for its tasks."""


class LakeEngine(EngineBesideStore):
    """Answers from the present state of a lake. Safe under threads.

    store: has the catalog, and answers all questions that are not about raw rows.
    """

    def __init__(self, store: Store, address: str, *, threads: int = 2, memory_limit: str = "2GB") -> None:
        super().__init__(store, address)
        self._threads, self._memory_limit = threads, memory_limit
        self._lock = threading.Lock()
        self._state: tuple[tuple[int, int], LakeTables] | None = None

    @property
    def tables(self) -> LakeTables:
        """The tables of the present state of the lake and of the store's catalog."""
        with self._lock:
            manifest = read_manifest(self.place)
            state = manifest.number, self.store.generation
            if self._state is None or self._state[0] != state:
                tables = LakeTables(cast("Database", self.store), self.place, manifest, self._threads, self._memory_limit)
                for model in tables.models:
                    tables.show(model)
                self._state = state, tables
            return self._state[1]

    def close(self) -> None:
        """Close the tables if they are open."""
        if self._state is not None:
            self._state[1].close()

    def has_rows_of(self, model: str) -> bool:
        """Whether the lake has rows of a model."""
        return any(known.name == model for known in self.tables.models)

    def snapshot(self) -> AbstractContextManager[object]:
        """Within the context, answers come from one state of the store and of the lake."""
        return snapshot_cursor(cast("Database", self.tables))

    def ask(self, question: Question, window: Window) -> "DataFrame":
        """The answer to a question. It comes from the files of the lake if the question is about raw rows of a model that the lake has, and
        otherwise from the store.
        """
        if not isinstance(question, Aggregate | Sample) or not self.has_rows_of(window.model):
            return self.store.ask(question, window)
        tables = cast("Database", self.tables)
        if isinstance(question, Sample):
            return listing.answer_sample(tables, question, window)
        return aggregates.answer_aggregate(tables, question, window, source="raw")

    def row(
        self, model: str, id_: str, version: str | None = None, environment: str | None = None, *, day: date | None = None
    ) -> dict[str, Any]:
        """Everything that the lake has about one prediction, as `Store.row` gives it. Raises NotFoundError.

        day: the day of the prediction. If it is given, only the file of this day is read; otherwise one row group of every day is read.
        """
        tables = self.tables
        known = tables.catalog().model(model)
        files = tables.manifest.of_model(model, "predictions")
        chosen = files if day is None else [file for file in files if file.day == day.isoformat()]
        if not chosen:
            raise NotFoundError(f"prediction {id_!r} of {model} is not in the lake", where=str(tables.folder))
        labels = tables.rows_sql(known, "labels", tables.manifest.of_model(model, "labels"))
        sources = tables.rows_sql(known, "predictions", chosen), labels
        return listing.prediction_record(cast("Database", tables), model, id_, version, environment, sources=sources)

    def rollup_levels(self, model: Model, column: str, files: Sequence[LakeFile], streams: Sequence[int], limit: int) -> set[str | None]:
        """The levels of a column in some files."""
        tables = self.tables
        rows = f"FROM ({tables.rows_sql(model, 'predictions', files)}) WHERE {_of_streams(streams)}"
        found = tables.cursor().execute(f"SELECT DISTINCT {quoted_identifier(column)}::VARCHAR {rows} LIMIT {int(limit)}").fetchall()
        return {level for (level,) in found}

    def rollup_deltas(self, task: TaskModel, files: Sequence[LakeFile], labels: Sequence[LakeFile], streams: Sequence[int]) -> "pa.Table":
        """The rows that the predictions of some files add to the rollups. A few days are computed at a time, so that memory is bounded."""
        tables, pending, held = self.tables, list[pa.RecordBatch](), 0
        revisions = f"SELECT * FROM ({tables.rows_sql(task.model, 'labels', labels)}) WHERE {task.counted_label}"
        with ROLLING:
            for days in _days_together(files):
                rows = f"(SELECT * EXCLUDE (rowid) FROM ({tables.rows_sql(task.model, 'predictions', days)}) WHERE {_of_streams(streams)})"
                reader = tables.cursor().sql(_with_ladders(rows, revisions)).to_arrow_reader(REBUILD_ROWS)
                for deltas in rollup_batches(task, reader, self._threads):
                    pending.append(deltas)
                    held += deltas.num_rows
                    if held > ADDED_AT_ONCE:
                        pending = _added(pending).to_batches()
                        held = 0
            return _added(pending)


def _of_streams(streams: Sequence[int]) -> str:
    return f"list_contains({sorted(streams)}::SMALLINT[], stream)"


def _days_together(files: Sequence[LakeFile]) -> Iterator[list[LakeFile]]:
    """Groups of files with ROWS_TOGETHER rows or more (the last may have fewer). Labels are searched once per group."""
    group: list[LakeFile] = []
    for file in files:
        group.append(file)
        if sum(each.rows for each in group) >= ROWS_TOGETHER:
            yield group
            group = []
    if group:
        yield group


def _with_ladders(rows: str, labels: str) -> str:
    """SQL that selects predictions, each with all revisions of its label as a list."""
    revision = ", ".join(f"{quoted_identifier(name)} := {quoted_identifier(name)}" for name in LADDER[1:])
    return f"""SELECT p.*, l.{REVISIONS} FROM {rows} p LEFT JOIN (
        SELECT id, list(struct_pack({revision})) AS {REVISIONS} FROM ({labels}) WHERE id_hash IN (SELECT id_hash FROM {rows}) GROUP BY id
        ) l ON l.id = p.id"""


def _added(batches: Sequence["pa.RecordBatch"]) -> "pa.Table":
    """Changes of rollups, with the rows of equal keys summed into one."""
    schema = pa.schema([(name, ARROW_TYPES[kind]) for name, kind in DELTA_COLUMNS.items()])
    with duckdb.connect(config={"memory_limit": "1GB", "python_enable_replacements": False}) as connection:
        connection.register("deltas", pa.Table.from_batches(batches, schema))
        keys = ", ".join(("sums", *COUNT_KEYS))
        figures = ", ".join(f"{EXTREMES.get(name, 'sum')}({name}) AS {name}" for name in FIGURES)
        added = connection.sql(f"SELECT {keys}, sum(n)::BIGINT AS n, {figures} FROM deltas GROUP BY {keys}").to_arrow_table()
        return added.cast(schema)
