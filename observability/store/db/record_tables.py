"""Tables of the record kinds that follow `records.kinds.KINDS`: names, columns, content hash."""

from observability.core.view_names import quoted_identifier
from observability.records.kinds import KINDS
from observability.store.db.results import Cursor, single_row

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


def schema_version(cursor: Cursor) -> int:
    """Number of the last migration step that was applied. Read-only."""
    return int(single_row(cursor, "SELECT coalesce(max(version), 0) FROM migrations")[0])


def kind_tables() -> dict[str, str]:
    """By kind, the table of each kind that has one table for the records of all models: `batch` → `batches`."""
    return {name: f"{name}es" if name.endswith(("ch", "s")) else f"{name}s" for name in KINDS if name not in ("prediction", "label")}


def kind_columns(kind: str) -> dict[str, str]:
    """Columns of a kind's table and their SQL types. `sample` is true for records that the command `demo` loaded."""
    return {**_typed_fields(kind), "arrived": "TIMESTAMP", "extra": "JSON", "content_hash": "UBIGINT", "sample": "BOOLEAN"}


def content_hash(kind: str) -> str:
    """SQL expression of the hash over the typed fields of a kind (JSON as text). `received_at` and unknown fields are left out."""
    names = (quoted_identifier(name) + ("::VARCHAR" if kind == "JSON" else "") for name, kind in _typed_fields(kind).items())
    return f"hash({', '.join(names)})"


def _typed_fields(kind: str) -> dict[str, str]:
    return {field.name: FIELD_TYPES[field.type] for field in KINDS[kind].fields.values() if field.name != "received_at"}
