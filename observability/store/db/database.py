"""How is the one database of a home opened, read by many threads and written by one?

DuckDB lets one process own a file. Inside that process every reader takes a cursor of its own, and all writing goes through `Store.write`: one
writer at a time, one transaction, and a generation that grows with every commit, by which caches know that they are old.
"""

import fcntl
import os
import shutil
import struct
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import duckdb

from observability.core.catalog import Catalog
from observability.core.errors import StoreBrokenError, StoreBusyError
from observability.core.settings import ModelSettings
from observability.store.db.catalog_store import read_catalog, with_settings

DATABASE = "store.duckdb"
FLOOR_BYTES = 512 * 1024 * 1024
"""Free disk space below which nothing more is written: a full disk at a checkpoint stops the whole database."""
CACHE_BYTES = 256 * 1024 * 1024
"""Blocks of the file that stay in memory after a load; without a limit a long load would fill all that queries may use."""
OPEN_OPTIONS = ("max_execution_time", "operator_memory_limit", "threads", "memory_limit")
"""Options that stay open to change; everything else is locked once the store is open."""


class Store:
    """One open database. Safe under threads. `generation` grows with every commit that changes what can be read; `unhurried` counts those of
    them that were made inside `in_background`.

    loading, reconciled: the loader's, that one thread loads landing at a time, and that loaded segments were compared with the manifest.
    """

    def __init__(self, home: Path, memory_limit: str, threads: int | None) -> None:
        self.home = home
        self.generation = self.unhurried = 0
        self._thread = threading.local()
        self.loading = threading.Lock()
        self.reconciled = False
        self._memory_limit, self._threads = memory_limit, threads or os.cpu_count() or 1
        self._mutex = threading.RLock()
        self._writing = threading.Lock()
        self._writer: int | None = None
        self._cursors: weakref.WeakSet[duckdb.DuckDBPyConnection] = weakref.WeakSet()
        self._catalog: tuple[int, Catalog] | None = None
        self._connection: duckdb.DuckDBPyConnection | None = self._connect()

    @property
    def path(self) -> Path:
        """The database file."""
        return self.home / DATABASE

    @property
    def landing(self) -> Path:
        """The folder in which records arrive (client/spool.py)."""
        return self.home / "landing"

    @property
    def threads(self) -> int:
        """Threads that a query may use."""
        return self._threads

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A new connection to the database, for one thread and use. A database that a fatal error stopped is reopened, once a call."""
        with self._mutex:
            if self._connection is None:
                raise StoreBrokenError("the store is closed", where=str(self.path))
            try:
                return self._fresh()
            except duckdb.FatalException:
                self._reopen()
                return self._fresh()

    def catalog(self) -> Catalog:
        """Every model, version, column and edge that the store holds; the same object until something is committed."""
        generation, cached = self.generation, self._catalog
        if cached is None or cached[0] != generation:
            cursor = self.cursor()
            try:
                cached = generation, read_catalog(cursor)
            finally:
                cursor.close()
            self._catalog = cached
        seen: Callable[[Catalog], Catalog] | None = getattr(self._thread, "seen", None)
        return cached[1] if seen is None else seen(cached[1])

    @contextmanager
    def under(self, settings: Mapping[str, ModelSettings]) -> Iterator[None]:
        """In this block and thread, models have these settings, by name: so a week is judged by the limits that held then. For reading only."""
        held: list[tuple[Catalog, Catalog]] = []

        def seen(present: Catalog) -> Catalog:
            if not held or held[0][0] is not present:
                held[:] = [(present, with_settings(present, settings))]
            return held[0][1]

        before = getattr(self._thread, "seen", None)
        self._thread.seen = seen
        try:
            yield
        finally:
            self._thread.seen = before

    @contextmanager
    def write(self, *, aside: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
        """The one writer's cursor inside one transaction, committed at the end of the block, undone where it raises.

        aside: what is written changes nothing that a page shows (a memory of what was computed), so no cache becomes old by it, and where somebody else
        writes just now nobody waits: StoreBusyError. Not for use inside itself. Raises StoreBrokenError where the disk refused; what had been committed
        before stays.
        """
        if self._writer == threading.get_ident():
            raise RuntimeError("Store.write() inside Store.write(): pass the writer's cursor on")
        if not self._writing.acquire(blocking=not aside):
            raise StoreBusyError("the store is being written", where=str(self.path), attempt="Try again")
        try:
            cursor = self.cursor()
            self._writer = threading.get_ident()
            try:
                cursor.begin()
                yield cursor
                cursor.commit()
            except (duckdb.FatalException, duckdb.IOException, duckdb.OutOfMemoryException) as error:
                with suppress(duckdb.Error):
                    cursor.rollback()
                raise StoreBrokenError(
                    "the store could not be written", where=str(self.path), got=first_line(error),
                    attempt="Free some disk space and try again; what was stored before is intact",
                ) from error  # fmt: skip
            except BaseException:
                with suppress(duckdb.Error):
                    cursor.rollback()
                raise
            finally:
                self._writer = None
                if not aside:
                    self.unhurried += getattr(self._thread, "background", False)
                    self.generation += 1
                with suppress(duckdb.Error):
                    cursor.close()
        finally:
            self._writing.release()

    @contextmanager
    def in_background(self) -> Iterator[None]:
        """What this thread commits in the block is news that nobody waits for: pages may show it a few seconds later."""
        self._thread.background = True
        try:
            yield
        finally:
            self._thread.background = False

    def free_bytes(self) -> int:
        """Free space on the disk that holds the store."""
        return shutil.disk_usage(self.home).free

    def require_space(self) -> None:
        """Raises StoreBrokenError below the floor of free disk space, so that nothing is begun that could not be finished."""
        if (free := self.free_bytes()) < FLOOR_BYTES:
            raise StoreBrokenError(
                "the disk is nearly full, so nothing more is loaded", where=str(self.home), got=f"{free // 2**20} MB free",
                expected=f"at least {FLOOR_BYTES // 2**20} MB", attempt="Free some space; what waits in landing is kept",
            )  # fmt: skip

    def trim(self) -> None:
        """Lets go of cached blocks beyond CACHE_BYTES, so that loading takes a bounded amount of memory whatever it loads."""
        cursor = self.cursor()
        try:
            (used,) = cursor.execute("SELECT coalesce(sum(memory_usage_bytes), 0) FROM duckdb_memory()").fetchall()[0]
            if used > CACHE_BYTES:
                with suppress(duckdb.OutOfMemoryException):  # a query beside it holds more just now
                    cursor.execute(f"SET memory_limit = '{CACHE_BYTES}B'")
                cursor.execute(f"SET memory_limit = '{self._memory_limit}'")
        finally:
            cursor.close()

    def close(self) -> None:
        """Closes every connection. A second call does nothing."""
        with self._mutex:
            connection, self._connection = self._connection, None
            if connection is not None:
                self._close(connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _fresh(self) -> duckdb.DuckDBPyConnection:
        assert self._connection is not None
        cursor = self._connection.cursor()
        cursor.execute("SELECT 1")
        self._cursors.add(cursor)
        return cursor

    def _reopen(self) -> None:
        if self._connection is not None:
            self._close(self._connection)
        self._connection = None
        self._connection = self._connect()
        self.generation += 1

    def _close(self, connection: duckdb.DuckDBPyConnection) -> None:
        for each in [*self._cursors, connection]:
            with suppress(duckdb.Error):
                each.close()
        self._cursors.clear()

    def _connect(self) -> duckdb.DuckDBPyConnection:
        old_mask = os.umask(0o077)
        try:
            connection = duckdb.connect(
                str(self.path),
                config={
                    "autoinstall_known_extensions": False,
                    "autoload_known_extensions": False,
                    "temp_directory": str(self.home / "tmp"),
                    "memory_limit": self._memory_limit,
                    "threads": self._threads,
                    "checkpoint_threshold": "256MB",
                    "python_enable_replacements": False,
                    "perfect_ht_threshold": 16,  # beyond it the empty table of a few hundred groups takes 100 ms to make
                },
            )
        except duckdb.Error as error:
            raise self._refused(error) from error
        finally:
            os.umask(old_mask)
        quoted = str(self.home).replace("'", "''")
        connection.execute("SET GLOBAL TimeZone = 'UTC'")
        connection.execute(f"SET allowed_directories = ['{quoted}/']")
        connection.execute("SET enable_external_access = false")
        connection.execute(f"SET allowed_configs = {list(OPEN_OPTIONS)}")
        connection.execute("SET lock_configuration = true")
        return connection

    def _refused(self, error: duckdb.Error) -> StoreBusyError | StoreBrokenError:
        if isinstance(error, duckdb.IOException) and (owner := locked_by(self.path)) is not None:
            return StoreBusyError(
                "the store is in use by another process", where=str(self.path), got=f"PID {owner}",
                attempt="Ask the dashboard that runs, or stop it first",
            )  # fmt: skip
        return StoreBrokenError(
            "the store cannot be opened", where=str(self.path), got=first_line(error),
            attempt="Restore a backup, or move the file aside and load the records again",
        )  # fmt: skip


def locked_by(path: Path) -> int | None:
    """PID of another process that holds a lock on the file, None where nobody does. Only for a file that this process has not open."""
    with suppress(OSError), path.open("rb+") as file:
        query = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind, _, _, _, pid = struct.unpack("hhqqi4x", fcntl.fcntl(file, fcntl.F_GETLK, query))
        return None if kind == fcntl.F_UNLCK else int(pid)
    return None


def first_line(error: Exception) -> str:
    """The first line of an error's text, without its final stop."""
    return str(error).strip().split("\n", 1)[0].rstrip(".")
