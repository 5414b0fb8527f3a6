"""Finds the files of a home that still contain a text."""

import shutil
from pathlib import Path

import duckdb


def found_in(folder: Path, *needles: str) -> list[str]:
    """The files of a folder whose bytes contain one of the texts, and the database tables with a row that contains one of them."""
    places = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            places += [f"{path.name}: {needle}" for needle in needles if needle.encode() in content]
    for path in sorted(folder.rglob("store.duckdb")):
        copy = path.with_name("looked-at.duckdb")
        shutil.copy(path, copy)
        with duckdb.connect(str(copy), read_only=True) as cursor:
            for (table,) in cursor.execute("SELECT table_name FROM duckdb_tables()").fetchall():
                rows = cursor.execute(f'SELECT t::VARCHAR FROM "{table}" t').fetchall()
                places += [f"{table}: {needle}" for needle in needles if any(needle in row for (row,) in rows)]
        copy.unlink()
    return places
