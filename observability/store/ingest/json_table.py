"""Read JSON lines as a typed table, even if lines differ in keys and types.

Lines with the same types are read by Arrow. If types differ (numbers beside texts, "NaN" beside numbers), the lines are read value by
value.
"""

import io
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa
from pyarrow import json as arrow_json

from observability.core.errors import UsageError
from observability.records.values import NON_FINITE, number_or_none
from observability.store.ingest.parse_json import escape_surrogates

BLOCK_BYTES = 64 * 1024 * 1024
TYPES = ("number", "text", "boolean", "object", "list")


def read_json_table(raw: bytes, where: str) -> tuple[pa.Table, list[str]]:
    """The table in JSON lines, and a warning for each column that lost values of a minority type.

    Raises UsageError with the number of the line if a line is not a JSON object.
    """
    try:
        options = arrow_json.ReadOptions(block_size=max(BLOCK_BYTES, len(raw.split(b"\n", 1)[0]) + 2))
        table = arrow_json.read_json(io.BytesIO(raw), read_options=options)
        table.validate(full=True)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return _exact_columns(_json_objects(raw.split(b"\n"), where))
    return table, []


def _json_objects(lines: Iterable[bytes], where: str) -> list[dict[str, Any]]:
    """The object of each line. Raises UsageError for the first line that is not an object."""
    found = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        place = f"{where}, line {number}"
        try:
            body = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UsageError("a line is not JSON", where=place, got=str(error)[:100], expected="one JSON object per line") from None
        if not isinstance(body, dict):
            raise UsageError("a line is not a JSON object", where=place, got=str(body)[:60], expected="{name: value, …}")
        found.append(_with_plain_label(body))
    return found


def _with_plain_label(row: dict[str, Any]) -> dict[str, Any]:
    """A prediction record in which a label object is replaced by its value."""
    label = row.get("label")
    return row | {"label": label.get("value")} if isinstance(label, dict) and isinstance(row.get("features"), dict) else row


def _exact_columns(rows: Sequence[dict[str, Any]]) -> tuple[pa.Table, list[str]]:
    """A column for each key, with the most frequent type of its values. Other values become null with a warning; objects become structs."""
    columns: dict[str, pa.Array] = {}
    warnings: list[str] = []
    for name in dict.fromkeys(name for row in rows for name in row):
        columns[name] = typed_array(name, [row.get(name) for row in rows], warnings)
    return pa.table(columns), warnings


def typed_array(name: str, values: list[Any], warnings: list[str]) -> pa.Array:
    """Values as an Arrow array of their most frequent type."""
    kinds = [_json_type(value) for value in values]
    counts = Counter(kinds)
    special = counts.pop("special", 0)
    counts.pop("null", None)
    home = "number" if counts["number"] or not counts["text"] else "text"
    counts[home] += special
    best = max(TYPES, key=lambda kind: counts[kind])
    if not counts[best]:
        return pa.nulls(len(values))
    if lost := sum(counts.values()) - counts[best]:
        warnings.append(f"{lost:,} values of {name!r} are not of its main type, {best}, and count as missing.")
    held = {best, "special"} if best == home else {best}
    kept = [value if kind in held else None for value, kind in zip(values, kinds, strict=True)]
    if best == "number":
        return pa.array([number_or_none(value) for value in kept], pa.float64())
    if best == "list":
        return pa.array([None if value is None else [] for value in kept], pa.list_(pa.null()))
    if best == "object":
        inner = [value or {} for value in kept]
        names = list(dict.fromkeys(key for member in inner for key in member))
        parts = [typed_array(f"{name}.{key}", [member.get(key) for member in inner], warnings) for key in names]
        missing = pa.array([value is None for value in kept])
        return pa.StructArray.from_arrays(parts, names, mask=missing) if names else pa.nulls(len(kept), pa.struct([]))
    return pa.array(
        [escape_surrogates(value) if best == "text" and value is not None else value for value in kept],
        pa.string() if best == "text" else pa.bool_(),
    )


def _json_type(value: Any) -> str:
    """The type of a JSON value: one of TYPES, null, or special for a text that may stand for a number that is not finite."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "special" if value in NON_FINITE else "text"
    return "object" if isinstance(value, dict) else "list"
