"""Profile of one column of a table.

Works on one Arrow column at a time: Arrow distinguishes null from NaN, and hundreds of columns or a million rows take seconds.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from observability.core.catalog import Kind
from observability.records.values import canonical_text
from observability.store.ingest.parse_plan import is_numeric_text

SHOWN_LEVELS = 20


@dataclass(frozen=True)
class ColumnProfile:
    """Content of one column.

    kind: None if the values cannot be a feature; `obstacle` then names them ("times", "lists"). rows, nulls, nans: counts. distinct:
    different values without null. low, high: smallest and largest finite number, None without any. whole: every number is an integer.
    levels: the most frequent values as canonical text with their counts, at most SHOWN_LEVELS. sequence: integers in steps of one. written:
    `number` or `boolean` if every text of a category spells out such a value; else None.
    """

    name: str
    kind: Kind | None
    rows: int
    nulls: int
    nans: int
    distinct: int
    levels: tuple[tuple[str, int], ...]
    low: float | None = None
    high: float | None = None
    whole: bool = False
    sequence: bool = False
    obstacle: str | None = None
    written: Kind | None = None

    @property
    def empty(self) -> bool:
        """Whether there is no value at all."""
        return self.nulls + self.nans == self.rows

    @property
    def constant(self) -> bool:
        """Whether every row has the same value."""
        return not self.empty and self.distinct == 1 and self.nulls + self.nans == 0

    @property
    def unique(self) -> bool:
        """Whether every row (of at least two) has a different value."""
        return self.rows > 1 and self.distinct == self.rows

    @cached_property
    def level_names(self) -> tuple[str, ...]:
        """Names of the shown levels."""
        return tuple(name for name, _ in self.levels)


def profile_column(name: str, column: pa.ChunkedArray) -> ColumnProfile:
    """The profile of an Arrow column. Never raises; `obstacle` names types that cannot be features."""
    kind, obstacle = arrow_kind(column.type)
    rows, nulls = len(column), column.null_count
    if kind is None:
        return ColumnProfile(name, None, rows, nulls, 0, 0, (), obstacle=obstacle)
    if kind != "number":
        levels = value_frequencies(column)
        written = _written_kind([level for level, _ in levels]) if kind == "category" else None
        return ColumnProfile(name, kind, rows, nulls, 0, len(levels), tuple(levels[:SHOWN_LEVELS]), written=written)
    values = float_values(column)
    missing = np.isnan(values)
    finite = values[np.isfinite(values)]
    whole = bool(finite.size) and bool(np.all(finite == np.floor(finite)))
    distinct, times = np.unique(values[~missing], return_counts=True)
    most = np.argsort(-times, kind="stable")[:SHOWN_LEVELS]
    return ColumnProfile(
        name,
        kind,
        rows,
        nulls,
        int(missing.sum()) - nulls,
        int(distinct.size),
        tuple((canonical_text(float(distinct[i])), int(times[i])) for i in most),
        low=float(finite.min()) if finite.size else None,
        high=float(finite.max()) if finite.size else None,
        whole=whole,
        sequence=whole and finite.size == rows > 1 and (bool(np.all(np.diff(finite) == 1)) or bool(np.all(np.diff(finite) == -1))),
    )


def _written_kind(texts: list[str]) -> Kind | None:
    """The kind of value that every text spells out. None if the texts are words, or there are none."""
    if not texts:
        return None
    if all(text.lower() in ("true", "false") for text in texts):
        return "boolean"
    return "number" if all(map(is_numeric_text, texts)) else None


def arrow_kind(arrow: pa.DataType) -> tuple[Kind | None, str | None]:
    """The kind of an Arrow type; None and a description of the values if they cannot be a feature."""
    if pa.types.is_dictionary(arrow):
        return arrow_kind(arrow.value_type)
    if pa.types.is_boolean(arrow):
        return "boolean", None
    if pa.types.is_integer(arrow) or pa.types.is_floating(arrow) or pa.types.is_decimal(arrow) or pa.types.is_null(arrow):
        return "number", None
    if is_text_type(arrow):
        return "category", None
    if pa.types.is_temporal(arrow):
        return None, "durations" if pa.types.is_duration(arrow) else "times"
    if pa.types.is_struct(arrow) or pa.types.is_map(arrow):
        return None, "objects"
    return (None, "lists") if pa.types.is_nested(arrow) else (None, f"values of type {arrow}")


def is_text_type(arrow: pa.DataType) -> bool:
    """Whether an Arrow type holds text."""
    return bool(pa.types.is_string(arrow) or pa.types.is_large_string(arrow) or pa.types.is_string_view(arrow))


def float_values(column: pa.ChunkedArray) -> NDArray[np.float64]:
    """The values of a number or boolean column as float64, null as NaN."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), np.float64)


def coded_values(column: pa.ChunkedArray) -> tuple[list[str], NDArray[np.int64]]:
    """The distinct values as canonical text in order of appearance, and each row's index among them (-1 null or NaN)."""
    if pa.types.is_null(column.type):
        return [], np.full(len(column), -1)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    encoded = column.dictionary_encode().combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = pa.concat_arrays(encoded.chunks) if encoded.num_chunks else pa.array([], pa.dictionary(pa.int32(), column.type))
    texts = [_canonical_scalar(value) for value in encoded.dictionary.to_pylist()]
    order: dict[str, int] = {}
    places = np.array([-1 if text is None else order.setdefault(text, len(order)) for text in texts] + [-1], np.int64)
    rows = pc.fill_null(encoded.indices, len(texts)).to_numpy(zero_copy_only=False)
    return list(order), places[rows]


def value_frequencies(column: pa.ChunkedArray) -> list[tuple[str, int]]:
    """Canonical texts with their frequencies, most frequent first, ties alphabetical."""
    names, rows = coded_values(column)
    times = np.bincount(rows[rows >= 0], minlength=len(names))
    return sorted(zip(names, times.tolist(), strict=True), key=lambda level: (-level[1], level[0]))


def _canonical_scalar(value: Any) -> str | None:
    """Canonical text of a scalar, by which classes, labels and levels are compared; None for null and NaN."""
    if value is None or isinstance(value, str):
        return value
    if not isinstance(value, bool | int | float):
        try:
            value = float(value)
        except (TypeError, ValueError):
            return str(value)
    return None if value != value else canonical_text(value)
