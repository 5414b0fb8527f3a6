"""Columns of the tables that the parser returns."""

import pyarrow as pa

from observability.core.catalog import Kind
from observability.records.kinds import KINDS

TIME, TEXT, NUMBER = pa.timestamp("us"), pa.string(), pa.float64()
REFERENCES = pa.list_(pa.string())

PREDICTION: dict[str, pa.DataType] = {
    "line": pa.int64(),
    "id": TEXT,
    "version": TEXT,
    "environment": TEXT,
    "at": TIME,
    "received_at": TIME,
    "status": TEXT,
    "score": NUMBER,
    "probabilities": TEXT,
    "prediction": TEXT,
    "threshold": NUMBER,
    "latency_ms": NUMBER,
    "energy_j": NUMBER,
    "cost": NUMBER,
    "weight": NUMBER,
    "base_value": TEXT,
    "subject": TEXT,
    "device": TEXT,
    "replica": TEXT,
    "batch": TEXT,
    "acted_at": TIME,
    "feature_at": TEXT,
    "attributions": TEXT,
    "attributions_link": TEXT,
    "absent": REFERENCES,
    "wrong": REFERENCES,
    "extra": TEXT,
}
LABEL: dict[str, pa.DataType] = {
    "line": pa.int64(),
    "id": TEXT,
    "at": TIME,
    "received_at": TIME,
    "value": TEXT,
    "number": NUMBER,
    "source": TEXT,
    "annotator": TEXT,
    "guideline": TEXT,
    "extra": TEXT,
    "inline": pa.bool_(),
}
REJECTED: dict[str, pa.DataType] = {"line": pa.int64(), "raw": TEXT, "reason": TEXT, "message": TEXT, "kind": TEXT, "model": TEXT}
COLUMN: dict[Kind, pa.DataType] = {"number": NUMBER, "category": TEXT, "boolean": pa.bool_()}
_SIMPLE = {"number": NUMBER, "integer": pa.int64(), "time": TIME, "boolean": pa.bool_()}


def other_columns(kind: str) -> dict[str, pa.DataType]:
    """Columns of the table of another kind: objects and lists are JSON text, scalars canonical text."""
    fields = {field.name: _SIMPLE.get(field.type, TEXT) for field in KINDS[kind].fields.values()}
    return {"line": pa.int64(), **fields, "extra": TEXT}


def table_from_rows(columns: dict[str, pa.DataType], rows: list[tuple[object, ...]]) -> pa.Table:
    """Rows as a table with these columns."""
    values = list(zip(*rows, strict=True)) or [()] * len(columns)
    arrays = [pa.array(column, kind) for column, kind in zip(values, columns.values(), strict=True)]
    return pa.Table.from_arrays(arrays, names=list(columns))
