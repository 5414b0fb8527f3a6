"""Fetch complete query results.

A result must be read completely before a table is registered on the same cursor.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from pandas import DataFrame


Cursor = duckdb.DuckDBPyConnection


def single_row(cursor: Cursor, query: str, parameters: Sequence[object] = ()) -> tuple[Any, ...]:
    """The only row of a query result."""
    (row,) = cursor.execute(query, list(parameters)).fetchall()
    return tuple(row)


def first_row(cursor: Cursor, query: str, parameters: Sequence[object] = ()) -> tuple[Any, ...] | None:
    """The first row of a query result; None if there are no rows."""
    rows = cursor.execute(query, list(parameters)).fetchall()
    return tuple(rows[0]) if rows else None


def arrow_result(cursor: Cursor, query: str) -> pa.Table:
    """All rows of a query as an Arrow table."""
    return cursor.sql(query).to_arrow_table()


def empty_result(types: Mapping[str, str]) -> "DataFrame":
    """A frame without rows. types: pandas type names by column."""
    return _empty_result(tuple(types.items())).copy(deep=False)


@lru_cache(maxsize=256)
def _empty_result(types: tuple[tuple[str, str], ...]) -> "DataFrame":
    """The cached frame without rows of these types. Callers get copies."""
    import pandas as pd

    return pd.DataFrame({name: pd.Series(dtype=kind) if kind == "Int64" else np.empty(0, kind) for name, kind in types})
