"""Which incoming rows are there already, and which contradict what is there?

Ids of predictions are unique within a model over all of its history. Stored rows are found by a 64-bit hash of the id, which is scanned fast;
only what has an equal hash is compared, field by field. A row that repeats another one of the same block is found in the same way.
"""

import json
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from observability.core.catalog import Model
from observability.store.db.results import arrow
from observability.store.db.schema import LABEL_COLUMNS, PREDICTION_COLUMNS, model_table, quoted
from observability.store.ingest.stage import stored_columns

Cursor = duckdb.DuckDBPyConnection
Lines = NDArray[np.int64]

NOT_COMPARED = {"id", "id_hash", "sample_hash", "arrived", "decision", "absent", "wrong", "extra"}
"""Columns that say nothing about what was logged: derived ones, the time of arrival, and fields that no kind knows."""
JSON_COLUMNS = [name for name, kind in PREDICTION_COLUMNS.items() if kind == "JSON" and name not in NOT_COMPARED]
LABEL_KEY = [name for name in LABEL_COLUMNS if name not in {"id_hash", "arrived", "number", "extra"}]
"""Labels that are equal in these are one label."""
NOTHING: Lines = np.empty(0, np.int64)


@dataclass(frozen=True)
class Stored:
    """What is stored of the ids of a block. predictions: `rowid`, `id_hash`. labels: all columns of the labels table."""

    predictions: pa.Table
    labels: pa.Table


def stored_of(writer: Cursor, model: Model, hashes: pa.ChunkedArray) -> Stored:
    """Rows of a model whose id has one of these hashes."""
    predictions, labels = model_table("predictions", model.key), model_table("labels", model.key)
    writer.register("touched", pa.table({"id_hash": hashes}))
    found = arrow(writer, f"SELECT rowid AS stored, id_hash FROM {predictions} WHERE id_hash IN (FROM touched)")
    rows = arrow(writer, f"SELECT rowid AS stored FROM {labels} WHERE id_hash IN (FROM touched)")
    writer.unregister("touched")
    return Stored(found, fetched(writer, labels, list(LABEL_COLUMNS), rows["stored"]))


def fetched(writer: Cursor, table: str, columns: list[str], rowids: pa.ChunkedArray) -> pa.Table:
    """The rows of a table with these row ids."""
    names = ", ".join(map(quoted, columns))
    if not len(rowids):
        return arrow(writer, f"SELECT {names} FROM {table} LIMIT 0")
    ends = pc.min_max(rowids).as_py()
    writer.register("wanted_rows", pa.table({"stored": rowids}))
    rows = arrow(
        writer,
        f"SELECT {names} FROM {table} WHERE rowid BETWEEN {ends['min']} AND {ends['max']} AND rowid IN (SELECT stored FROM wanted_rows)",
    )
    writer.unregister("wanted_rows")
    return rows


def repeated_predictions(writer: Cursor, model: Model, incoming: pa.Table, stored: Stored) -> tuple[Lines, Lines]:
    """Lines that repeat a prediction with the same content, and lines whose id is taken by a prediction with other content."""
    same, other = [NOTHING], [NOTHING]
    table, line = model_table("predictions", model.key), incoming["line"].to_numpy()
    answered = NOTHING
    if stored.predictions.num_rows:
        hits = pc.is_in(incoming["id_hash"], value_set=stored.predictions["id_hash"].combine_chunks())
        if pc.any(hits).as_py():
            ends = pc.min_max(stored.predictions["stored"]).as_py()
            writer.register("stored_ids", stored.predictions)
            source = f"""incoming_rows i JOIN stored_ids k ON k.id_hash = i.id_hash
                JOIN {table} s ON s.rowid = k.stored AND s.rowid BETWEEN {ends["min"]} AND {ends["max"]} AND s.id = i.id"""
            answered = verdicts(writer, model, incoming.filter(hits), source, same, other)
            writer.unregister("stored_ids")
    if pc.count_distinct(incoming["id"]).as_py() < incoming.num_rows:
        rest = incoming.filter(pa.array(~np.isin(line, answered))) if answered.size else incoming
        source = """(SELECT *, min(line) OVER (PARTITION BY id) AS first_line FROM incoming_rows) i
            JOIN incoming_rows s ON s.line = i.first_line AND i.line <> i.first_line"""
        verdicts(writer, model, rest, source, same, other)
    return np.concatenate(same), np.concatenate(other)


