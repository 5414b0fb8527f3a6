"""Read a reference file as a table of rows.

Flat rows (.csv, .parquet, .jsonl; .csv and .jsonl also as .gz), or prediction records with `features`, whose labels are inside them or
in label records of the same file.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from observability.core.errors import UsageError
from observability.records.record import FAILED
from observability.store.ingest.files import open_importer
from observability.store.ingest.json_table import typed_array


@dataclass(frozen=True)
class ReferenceData:
    """A reference as read. nested: for prediction records, column of the table → (feature or group, name); None for flat rows."""

    name: str
    table: pa.Table
    nested: Mapping[str, tuple[str, str]] | None
    warnings: tuple[str, ...] = ()


def read_reference(path: Path, decimal: str | None = None) -> ReferenceData:
    """The reference in a file. decimal: the decimal sign of a CSV file, see LoadDefaults.

    Raises UsageError if it is missing, empty, damaged, too large or of an unknown format.
    """
    table, warnings = open_importer(path, decimal).table()
    if not table.num_rows:
        raise UsageError("the reference holds no rows", where=path.name)
    return _reference_from_table(path.name, table, warnings)


def _reference_from_table(name: str, table: pa.Table, warnings: list[str]) -> ReferenceData:
    """The reference in a table. Prediction records are flattened."""
    if not _holds_objects(table, "features"):
        return ReferenceData(name, table, None, tuple(warnings))
    if "kind" in table.column_names:
        table = _join_newest_labels(table, warnings)
    if "status" in table.column_names:
        failed = pc.fill_null(pc.is_in(table["status"].cast(pa.string()), value_set=pa.array(FAILED)), False)
        if count := pc.sum(failed).as_py():
            warnings.append(f"{count:,} predictions failed and are left out.")
            table = table.filter(pc.invert(failed))
    if _holds_objects(table, "label"):
        table = table.set_column(table.column_names.index("label"), "label", _struct_field(table["label"], "value"))
    nested: dict[str, tuple[str, str]] = {}
    for part, role in (("features", "feature"), ("groups", "group")):
        if not _holds_objects(table, part):
            continue
        column = table[part]
        table = table.drop_columns([part])
        for place, child in enumerate(column.type):
            source = child.name if child.name not in table.column_names else f"{part}.{child.name}"
            while source in table.column_names:
                source += "'"
            table = table.append_column(source, pc.struct_field(column, [place]))
            nested[source] = (role, child.name)
    return ReferenceData(name, table, nested, tuple(warnings))


def _holds_objects(table: pa.Table, name: str) -> bool:
    """Whether the table has a column of objects with that name."""
    return name in table.column_names and bool(pa.types.is_struct(table[name].type))


def _struct_field(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """A field of a column of objects; null if there is none."""
    return pc.struct_field(column, [name]) if column.type.get_field_index(name) >= 0 else pa.chunked_array([pa.nulls(len(column))])


def _join_newest_labels(table: pa.Table, warnings: list[str]) -> pa.Table:
    """The predictions in a file of several record kinds, each with its newest label if labels are separate records."""
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
        own = (_struct_field(predictions["label"], "value") if _holds_objects(predictions, "label") else predictions["label"]).to_pylist()
    known = [newest.get(id_, inline) for id_, inline in zip(predictions["id"].to_pylist(), own, strict=True)]
    joined = typed_array("label", known, warnings)
    kept = [name for name in predictions.column_names if name not in ("value", "label")]
    return predictions.select(kept).append_column("label", joined)
