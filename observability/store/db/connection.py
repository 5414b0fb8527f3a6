"""Connect to the database file of a home."""

import fcntl
import os
import struct
from contextlib import suppress
from pathlib import Path

import duckdb

from observability.core.errors import StoreBrokenError, StoreBusyError, StoreDamagedError
from observability.store.db.failures import error_summary, is_damage, opening_advice
from observability.store.db.results import Cursor

DATABASE = "store.duckdb"
OPEN_OPTIONS = ("max_execution_time", "operator_memory_limit", "threads", "memory_limit")
"""DuckDB options that can still be changed after the store is open. All others are locked."""


def connect_database(path: Path, home: Path, memory_limit: str, threads: int, read_only: bool) -> Cursor:
    """A connection to a database file, with everything locked that queries may not reach. Raises StoreBusyError, StoreDamagedError,
    StoreBrokenError.

    home: the one folder that the connection may read and write.
    """
    os.umask(0o077)  # not reset, because the log of the database is created anew after each checkpoint
    try:
        connection = duckdb.connect(
            str(path),
            read_only=read_only,
            config={
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
                "temp_directory": str(home / "tmp"),
                "memory_limit": memory_limit,
                "threads": threads,
                "checkpoint_threshold": "64MB",  # a commit that checkpoints a larger log takes longer
                "python_enable_replacements": False,
                "perfect_ht_threshold": 16,  # larger tables take 100 ms to allocate for a few hundred groups
            },
        )
        quoted = str(home).replace("'", "''")
        connection.execute("SET GLOBAL TimeZone = 'UTC'")
        connection.execute(f"SET allowed_directories = ['{quoted}/']")
        connection.execute("SET enable_external_access = false")
        connection.execute(f"SET allowed_configs = {list(OPEN_OPTIONS)}")
        connection.execute("SET lock_configuration = true")
    except duckdb.Error as error:
        raise _refused(path, error) from error
    for file in () if read_only else (path, log_path(path)):
        with suppress(OSError):  # files of an earlier version, or a file system without modes
            file.chmod(0o600)
    return connection


def log_path(database: Path) -> Path:
    """The write-ahead log of a database file; it exists while it holds anything."""
    return database.with_name(database.name + ".wal")


def _refused(path: Path, error: duckdb.Error) -> StoreBusyError | StoreBrokenError:
    if isinstance(error, duckdb.IOException) and (owner := _lock_owner_pid(path)) is not None:
        return StoreBusyError(
            "the store is in use by another process",
            where=str(path),
            got=f"PID {owner}",
            attempt="Use the running dashboard, or stop it first",
        )
    kind = StoreDamagedError if is_damage(error) else StoreBrokenError
    return kind("the store cannot be opened", where=str(path), got=error_summary(error), attempt=opening_advice(error))


def _lock_owner_pid(path: Path) -> int | None:
    """PID of another process that holds a lock on the file, or None. This process must not have the file open."""
    with suppress(OSError), path.open("rb+") as file:
        query = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind, _, _, _, pid = struct.unpack("hhqqi4x", fcntl.fcntl(file, fcntl.F_GETLK, query))
        return None if kind == fcntl.F_UNLCK else int(pid)
    return None
