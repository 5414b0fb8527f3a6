"""Present the tables of the models of a lake as a database in memory. Its tables are views of Parquet files, for the queries that the store
uses.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import duckdb

from observability.core.catalog import Catalog, Model
from observability.core.errors import UsageError
from observability.core.time import naive_utc
from observability.lake.file_place import FilePlace
from observability.store.db.database import Database
from observability.store.db.expressions import sql_literal
from observability.store.db.results import Cursor
from observability.store.db.schema import COLUMN_TYPES, LABEL_COLUMNS, MODEL_TABLES, PREDICTION_COLUMNS, create_table_sql, model_table
from observability.store.lake.manifest import COUNTED_BY, TABLES, LakeFile, LakeManifest, LakeTable

HELD_LABELS = 2_000_000
"""Maximum number of labels that are held in memory, of all models together. Otherwise every question about outcomes reads all labels of a
model, from one file per day.
"""


class LakeTables:
    """The tables of the models of a lake as a database in memory, whose tables are views of the files of one state of the lake.

    It has the members of `Database` that the query modules use: `cursor`, `catalog`, `model_commit`, `counted_models`.
    """

    def __init__(self, store: Database, place: FilePlace, manifest: LakeManifest, threads: int, memory_limit: str) -> None:
        if place.folder is None:
            raise UsageError("DuckDB reads a lake in a folder", got=place.address, attempt="Use Spark for a lake in a bucket")
        self.store, self.folder, self.manifest = store, place.folder, manifest
        self.counted_models: dict[tuple[str, str], tuple[int, Any]] = {}
        self._connection = duckdb.connect(config={"threads": threads, "memory_limit": memory_limit, "python_enable_replacements": False})
        quoted = str(place.folder).replace("'", "''")
        for statement in (
            "SET GLOBAL TimeZone = 'UTC'",
            "SET parquet_metadata_cache = true",
            f"SET allowed_directories = ['{quoted}/']",
            "SET enable_external_access = false",
        ):
            self._connection.execute(statement)
        self._catalog = store.catalog()
        self._connection.execute("CREATE TABLE streams (key INTEGER, stream SMALLINT, version VARCHAR, environment VARCHAR)")
        self._connection.execute("CREATE TABLE rollups (key INTEGER, merged_rows BIGINT, compacted_before INTEGER)")
        self._shown: dict[int, object] = {}
        """The contents of the views of a model, by its key."""
        self._held: dict[int, int] = {}
        """The number of labels in memory, by the key of their model."""

    @property
    def models(self) -> list[Model]:
        """The models whose rows the lake has."""
        names = {file.model for file in self.manifest.files}
        return [model for model in self._catalog.models if model.name in names]

    def catalog(self) -> Catalog:
        """The catalog of the store as it was when the views were made, with the present settings."""
        return self._catalog

    def cursor(self) -> Cursor:
        """A new connection for one thread."""
        return self._connection.cursor()

    def cursor_within(self, model: Model, shown: Sequence[LakeFile], span: tuple[datetime, datetime] | None) -> Cursor:
        """A new connection for one thread. It reads the predictions of a model only from files that may hold rows of a span (None: from all
        files), so that a question about a week opens the files of a week. shown: the files that `show` was given.
        """
        cursor, files = self.cursor(), [file for file in shown if file.table == "predictions"]
        first, last = (naive_utc(instant).date().isoformat() for instant in span) if span else ("", "9999")
        within = [file for file in files if first <= file.day <= last]
        if len(within) < len(files):
            name = model_table("predictions", model.key)
            cursor.execute(f"CREATE OR REPLACE TEMP VIEW {name} AS {self.rows_sql(model, 'predictions', within)}")
        return cursor

    def model_commit(self, model: str) -> int:
        """The number of the lake's state, for every model."""
        del model
        return self.manifest.number

    def close(self) -> None:
        """Close the database in memory."""
        self._connection.close()

    def show(self, model: Model, chosen: Sequence[LakeFile] | None = None) -> None:
        """Make the tables of a model; a further call does nothing unless the model's columns or files have changed. chosen: the files; None
        for all.
        """
        files = {
            table: self.manifest.of_model(model.name, table) if chosen is None else [file for file in chosen if file.table == table]
            for table in TABLES
        }
        state = model.columns, *map(tuple, files.values())
        if self._shown.get(model.key) == state:
            return
        with self.store.cursor() as cursor:
            streams = cursor.execute("SELECT key, stream, version, environment FROM streams WHERE key = ?", [model.key]).fetchall()
        self._connection.execute("DELETE FROM streams WHERE key = ?", [model.key])
        if streams:
            self._connection.executemany("INSERT INTO streams VALUES (?, ?, ?, ?)", streams)
        for table, columns in MODEL_TABLES.items():
            name = model_table(table, model.key)
            if table in TABLES:
                rows = self._labels_sql(model, files[table]) if table == "labels" else self.rows_sql(model, table, files[table])
                self._connection.execute(f"CREATE OR REPLACE VIEW {name} AS {rows}")
            else:
                self._connection.execute(f"DROP TABLE IF EXISTS {name}")
                self._connection.execute(create_table_sql(name, columns))
        self._shown[model.key] = state

    def _labels_sql(self, model: Model, files: Sequence[LakeFile]) -> str:
        """A query for the labels of some files. If there are few labels, they are put into a table in memory, and the query reads this
        table.
        """
        rows, others = sum(file.rows for file in files), sum(count for key, count in self._held.items() if key != model.key)
        query, table = self.rows_sql(model, "labels", files), f"held_labels_{model.key}"
        if not files or rows + others > HELD_LABELS:
            self._held.pop(model.key, None)
            return query
        self._connection.execute(f"CREATE OR REPLACE TABLE {table} AS SELECT * EXCLUDE (rowid) FROM ({query})")
        self._held[model.key] = rows
        return f"SELECT rowid, * FROM {table}"

    def removed_rows(self, model: Model, span: tuple[datetime, datetime] | None = None) -> None:
        """None, because these tables are the lake itself and no rows were removed from them."""
        del model, span

    def rows_sql(self, model: Model, table: LakeTable, files: Sequence[LakeFile]) -> str:
        """The rows of some files as a query, with the columns and types of the store's table and a `rowid`."""
        wanted = {**PREDICTION_COLUMNS, **{column.column: COLUMN_TYPES[column.kind] for column in model.columns}}
        if table == "labels":
            wanted = {**LABEL_COLUMNS, COUNTED_BY: "VARCHAR"}
        if not files:
            nothing = ", ".join(_typed_column(name, kind, None) for name, kind in wanted.items())
            return f"SELECT NULL::BIGINT AS rowid, {nothing} WHERE false"
        paths = ", ".join(sql_literal(str(self.folder / file.name)) for file in files)
        source = f"read_parquet([{paths}], union_by_name = true, hive_partitioning = false)"
        types = {name: kind for name, kind, *_ in self._connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()}
        picked = ", ".join(_typed_column(name, kind, types.get(name)) for name, kind in wanted.items())
        return f"SELECT file_index::BIGINT * 4294967296 + file_row_number AS rowid, {picked} FROM {source}"


def _typed_column(name: str, kind: str, held: str | None) -> str:
    if held is None:
        return f'NULL::{kind} AS "{name}"'
    return f'"{name}"' if held == kind else f'"{name}"::{kind} AS "{name}"'
