"""Columns of the tables that the parser returns."""

import pyarrow as pa

from observability.core.catalog import Kind
from observability.records.kinds import KINDS

TIME, TEXT, NUMBER = pa.timestamp("us"), pa.string(), pa.float64()
REFERENCES = pa.list_(pa.string())
_TYPES = {"text": TEXT, "number": NUMBER, "integer": pa.int64(), "time": TIME, "boolean": pa.bool_(), "references": REFERENCES}


def _columns(declaration: str) -> dict[str, pa.DataType]:
    """Arrow type by column, from `name type, name type, …`."""
    return {name: _TYPES[kind] for name, kind in (column.split(" ") for column in declaration.split(", "))}


PREDICTION = _columns(
    "line integer, id text, version text, environment text, at time, received_at time, status text, score number, probabilities text, "
    "prediction text, threshold number, latency_ms number, energy_j number, cost number, weight number, base_value text, subject text, "
    "device text, replica text, batch text, acted_at time, feature_at text, attributions text, attributions_link text, "
    "absent references, wrong references, extra text"
)
LABEL = _columns(
    "line integer, id text, at time, received_at time, value text, number number, source text, annotator text, guideline text, "
    "extra text, inline boolean"
)
REJECTED = _columns("line integer, raw text, reason text, message text, kind text, model text")
COLUMN: dict[Kind, pa.DataType] = {"number": NUMBER, "category": TEXT, "boolean": pa.bool_()}


def other_columns(kind: str) -> dict[str, pa.DataType]:
    """Columns of the table of another kind: objects and lists are JSON text, scalars canonical text."""
    fields = {field.name: _TYPES.get(field.type, TEXT) for field in KINDS[kind].fields.values()}
    return {"line": pa.int64(), **fields, "extra": TEXT}


def table_from_rows(columns: dict[str, pa.DataType], rows: list[tuple[object, ...]]) -> pa.Table:
    """Rows as a table with these columns."""
    values = list(zip(*rows, strict=True)) or [()] * len(columns)
    arrays = [pa.array(column, kind) for column, kind in zip(values, columns.values(), strict=True)]
    return pa.Table.from_arrays(arrays, names=list(columns))
