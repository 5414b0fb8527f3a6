"""Which typed columns are in lines of JSON objects, whatever each line holds?

Lines that agree are read by Arrow's own parser; where they do not (numbers beside texts, "NaN" beside numbers), by an exact one, value by value.
"""

import io
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pyarrow as pa
from pyarrow import json as arrow_json

from observability.core.errors import UsageError
from observability.records.values import NON_FINITE, as_number

BLOCK_BYTES = 64 * 1024 * 1024
TYPES = ("number", "text", "boolean", "object", "list")


def read_columns(raw: bytes, where: str, adapt: Callable[[dict[str, Any]], dict[str, Any]] | None = None) -> tuple[pa.Table, list[str]]:
    """The table behind JSON lines, and a sentence for each column that lost values of another type than most of its values have.

    adapt: changes each object first, where lines do not agree. Raises UsageError where a line is no JSON object, with its number.
    """
    try:
        options = arrow_json.ReadOptions(block_size=max(BLOCK_BYTES, len(raw.split(b"\n", 1)[0]) + 2))
        table = arrow_json.read_json(io.BytesIO(raw), read_options=options)
        table.validate(full=True)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        rows = objects(raw.split(b"\n"), where)
        return exact_columns([adapt(row) for row in rows] if adapt else rows)
    return table, []


def objects(lines: Iterable[bytes], where: str) -> list[dict[str, Any]]:
    """Each line's object. Raises UsageError for the first line that is none."""
    found = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        place = f"{where}, line {number}"
        try:
            body = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UsageError("a line is no JSON", where=place, got=str(error)[:100], expected="one JSON object a line") from None
        if not isinstance(body, dict):
            raise UsageError("a line is no JSON object", where=place, got=str(body)[:60], expected="{name: value, …}")
        found.append(body)
    return found


def exact_columns(rows: Sequence[dict[str, Any]]) -> tuple[pa.Table, list[str]]:
    """A column for each key, typed by what most of its values are; other values become null, and are said. Objects become structs of such columns."""
    columns: dict[str, pa.Array] = {}
    said: list[str] = []
    for name in dict.fromkeys(name for row in rows for name in row):
        columns[name] = typed(name, [row.get(name) for row in rows], said)
    return pa.table(columns), said


def typed(name: str, values: list[Any], said: list[str]) -> pa.Array:
    """Values as an Arrow array of the type that most have."""
    kinds = [type_of(each) for each in values]
    counts = Counter(kinds)
    special = counts.pop("special", 0)
    counts.pop("null", None)
    home = "number" if counts["number"] or not counts["text"] else "text"
    counts[home] += special
    best = max(TYPES, key=lambda each: counts[each])
    if not counts[best]:
        return pa.nulls(len(values))
    if lost := sum(counts.values()) - counts[best]:
        said.append(f"{lost:,} values of {name!r} are no {best} as most are, and count as missing.")
    held = {best, "special"} if best == home else {best}
    kept = [value if kind in held else None for value, kind in zip(values, kinds, strict=True)]
    if best == "number":
        return pa.array([as_number(each) for each in kept], pa.float64())
    if best == "list":
        return pa.array([None if each is None else [] for each in kept], pa.list_(pa.null()))
    if best == "object":
        inner = [each or {} for each in kept]
        names = list(dict.fromkeys(key for each in inner for key in each))
        parts = [typed(f"{name}.{key}", [each.get(key) for each in inner], said) for key in names]
        missing = pa.array([each is None for each in kept])
        return pa.StructArray.from_arrays(parts, names, mask=missing) if names else pa.nulls(len(kept), pa.struct([]))
    return pa.array([clean(each) if best == "text" else each for each in kept], pa.string() if best == "text" else pa.bool_())


def type_of(value: Any) -> str:
    """What a JSON value is: one of TYPES, null, or special for a text that may stand for a number that is not finite."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "special" if value in NON_FINITE else "text"
    return "object" if isinstance(value, dict) else "list"


def clean(text: str | None) -> str | None:
    """The text without halves of characters."""
    return None if text is None else text.encode("utf-8", "backslashreplace").decode()
