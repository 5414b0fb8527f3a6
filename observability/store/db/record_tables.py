"""Tables of the record kinds that follow `records.kinds.KINDS`: names, columns, content hash."""

import duckdb

from observability.records.kinds import KINDS
from observability.store.db.results import one
from observability.store.db.schema import quoted

FIELD_TYPES: dict[str, str] = {
    "text": "VARCHAR",
    "number": "DOUBLE",
    "integer": "BIGINT",
    "time": "TIMESTAMP",
    "boolean": "BOOLEAN",
    "object": "JSON",
    "list": "JSON",
    "scalar": "VARCHAR",
    "score": "JSON",
    "label": "JSON",
}


def schema_version(cursor: duckdb.DuckDBPyConnection) -> int:
    """The number of the last step that was applied. Read-only."""
    return int(one(cursor, "SELECT coalesce(max(version), 0) FROM migrations")[0])


def kind_tables() -> dict[str, str]:
    """Kind to table, of every kind that has one table for all models: `batch` to `batches`."""
    return {name: f"{name}es" if name.endswith(("ch", "s")) else f"{name}s" for name in KINDS if name not in ("prediction", "label")}


def kind_columns(kind: str) -> dict[str, str]:
    """Columns of a kind's table and their SQL types."""
    fields = {each.name: FIELD_TYPES[each.type] for each in KINDS[kind].fields.values() if each.name != "received_at"}
    return {**fields, "arrived": "TIMESTAMP", "extra": "JSON", "content_hash": "UBIGINT"}


def content_hash(kind: str) -> str:
    """The SQL expression of the hash over the typed fields of a kind (JSON in canonical text); `received_at` and unknown fields are left out."""
    typed = {each.name: FIELD_TYPES[each.type] for each in KINDS[kind].fields.values() if each.name != "received_at"}
    return f"hash({', '.join(f'{quoted(name)}::VARCHAR' if type_name == 'JSON' else quoted(name) for name, type_name in typed.items())})"
