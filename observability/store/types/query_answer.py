"""The answer to an SQL query over the views."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class QueryAnswer:
    """Rows of a query. columns: their names, each once. rows: values as Python has them, times naive UTC. more: whether there are more."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    more: bool = False


@dataclass(frozen=True)
class ExportedQuery:
    """A query; and for each view that it reads, by the view's name, the Parquet file and the columns in the file."""

    query: str
    files: dict[str, Path]
    columns: dict[str, tuple[str, ...]] = field(default_factory=dict)
