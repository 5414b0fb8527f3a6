"""What is in a reference file: which table of rows, and which of its columns are features by themselves?

Flat rows (.csv, .parquet, .jsonl), or prediction records with `features`, whose labels stand inside them or in label records of the same file.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from observability.core.errors import UsageError
from observability.records.record import FAILED
from observability.store.ingest.file_rows import parquet_columns
from observability.store.ingest.files import head_of, looks_like, open_file
from observability.store.ingest.parse_types import Defaults
from observability.store.registry.csv_columns import read_csv
from observability.store.registry.json_columns import read_columns, typed

MOST_BYTES = 2 * 1024**3
"""A reference is read as a whole, up to this many bytes (of a compressed file: decompressed)."""


@dataclass(frozen=True)
class Reference:
    """A reference as it was read. nested: of prediction records, column of the table → (feature or group, own name); None for flat rows."""

    name: str
    table: pa.Table
    nested: Mapping[str, tuple[str, str]] | None
    warnings: tuple[str, ...] = ()


def read_reference(path: Path) -> Reference:
    """The reference in a file, by the ending of its name. Raises UsageError where it is missing, of no known format, damaged or too large."""
    warnings: list[str] = []
    if not (path.name.lower().endswith((".csv", ".parquet")) and path.is_file() and path.stat().st_size):
        file = open_file(path, Defaults())
        require_size(path, file.size)
        raw = b"".join(block.raw for block in file.blocks() if isinstance(block.raw, bytes))
        require_size(path, len(raw))
        table, warnings = read_columns(raw, path.name, with_plain_label)
    elif path.name.lower().endswith(".csv"):
        require_size(path, path.stat().st_size)
        table, warnings = read_csv(path)
    else:
        table = read_parquet(path)
    if not table.num_rows:
        raise UsageError("the reference holds no rows", where=path.name)
    return from_table(path.name, table, warnings)


def require_size(path: Path, size: int) -> None:
    """Raises UsageError where a reference is larger than what is read at once."""
    if size > MOST_BYTES:
        raise UsageError(
            "the reference is too large", where=path.name, got=f"{size / 1024**3:.1f} GB", expected=f"at most {MOST_BYTES // 1024**3} GB",
            attempt="Take a random sample of it: some 100,000 rows say as much",
        )  # fmt: skip


def read_parquet(path: Path) -> pa.Table:
    """The table in a Parquet file."""
    import pyarrow.parquet as pq

    head = head_of(path)
    if not head.startswith(b"PAR1"):
        raise UsageError("this is no Parquet file", where=path.name, got=looks_like(head), attempt="Write it again as Parquet")
    parquet_columns(path)
    meta = pq.read_metadata(path)
    require_size(path, sum(meta.row_group(i).total_byte_size for i in range(meta.num_row_groups)))
    try:
        return pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise UsageError("the Parquet file is damaged", where=path.name, got=str(error)[:100], attempt="Write it again") from None


def from_table(name: str, table: pa.Table, warnings: list[str]) -> Reference:
    """The reference behind a table: prediction records are taken apart, flat rows stay as they are."""
    if "features" not in table.column_names or not is_object(table["features"]):
        return Reference(name, table, None, tuple(warnings))
    if "kind" in table.column_names:
        table = with_labels(table, warnings)
    if "status" in table.column_names:
        failed = pc.fill_null(pc.is_in(table["status"].cast(pa.string()), value_set=pa.array(FAILED)), False)
        if count := pc.sum(failed).as_py():
            warnings.append(f"{count:,} predictions failed and are left out.")
            table = table.filter(pc.invert(failed))
    table = (
        table.set_column(table.column_names.index("label"), "label", inner(table["label"], "value"))
        if objects_in(table, "label")
        else table
    )
    nested: dict[str, tuple[str, str]] = {}
    for part, role in (("features", "feature"), ("groups", "group")):
        if not objects_in(table, part):
            continue
        column = table[part]
        table = table.drop_columns([part])
        for place, child in enumerate(column.type):
            source = child.name if child.name not in table.column_names else f"{part}.{child.name}"
            while source in table.column_names:
                source += "'"
            table = table.append_column(source, pc.struct_field(column, [place]))
            nested[source] = (role, child.name)
    return Reference(name, table, nested, tuple(warnings))


def with_plain_label(row: dict[str, Any]) -> dict[str, Any]:
    """A prediction whose label is its value alone."""
    label = row.get("label")
    return row | {"label": label.get("value")} if isinstance(label, dict) and isinstance(row.get("features"), dict) else row


def objects_in(table: pa.Table, name: str) -> bool:
    """Whether the table has a column of objects of that name."""
    return name in table.column_names and is_object(table[name])


def is_object(column: pa.ChunkedArray) -> bool:
    """Whether a column holds objects with named fields."""
    return bool(pa.types.is_struct(column.type))


def inner(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """A field of a column of objects; null where there is none."""
    return pc.struct_field(column, [name]) if column.type.get_field_index(name) >= 0 else pa.chunked_array([pa.nulls(len(column))])


def with_labels(table: pa.Table, warnings: list[str]) -> pa.Table:
    """The predictions of a file of records of several kinds, each with its newest label where labels are records of their own."""
    kinds = pc.fill_null(table["kind"].cast(pa.string()), "prediction")
    predictions, labels = (table.filter(pc.equal(kinds, kind)) for kind in ("prediction", "label"))
    if other := table.num_rows - predictions.num_rows - labels.num_rows:
        warnings.append(f"{other:,} records are neither predictions nor labels and are left out.")
    if not labels.num_rows or "id" not in table.column_names or "value" not in table.column_names:
        return predictions
    if "at" in table.column_names:
        labels = labels.sort_by([("at", "ascending")])
    newest = dict(zip(labels["id"].to_pylist(), labels["value"].to_pylist(), strict=True))
    own = [None] * predictions.num_rows
    if "label" in predictions.column_names:
        own = (inner(predictions["label"], "value") if objects_in(predictions, "label") else predictions["label"]).to_pylist()
    known = [newest.get(each, inline) for each, inline in zip(predictions["id"].to_pylist(), own, strict=True)]
    joined = typed("label", known, warnings)
    kept = [name for name in predictions.column_names if name not in ("value", "label")]
    return predictions.select(kept).append_column("label", joined)
