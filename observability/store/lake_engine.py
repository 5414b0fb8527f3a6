"""An `Engine` whose raw rows stand in a lake: DuckDB reads the Parquet files, by the queries that the store uses for its own tables.

What is not a question about raw rows (records, events, stored explanations, what the loader counted) the store answers. The store need not
hold the rows that the lake has.
"""

import threading
from contextlib import AbstractContextManager
from datetime import date
from typing import TYPE_CHECKING, Any, cast

from observability.core.errors import NotFoundError
from observability.core.questions import Aggregate, Question, Sample
from observability.core.window import Window
from observability.store.beside_store import EngineBesideStore
from observability.store.db.database import Database
from observability.store.engine import Store
from observability.store.lake.lake_tables import LakeTables
from observability.store.lake.manifest import read_manifest
from observability.store.query import aggregates, listing
from observability.store.query.source import snapshot_cursor

if TYPE_CHECKING:
    from pandas import DataFrame


class LakeEngine(EngineBesideStore):
    """Answers from the present state of a lake. Safe under threads.

    store: has the catalog, and answers what is not about raw rows.
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
        """Close what is open."""
        if self._state is not None:
            self._state[1].close()

    def has_rows_of(self, model: str) -> bool:
        """Whether the lake has rows of a model."""
        return any(known.name == model for known in self.tables.models)

    def snapshot(self) -> AbstractContextManager[object]:
        """Within the context, answers come from one state of the store and of the lake."""
        return snapshot_cursor(cast("Database", self.tables))

    def ask(self, question: Question, window: Window) -> "DataFrame":
        """The answer, from the files of the lake where it is about raw rows of a model that the lake has."""
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

        day: of the prediction, where it is known; its partition alone is read then. Without it one row group of every day is.
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
