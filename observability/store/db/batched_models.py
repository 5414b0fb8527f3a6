"""Treat many small unregistered models as one model, so that loading runs its statements once per block and not once per model.

The model of a batch has the key BATCH_KEY. Each of its streams stands for a stream of one member. Each of its columns stands for the
members' columns of one number and kind. An id begins with the key of its member. `predictions_0` and `labels_0` are temporary views that
show the stored rows of the members in this form; `insert_batched_rows` and `insert_sql` (shared_tables.py) convert new rows and counts
back.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from observability.core.catalog import Column, Kind, Model
from observability.core.view_names import quoted_identifier
from observability.store.db.results import Cursor
from observability.store.db.schema import COLUMN_TYPES, LABEL_COLUMNS, PREDICTION_COLUMNS, model_table
from observability.store.db.shared_tables import BATCH_COLUMNS, BATCH_KEY, BATCH_STREAMS, own_id_sql, own_key_sql, shared_table

MAX_COLUMNS = 100
"""The most columns of a model in a batch. Loading a wider model is expensive in any case."""
MAX_STREAMS = 20_000
"""Maximum number of streams of one batch; the numbers of streams are 16 bits wide."""
INCOMING = "batch_incoming"


@dataclass(frozen=True)
class ModelBatch:
    """model: the model of the batch. names: name of the member that each stream of the batch belongs to. streams: number of a stream of the
    batch, by the member's key, version and environment. measures: number of a column of the batch, by the number and kind of the member's
    column.
    """

    model: Model
    names: NDArray[np.object_]
    streams: Mapping[tuple[int, str, str], int]
    measures: Mapping[tuple[int, Kind], int]
    members: Mapping[int, Model]

    def references(self, member: Model) -> dict[str, str]:
        """For the reference of each column of a member, the reference of the batch's column that holds it."""
        return {column.reference: f"feature.{self.measures[column.id, column.kind]}" for column in member.columns}


def may_be_batched(model: Model) -> bool:
    """Whether a model shares tables and differs from others only in its name, versions and columns."""
    plain = model.shared and model.task is None and model.rows_from is None and len(model.columns) <= MAX_COLUMNS
    return (
        plain and not any(version.registered or version.edges for version in model.versions) and not any(c.sensitive for c in model.columns)
    )


def start_batch(writer: Cursor, members: Sequence[Model], pairs: Iterable[tuple[int, str, str]]) -> ModelBatch:
    """Make a batch of these models. Its temporary tables and views exist until `end_batch`. pairs: key, version and environment of the new
    rows; missing streams and versions are created.
    """
    keys = [model.key for model in members]
    stored = _ensure_streams(writer, keys, pairs)
    numbers = sorted({(column.id, column.kind) for model in members for column in model.columns})
    measures = {each: place for place, each in enumerate(numbers, start=1)}
    by_key = {model.key: model for model in members}
    streams = {each: place for place, each in enumerate(stored)}
    names = np.array([by_key[key].name for key, _, _ in stored], object)
    columns = tuple(Column(place, str(place), f"c{place}", kind, "feature", False) for (_, kind), place in measures.items())
    batch = ModelBatch(Model(BATCH_KEY, "", columns=columns, shared=True), names, streams, measures, by_key)
    own = {key: [(column.id, measures[column.id, column.kind]) for column in model.columns] for key, model in by_key.items()}
    _create_table(
        writer,
        BATCH_STREAMS,
        {
            "place": pa.array(range(len(stored)), pa.int16()),
            "key": pa.array([key for key, _, _ in stored], pa.int32()),
            "stream": pa.array(stored.values(), pa.int16()),
            "width": pa.array([max((number for number, _ in own[key]), default=0) for key, _, _ in stored], pa.int32()),
            "measures": pa.array([[measure for _, measure in own[key]] for key, _, _ in stored], pa.list_(pa.int16())),
        },
    )
    flat = [(place, measure, number) for place, (key, _, _) in enumerate(stored) for number, measure in own[key]]
    places, of_batch, of_member = zip(*flat, strict=True) if flat else ((), (), ())
    _create_table(
        writer,
        BATCH_COLUMNS,
        {"place": pa.array(places, pa.int16()), "measure": pa.array(of_batch, pa.int16()), "number": pa.array(of_member, pa.int16())},
    )
    _create_views(writer, batch, keys)
    return batch


def end_batch(writer: Cursor) -> None:
    """Drop what `start_batch` created for the session."""
    for table in ("predictions", "labels"):
        writer.execute(f"DROP VIEW IF EXISTS {model_table(table, BATCH_KEY)}")
    for table in (BATCH_STREAMS, BATCH_COLUMNS):
        writer.execute(f"DROP TABLE IF EXISTS temp.{table}")


