"""A stretch of a log as arrays that a fault can change.

One array per column, all of the same length:

| column | holds |
|---|---|
| `id`, `version`, `replica`, `device`, `subject`, `status` | text, None if not said |
| `at`, `arrived`, `label_arrived` | datetime64[us] in UTC: when it happened, when it and its label arrived; NaT if no label ever comes |
| `score`, `score.0`…, `threshold`, `latency_ms`, `energy_j`, `cost`, `weight` | float64, NaN if not said |
| `label` | float64: class index, for regression the value; NaN if there is none |
| `feature.NAME`, `group.NAME` | float64 of numbers, text of categories and booleans (`true`, `false`); NaN and None are null |
| `mark.NAME` | int8, of feature NAME: ABSENT or WRONG_TYPE (aggregate.py) if it did not come, or came as text; else 0 |
| `extra.NAME` | float64 or text, of a feature that nobody registered; NaN and None if it did not come |
| `copies` | int64: how often the same line came again |
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from observability.stats.arrays import Array, Bools


@dataclass(frozen=True)
class LogRows:
    """Columns by name. Immutable: every method returns new rows, which share unchanged columns."""

    columns: Mapping[str, Array]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def __contains__(self, name: str) -> bool:
        return name in self.columns

    def __getitem__(self, name: str) -> Array:
        return self.columns[name]

    def get(self, name: str) -> Array | None:
        """A column; None if the rows do not have it."""
        return self.columns.get(name)

    def put(self, columns: Mapping[str, Array]) -> "LogRows":
        """The rows with some columns replaced."""
        return LogRows({**self.columns, **columns})

    def changed(self, name: str, where: Bools, values: ArrayLike) -> "LogRows":
        """Rows in which a column has new values where the mask holds; `values`: one value, or one for each masked row."""
        column = self.columns[name].copy()
        column[where] = values
        return self.put({name: column})

    def take(self, places: Array) -> "LogRows":
        """Some of the rows, chosen by place (in the order of the places) or by mask."""
        return LogRows({name: values[places] for name, values in self.columns.items()})


def joined_rows(parts: list[LogRows]) -> LogRows:
    """The rows of all parts, one part after the other. A column that a part lacks is null (0 for integers) in the rows of this part."""
    names = dict.fromkeys(name for part in parts for name in part.columns)
    return LogRows({name: np.concatenate([_part_column(part, name, parts) for part in parts]) for name in names})


def _part_column(part: LogRows, name: str, parts: list[LogRows]) -> Array:
    """A column of one part; if the part lacks it, null values (0 for integers)."""
    found = part.get(name)
    if found is not None:
        return found
    like = next(each[name] for each in parts if name in each)
    if like.dtype.kind == "f":
        return np.full(len(part), np.nan)
    if like.dtype.kind in "iu":
        return np.zeros(len(part), like.dtype)
    return np.full(len(part), None, object) if like.dtype == object else np.full(len(part), np.datetime64("NaT", "us"))


def blanked_values(values: Array, where: Bools) -> Array:
    """A copy of a column that is null where the mask holds."""
    found = values.copy()
    found[where] = np.nan if values.dtype.kind == "f" else None
    return found


def constant_text_column(value: str | None, size: int) -> Array:
    """A column with the same text in every row."""
    return np.full(size, value, object)
