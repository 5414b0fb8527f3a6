"""Copy a database into a new file, in which nothing of deleted rows is left."""

import os
import time
from collections.abc import Callable
from pathlib import Path

from observability.core.view_names import quoted_identifier
from observability.store.db.connection import DATABASE, log_path
from observability.store.db.results import Cursor

REWRITE_ROWS = 500_000
"""Rows that are copied at once while the file is rewritten; after each copy the writer pauses as long as it took."""
REWRITTEN = f"{DATABASE}.rewritten"


def copy_database(cursor: Cursor, draft: Path, progress: Callable[[int, int], object]) -> None:
    """Copy every table into a new database file, in parts, with a pause after each. progress: called with the rows copied and all rows."""
    quoted = str(draft).replace("'", "''")
    cursor.execute(f"ATTACH '{quoted}' AS rewritten")
    try:
        (here,) = cursor.execute("SELECT current_database()").fetchall()[0]
        cursor.execute(f'COPY FROM DATABASE "{here}" TO rewritten (SCHEMA)')
        tables = cursor.execute("SELECT table_name FROM duckdb_tables() WHERE database_name = ? AND NOT temporary", [here])
        names = [quoted_identifier(name) for (name,) in tables.fetchall()]
        counts = [cursor.execute(f"SELECT count(*), max(rowid) FROM {name}").fetchall()[0] for name in names]
        done, total = 0, sum(rows for rows, _ in counts)
        for name, (rows, last) in zip(names, counts, strict=True):
            for first in range(0, (last or 0) + 1 if rows else 0, REWRITE_ROWS):
                begun = time.monotonic()
                cursor.execute(f"INSERT INTO rewritten.main.{name} FROM {name} WHERE rowid BETWEEN {first} AND {first + REWRITE_ROWS - 1}")
                # wait as long as the copy of the part took, so that half of the machine is left for pages
                time.sleep(min(time.monotonic() - begun, 1.0))
            done += rows
            progress(done, total)
        cursor.execute("CHECKPOINT rewritten")
    finally:
        cursor.execute("DETACH rewritten")
    with draft.open("rb") as file:
        os.fsync(file.fileno())


def remove_rewritten(home: Path) -> None:
    """Remove the remains of an interrupted rewrite. Raises OSError."""
    for path in (home / REWRITTEN, log_path(home / REWRITTEN)):
        path.unlink(missing_ok=True)
