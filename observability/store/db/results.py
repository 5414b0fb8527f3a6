"""How is the answer of a query taken whole? Nothing of a result may stay unread before the same cursor is given a table to look at."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from pandas import DataFrame


def one(cursor: duckdb.DuckDBPyConnection, query: str, parameters: Sequence[object] = ()) -> tuple[Any, ...]:
    """The one row that a query gives."""
    (row,) = cursor.execute(query, list(parameters)).fetchall()
    return tuple(row)


def first(cursor: duckdb.DuckDBPyConnection, query: str, parameters: Sequence[object] = ()) -> tuple[Any, ...] | None:
    """The first row that a query gives, None without rows."""
    rows = cursor.execute(query, list(parameters)).fetchall()
    return tuple(rows[0]) if rows else None


def arrow(cursor: duckdb.DuckDBPyConnection, query: str) -> pa.Table:
    """All rows of a query as an Arrow table, run once."""
    return cursor.sql(query).to_arrow_table()


def no_rows(types: Mapping[str, str]) -> "DataFrame":
    """A frame without rows. types: of its columns, as pandas names them."""
    return nothing(tuple(types.items())).copy(deep=False)


@lru_cache(maxsize=256)
def nothing(types: tuple[tuple[str, str], ...]) -> "DataFrame":
    """The one frame without rows of these types, which is never handed out itself."""
    import pandas as pd

    return pd.DataFrame({name: pd.Series(dtype=kind) if kind == "Int64" else np.empty(0, kind) for name, kind in types})