def insert_batched_rows(writer: Cursor, batch: ModelBatch, table: str, rows: pa.Table) -> None:
    """Append staged rows of a batch to the shared predictions or labels."""
    if not rows.num_rows:
        return
    own = PREDICTION_COLUMNS if table == "predictions" else LABEL_COLUMNS
    values = {name: f"i.{quoted_identifier(name)}" for name in own} | {"id": own_id_sql("i.id")}
    if table == "predictions":
        by_number: dict[int, list[str]] = {}
        for (number, _), measure in batch.measures.items():
            by_number.setdefault(number, []).append(f"i.c{measure}::VARCHAR")
        texts = (f"coalesce({', '.join(by_number[n])})" if n in by_number else "NULL" for n in range(1, max(by_number, default=0) + 1))
        numbers = ", ".join(str(number) for number, _ in batch.measures)
        values |= {
            "stream": "s.stream",
            "wrong": f"list_transform(i.wrong, lambda m: ([{numbers}]::USMALLINT[])[m])" if numbers else "NULL",
        }
        tail, source = (
            f"list_slice([{', '.join(texts)}]::VARCHAR[], 1, s.width), s.key",
            f"{INCOMING} i JOIN {BATCH_STREAMS} s ON s.place = i.stream",
        )
    else:
        tail, source = own_key_sql("i.id"), f"{INCOMING} i"
    writer.register(INCOMING, rows.select([*own, *(column.column for column in batch.model.columns)] if table == "predictions" else [*own]))
    writer.execute(f"INSERT INTO {shared_table(table)} SELECT {', '.join(values.values())}, {tail} FROM {source}")
    writer.unregister(INCOMING)


def _create_views(writer: Cursor, batch: ModelBatch, keys: Sequence[int]) -> None:
    """Create the views that show the stored rows of the members as rows of the batch."""
    place = {"id": f"{composite_id_sql('p.key', 'p.id')}", "stream": "s.place"}
    picked = [f"{place.get(name, f'p.{quoted_identifier(name)}')} AS {quoted_identifier(name)}" for name in PREDICTION_COLUMNS]
    for (number, kind), measure in batch.measures.items():
        value = f"TRY_CAST(p.features[{number}] AS {COLUMN_TYPES[kind]})"
        picked.append(f"CASE WHEN list_contains(s.measures, {measure}) THEN {value} END AS c{measure}")
    writer.execute(
        f"""CREATE OR REPLACE TEMP VIEW {model_table("predictions", BATCH_KEY)} AS SELECT p.rowid, {", ".join(picked)}
        FROM {shared_table("predictions")} p JOIN {BATCH_STREAMS} s ON s.key = p.key AND s.stream = p.stream"""
    )
    own = ", ".join(
        f"{place['id'] if name == 'id' else f'p.{quoted_identifier(name)}'} AS {quoted_identifier(name)}" for name in LABEL_COLUMNS
    )
    writer.execute(
        f"""CREATE OR REPLACE TEMP VIEW {model_table("labels", BATCH_KEY)} AS SELECT p.rowid, {own}
        FROM {shared_table("labels")} p WHERE p.key IN ({", ".join(map(str, keys))})"""
    )


def composite_id_sql(key: str, id_: str) -> str:
    """An id in the batch: the key of the member, a slash and the member's own id."""
    return f"({key}::VARCHAR || '/' || {id_})"


def _create_table(writer: Cursor, name: str, columns: Mapping[str, pa.Array]) -> None:
    """Create a temporary table from arrays."""
    writer.register(INCOMING, pa.table(dict(columns)))
    writer.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS FROM {INCOMING}")
    writer.unregister(INCOMING)


def _ensure_streams(writer: Cursor, keys: Sequence[int], pairs: Iterable[tuple[int, str, str]]) -> dict[tuple[int, str, str], int]:
    """Create the missing streams of these models; returns the number of every stream by key, version and environment."""
    known: dict[int, dict[tuple[str, str], int]] = {key: {} for key in keys}
    for key, version, environment, stream in writer.execute(
        "SELECT key, version, environment, stream FROM streams WHERE list_contains(?, key) ORDER BY key, stream", [[*keys]]
    ).fetchall():
        known[key][version, environment] = stream
    versions = set(writer.execute("SELECT key, version FROM versions WHERE list_contains(?, key)", [[*keys]]).fetchall())
    added, seen = [], []
    for key, version, environment in sorted(set(pairs)):
        if (version, environment) not in known[key]:
            number = max(known[key].values(), default=-1) + 1
            known[key][version, environment] = number
            added.append((key, number, version, environment))
            if (key, version) not in versions:
                versions.add((key, version))
                seen.append((key, version))
    if added:
        own, numbers, names, environments = zip(*added, strict=True)
        writer.register(INCOMING, pa.table({"key": own, "stream": numbers, "version": names, "environment": environments}))
        writer.execute(f"INSERT INTO streams SELECT key, stream, version, environment FROM {INCOMING}")
        writer.unregister(INCOMING)
    if seen:
        own, names = zip(*seen, strict=True)
        writer.register(INCOMING, pa.table({"key": own, "version": names}))
        writer.execute(f"INSERT INTO versions SELECT key, version, NULL, '[]', 0, false, NULL, '[]' FROM {INCOMING}")
        writer.unregister(INCOMING)
    return {(key, *pair): stream for key, own in known.items() for pair, stream in own.items()}