def verdicts(writer: Cursor, model: Model, incoming: pa.Table, source: str, same: list[Lines], other: list[Lines]) -> Lines:
    """Compares pairs (i incoming, s stored) and adds their lines to `same` or `other`; gives all lines that had a pair."""
    plain = [name for name in stored_columns(model) if name not in NOT_COMPARED and name not in JSON_COLUMNS]
    equal = " AND ".join(f"i.{quoted(name)} IS NOT DISTINCT FROM s.{quoted(name)}" for name in plain)
    texts = " AND ".join(f"i.{quoted(name)}::VARCHAR IS NOT DISTINCT FROM s.{quoted(name)}::VARCHAR" for name in JSON_COLUMNS)
    writer.register("incoming_rows", incoming)
    found = writer.execute(f"SELECT i.line AS line, {equal} AS equal, {texts} AS texts FROM {source}").fetchnumpy()
    line, is_equal = np.asarray(found["line"], np.int64), np.asarray(found["equal"], bool)
    open_questions = is_equal & ~np.asarray(found["texts"], bool)
    if open_questions.any():
        objects = ", ".join(f"i.{quoted(name)}::VARCHAR, s.{quoted(name)}::VARCHAR" for name in JSON_COLUMNS)
        writer.register("open_lines", pa.table({"line": line[open_questions]}))
        pairs = writer.execute(f"SELECT i.line, {objects} FROM {source} WHERE i.line IN (FROM open_lines)").fetchall()
        writer.unregister("open_lines")
        wrong = [row[0] for row in pairs if not all(equal_json(a, b) for a, b in zip(row[1::2], row[2::2], strict=True))]
        is_equal &= ~np.isin(line, wrong)
    writer.unregister("incoming_rows")
    same.append(line[is_equal])
    other.append(line[~is_equal])
    return line


def equal_json(one: str | None, other: str | None) -> bool:
    """Whether two JSON texts say the same, whatever the order of keys."""
    if one is None or other is None:
        return one is other
    return bool(json.loads(one) == json.loads(other))


def new_labels(writer: Cursor, incoming: pa.Table, stored: pa.Table) -> pa.Table:
    """The incoming labels that are neither stored nor a repetition of an earlier line of the block."""
    if not incoming.num_rows:
        return incoming
    key = ", ".join(map(quoted, LABEL_KEY))
    same = " AND ".join(f"s.{quoted(name)} IS NOT DISTINCT FROM i.{quoted(name)}" for name in LABEL_KEY if name != "id")
    writer.register("incoming_labels", incoming)
    writer.register("stored_labels", stored)
    unknown = f"WHERE NOT EXISTS (FROM stored_labels s WHERE s.id = i.id AND {same})" if stored.num_rows else ""
    kept = arrow(writer, f"SELECT * FROM incoming_labels i {unknown} QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY line) = 1")
    writer.unregister("incoming_labels")
    writer.unregister("stored_labels")
    return kept


def new_records(writer: Cursor, table: str, incoming: pa.Table) -> pa.Table:
    """The incoming records of another kind whose content is not stored, the first of each content."""
    writer.register("incoming_records", incoming)
    kept = arrow(
        writer,
        f"""SELECT * FROM incoming_records i WHERE content_hash NOT IN (
            SELECT content_hash FROM {table} WHERE content_hash IN (SELECT content_hash FROM incoming_records))
        QUALIFY row_number() OVER (PARTITION BY content_hash ORDER BY line) = 1""",
    )
    writer.unregister("incoming_records")
    return kept
