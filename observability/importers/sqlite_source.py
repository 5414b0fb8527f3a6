"""Opens another tool's SQLite file without changing it."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from observability.core.errors import UsageError
from observability.importers.source_records import error_line

MAGIC = b"SQLite format 3\x00"


def is_sqlite_file(path: Path) -> bool:
    """Whether a file begins with the bytes of an SQLite file."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


@contextmanager
def read_only_sqlite(path: Path, needed: Sequence[str], tool: str) -> Iterator[sqlite3.Connection]:
    """A read-only connection within one transaction, whose rows have column names. needed: tables that a storage of this tool has.

    Raises UsageError if the file is damaged, locked, or not a file of this tool.
    """
    connection = sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True, timeout=10)
    connection.row_factory = sqlite3.Row
    try:
        connection.execute("BEGIN")
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if missing := [name for name in needed if name not in tables]:
            raise UsageError(f"this SQLite file is not a storage of {tool}", where=path.name, got=f"no table {missing[0]}")
        yield connection
    except sqlite3.Error as error:
        raise UsageError(f"the storage of {tool} cannot be read", where=path.name, got=error_line(error)) from None
    finally:
        connection.close()


def query_rows(connection: sqlite3.Connection, query: str, *values: Any) -> list[sqlite3.Row]:
    """The rows of a query."""
    return connection.execute(query, values).fetchall()


def has_table(connection: sqlite3.Connection, name: str) -> bool:
    """Whether a table exists. Older versions of a tool lack some tables."""
    return bool(query_rows(connection, "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", name))
