"""How is the answer of a query taken whole? Nothing of a result may stay unread before the same cursor is given a table to look at."""

from collections.abc import Sequence
from typing import Any

import duckdb
import pyarrow as pa


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
