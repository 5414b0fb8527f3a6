"""Find incoming rows that are already stored, and incoming rows that contradict stored ones.

Ids of predictions are unique within a stream (a model's version in an environment) over its whole history: a challenger in the shadow may
answer under the same id as production. Stored rows are found by a 64-bit hash of the id, which is fast to scan; only rows of the same
stream and id are compared, field by field. Repetitions within a block are found in the same way.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from observability.core.catalog import Model
from observability.core.view_names import quoted_identifier
from observability.store.db.results import arrow_result
from observability.store.db.schema import LABEL_COLUMNS, PREDICTION_COLUMNS, model_table
from observability.store.ingest.stage import stored_columns

Cursor = duckdb.DuckDBPyConnection
Lines = NDArray[np.int64]

NOT_COMPARED = {"id", "id_hash", "sample_hash", "arrived", "decision", "absent", "wrong", "extra"}
"""Columns that are not part of the logged content: derived ones, the time of arrival, and unknown fields."""
EXTRA = "extra"
"""The column of unknown fields. Only the exact numbers of rounded columns in it are compared."""
JSON_COLUMNS = [name for name, kind in PREDICTION_COLUMNS.items() if kind == "JSON" and name not in NOT_COMPARED]
LABEL_KEY = [name for name in LABEL_COLUMNS if name not in {"id_hash", "arrived", "number", "extra"}]
"""Labels that are equal in these columns are the same label."""
NOTHING: Lines = np.empty(0, np.int64)


@dataclass(frozen=True)
class StoredRows:
    """Stored rows with the ids of a block. predictions: `rowid`, `id_hash`. labels: all columns of the labels table."""

    predictions: pa.Table
    labels: pa.Table


def stored_rows(writer: Cursor, model: Model, hashes: pa.ChunkedArray) -> StoredRows:
    """Rows of a model whose id has one of these hashes."""
    predictions, labels = model_table("predictions", model.key), model_table("labels", model.key)
    writer.register("touched", pa.table({"id_hash": hashes}))
    found = arrow_result(writer, f"SELECT rowid AS stored, id_hash FROM {predictions} WHERE id_hash IN (FROM touched)")
    rows = arrow_result(writer, f"SELECT rowid AS stored FROM {labels} WHERE id_hash IN (FROM touched)")
    writer.unregister("touched")
    return StoredRows(found, rows_by_rowid(writer, labels, list(LABEL_COLUMNS), rows["stored"]))


def rows_by_rowid(writer: Cursor, table: str, columns: list[str], rowids: pa.ChunkedArray) -> pa.Table:
    """The rows of a table with these row ids."""
    names = ", ".join(map(quoted_identifier, columns))
    if not len(rowids):
        return arrow_result(writer, f"SELECT {names} FROM {table} LIMIT 0")
    ends = pc.min_max(rowids).as_py()
    writer.register("wanted_rows", pa.table({"stored": rowids}))
    rows = arrow_result(
        writer,
        f"SELECT {names} FROM {table} WHERE rowid BETWEEN {ends['min']} AND {ends['max']} AND rowid IN (SELECT stored FROM wanted_rows)",
    )
    writer.unregister("wanted_rows")
    return rows


def repeated_predictions(writer: Cursor, model: Model, incoming: pa.Table, stored: StoredRows) -> tuple[Lines, Lines]:
    """Two arrays: the lines that repeat a stored prediction, and the lines whose id belongs to another prediction of the same version and
    environment.
    """
    same, other = [NOTHING], [NOTHING]
    table, line = model_table("predictions", model.key), incoming["line"].to_numpy()
    answered = NOTHING
    if stored.predictions.num_rows:
        hits = pc.is_in(incoming["id_hash"], value_set=stored.predictions["id_hash"].combine_chunks())
        if pc.any(hits).as_py():
            ends = pc.min_max(stored.predictions["stored"]).as_py()
            writer.register("stored_ids", stored.predictions)
            source = f"""incoming_rows i JOIN stored_ids k ON k.id_hash = i.id_hash
                JOIN {table} s ON s.rowid = k.stored AND s.rowid BETWEEN {ends["min"]} AND {ends["max"]} AND s.id = i.id
                    AND s.stream = i.stream"""
            answered = _compare_pairs(writer, model, incoming.filter(hits), source, same, other)
            writer.unregister("stored_ids")
    if pc.count_distinct(incoming["id"]).as_py() < incoming.num_rows:
        rest = incoming.filter(pa.array(~np.isin(line, answered))) if answered.size else incoming
        source = """(SELECT *, min(line) OVER (PARTITION BY id, stream) AS first_line FROM incoming_rows) i
            JOIN incoming_rows s ON s.line = i.first_line AND i.line <> i.first_line"""
        _compare_pairs(writer, model, rest, source, same, other)
    return np.concatenate(same), np.concatenate(other)


def _compare_pairs(writer: Cursor, model: Model, incoming: pa.Table, source: str, same: list[Lines], other: list[Lines]) -> Lines:
    """Compare pairs of an incoming row (i) and a stored row (s), and append their line numbers to `same` or `other`; return the numbers of
    all lines that had a pair.
    """
    plain = [name for name in stored_columns(model) if name not in NOT_COMPARED and name not in JSON_COLUMNS]
    equal = " AND ".join(f"i.{quoted_identifier(name)} IS NOT DISTINCT FROM s.{quoted_identifier(name)}" for name in plain)
    texts = " AND ".join(
        f"i.{quoted_identifier(name)}::VARCHAR IS NOT DISTINCT FROM s.{quoted_identifier(name)}::VARCHAR" for name in (*JSON_COLUMNS, EXTRA)
    )
    writer.register("incoming_rows", incoming)
    found = writer.execute(f"SELECT i.line AS line, {equal} AS equal, {texts} AS texts FROM {source}").fetchnumpy()
    line, is_equal = np.asarray(found["line"], np.int64), np.asarray(found["equal"], bool)
    open_questions = is_equal & ~np.asarray(found["texts"], bool)
    if open_questions.any():
        objects = ", ".join(
            f"i.{quoted_identifier(name)}::VARCHAR, s.{quoted_identifier(name)}::VARCHAR" for name in (*JSON_COLUMNS, EXTRA)
        )
        writer.register("open_lines", pa.table({"line": line[open_questions]}))
        pairs = writer.execute(f"SELECT i.line, {objects} FROM {source} WHERE i.line IN (FROM open_lines)").fetchall()
        writer.unregister("open_lines")
        wrong = [
            row[0]
            for row in pairs
            if not all(_equal_json(a, b) for a, b in zip(row[1:-2:2], row[2:-2:2], strict=True)) or not _has_exact_numbers(*row[-2:])
        ]
        is_equal &= ~np.isin(line, wrong)
    writer.unregister("incoming_rows")
    same.append(line[is_equal])
    other.append(line[~is_equal])
    return line


def _equal_json(one: str | None, other: str | None) -> bool:
    """Whether two JSON texts have the same content, regardless of key order."""
    if one is None or other is None:
        return one is other
    return bool(json.loads(one) == json.loads(other))


def _has_exact_numbers(one: str | None, stored: str | None) -> bool:
    """Whether the `extra` of an incoming row has every whole number that the stored row keeps there because its column rounds the number.

    A number that only the incoming row has is no difference: rows stored before 0.36 do not keep such numbers.
    """
    for part in ("features", "groups"):
        given, kept = ((json.loads(text or "{}") or {}).get(part) for text in (one, stored))
        for name, number in kept.items() if isinstance(kept, dict) else ():
            if isinstance(number, int) and (not isinstance(given, dict) or given.get(name) != number):
                return False
    return True


def new_labels(writer: Cursor, parts: Sequence[tuple[pa.Table | None, pa.Table]]) -> list[pa.Table | None]:
    """The incoming labels of several models that are neither stored nor repeat an earlier line of the block. All models take one
    statement.

    parts: for each model, the incoming labels (or None) and the stored labels of their ids.
    """
    held = [(place, incoming, stored) for place, (incoming, stored) in enumerate(parts) if incoming is not None and incoming.num_rows]
    found = [incoming for incoming, _ in parts]
    if not held:
        return found
    incoming = pa.concat_tables([_of_owner(place, table) for place, table, _ in held])
    stored = pa.concat_tables([_of_owner(place, table) for place, _, table in held])
    kept = _new_labels(writer, incoming, stored)
    owners = kept["owner"].to_numpy()
    for place, _, _ in held:
        found[place] = (kept if len(held) == 1 else kept.filter(pa.array(owners == place))).drop_columns(["owner"])
    return found


def _of_owner(place: int, table: pa.Table) -> pa.Table:
    """The table with a further column that holds the owner of its rows."""
    return table.append_column("owner", pa.array(np.full(table.num_rows, place, np.int32)))


def _new_labels(writer: Cursor, incoming: pa.Table, stored: pa.Table) -> pa.Table:
    """The incoming labels that are not stored yet, each once. The column `owner` separates the labels of different models."""
    key = ", ".join(map(quoted_identifier, ("owner", *LABEL_KEY)))
    same = " AND ".join(
        f"s.{quoted_identifier(name)} IS NOT DISTINCT FROM i.{quoted_identifier(name)}" for name in LABEL_KEY if name != "id"
    )
    writer.register("incoming_labels", incoming)
    writer.register("stored_labels", stored)
    unknown = f"WHERE NOT EXISTS (FROM stored_labels s WHERE s.id = i.id AND s.owner = i.owner AND {same})" if stored.num_rows else ""
    kept = arrow_result(
        writer, f"SELECT * FROM incoming_labels i {unknown} QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY line) = 1"
    )
    writer.unregister("incoming_labels")
    writer.unregister("stored_labels")
    return kept


def new_records(writer: Cursor, table: str, incoming: pa.Table) -> pa.Table:
    """The incoming records of another kind whose content is not stored, the first of each content."""
    writer.register("incoming_records", incoming)
    kept = arrow_result(
        writer,
        f"""SELECT * FROM incoming_records i WHERE content_hash NOT IN (
            SELECT content_hash FROM {table} WHERE content_hash IN (SELECT content_hash FROM incoming_records))
        QUALIFY row_number() OVER (PARTITION BY content_hash ORDER BY line) = 1""",
    )
    writer.unregister("incoming_records")
    return kept
