"""Open the database of a home folder for many reading threads and one writer.

DuckDB lets one process own a file. Inside that process every reader takes its own cursor, and all writes go through `Store.write`: one
writer at a time, one transaction, and a generation number that grows with every commit, so that caches can tell when they are stale.
"""

import fcntl
import os
import shutil
import struct
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import duckdb

from observability.core.catalog import Catalog
from observability.core.errors import StoreBrokenError, StoreBusyError, StoreDamagedError
from observability.core.settings import ModelSettings
from observability.store.db.catalog_store import catalog_with_settings, read_catalog
from observability.store.db.failures import error_summary, is_damage, opening_advice, store_failure
from observability.store.db.results import Cursor

DATABASE = "store.duckdb"
FLOOR_BYTES = 512 * 1024 * 1024
"""Free disk space below which nothing is written: a full disk at a checkpoint stops the whole database."""
CACHE_BYTES = 256 * 1024 * 1024
"""Size of the block cache that is kept after a load; without a limit a long load would fill the memory that queries may use."""
MOST_REPAIRS = 20
"""How often the files may be mended while a store is opened: a damaged log is cut once for each damaged place."""
OPEN_OPTIONS = ("max_execution_time", "operator_memory_limit", "threads", "memory_limit")
"""DuckDB options that can still be changed after the store is open. All others are locked."""


class Database:
    """One open database. Safe under threads.

    generation: grows with every commit that changes what can be read. generations: that number as it was after the last commit about each
    model's own rows, by name, and under "" after the last that may concern all. unhurried: how many of these commits were made inside
    `in_background`. loading: lock of the loader, so that one thread at a time loads landing. reconciled: whether the loaded segments were
    compared with the manifest. mended: whether damage was mended since then, so that lost segments are expected. mend: called where the
    files turn out to be damaged as they are opened; they are then opened again.
    """

    def __init__(self, home: Path, memory_limit: str, threads: int | None, mend: Callable[[StoreDamagedError], None] | None = None) -> None:
        self.home = home
        self._mend = mend
        self.mended = False
        self.generation = self.unhurried = 0
        self.generations: dict[str, int] = {"": 0}
        self._changed: set[str] | None = None
        self._thread = threading.local()
        self.loading = threading.Lock()
        self.reconciled = False
        self._memory_limit = memory_limit
        self.threads = threads or os.cpu_count() or 1
        """Threads that a query may use."""
        self._mutex = threading.RLock()
        self._writing = threading.Lock()
        self._writer: int | None = None
        self._cursors: weakref.WeakSet[Cursor] = weakref.WeakSet()
        self._catalog: tuple[int, Catalog] | None = None
        self._closed = False
        self._connection: Cursor | None = self._open()

    @property
    def path(self) -> Path:
        """The database file."""
        return self.home / DATABASE

    @property
    def landing(self) -> Path:
        """The folder in which records arrive (client/spool.py)."""
        return self.home / "landing"

    def cursor(self) -> Cursor:
        """A new connection for one thread and one use. Reopens the database once per call after a fatal DuckDB error.

        Raises StoreBrokenError where it is closed or cannot be opened again; a later call tries to open it again.
        """
        with self._mutex:
            if self._closed:
                raise StoreBrokenError("the store is closed", where=str(self.path))
            if self._connection is None:
                self._reopen()
            try:
                return self._fresh()
            except duckdb.FatalException:
                self._reopen()
                return self._fresh()

    def catalog(self) -> Catalog:
        """Every model, version, column and edge in the store. The same object until the next commit."""
        generation, cached = self.generation, self._catalog
        if cached is None or cached[0] != generation:
            with self.cursor() as cursor:
                cached = generation, read_catalog(cursor)
            self._catalog = cached
        seen: Callable[[Catalog], Catalog] | None = getattr(self._thread, "seen", None)
        return cached[1] if seen is None else seen(cached[1])

    @contextmanager
    def under(self, settings: Mapping[str, ModelSettings]) -> Iterator[None]:
        """Within the context, models have these settings in this thread, by name. Reviews of past weeks use it. For reading only."""
        held: list[tuple[Catalog, Catalog]] = []

        def seen(present: Catalog) -> Catalog:
            if not held or held[0][0] is not present:
                held[:] = [(present, catalog_with_settings(present, settings))]
            return held[0][1]

        before = getattr(self._thread, "seen", None)
        self._thread.seen = seen
        try:
            yield
        finally:
            self._thread.seen = before

    @contextmanager
    def write(self, *, aside: bool = False) -> Iterator[Cursor]:
        """The cursor of the single writer in a transaction: committed at the end of the block, rolled back if the block raises.

        aside: the write changes nothing that a page shows (a cached computation). Caches stay valid, and the call raises StoreBusyError
        instead of waiting for another writer. Cannot be nested. Raises StoreBrokenError if the disk refuses the write; earlier commits
        stay.
        """
        if self._writer == threading.get_ident():
            raise RuntimeError("Store.write() inside Store.write(): pass the writer's cursor on")
        if not self._writing.acquire(blocking=not aside):
            raise StoreBusyError("the store is being written", where=str(self.path), attempt="Try again")
        try:
            cursor = self.cursor()
            self._writer = threading.get_ident()
            committing = False
            try:
                cursor.begin()
                yield cursor
                committing = True
                _commit(cursor)
            except duckdb.Error as error:
                with suppress(duckdb.Error):
                    cursor.rollback()
                if (failure := store_failure(error, self.path, committing=committing)) is None:
                    raise
                raise failure from error
            except BaseException:
                with suppress(duckdb.Error):
                    cursor.rollback()
                raise
            finally:
                self._writer = None
                changed, self._changed = self._changed, None
                if not aside:
                    self.unhurried += getattr(self._thread, "background", False)
                    self._count_change(changed)
                with suppress(duckdb.Error):
                    cursor.close()
        finally:
            self._writing.release()

    def note_changed_models(self, models: Iterable[str] | None) -> None:
        """Inside `write`: it changes nothing but these models' own rows; None: it may change anything, as a write that notes nothing."""
        noted = {""} if models is None else set(models)
        self._changed = noted if self._changed is None else self._changed | noted

    def _count_change(self, models: set[str] | None) -> None:
        """Count a commit about some models, or about all."""
        self.generation += 1
        self.generations |= dict.fromkeys(models if models is not None else {""}, self.generation)

    @contextmanager
    def in_background(self) -> Iterator[None]:
        """Commits of this thread within the context are not urgent: pages may show them a few seconds later."""
        self._thread.background = True
        try:
            yield
        finally:
            self._thread.background = False

    def free_bytes(self) -> int:
        """Free space on the disk that holds the store."""
        return shutil.disk_usage(self.home).free

    def require_readable(self) -> None:
        """Raise StoreBrokenError where the database does not answer."""
        try:
            with self.cursor() as cursor:
                cursor.execute("SELECT count(*) FROM models").fetchall()
        except duckdb.Error as error:
            raise StoreBrokenError(
                "the store cannot be read", where=str(self.path), got=error_summary(error), attempt=opening_advice(error)
            ) from error

    def require_space(self) -> None:
        """Raise StoreBrokenError if free disk space is below FLOOR_BYTES, before work is begun that could not be finished."""
        if (free := self.free_bytes()) < FLOOR_BYTES:
            raise StoreBrokenError(
                "the disk is nearly full, so nothing more is loaded",
                where=str(self.home),
                got=f"{free // 2**20} MB free",
                expected=f"at least {FLOOR_BYTES // 2**20} MB",
                attempt="Free some space; records in landing are kept",
            )

    def trim(self) -> None:
        """Evict cached blocks beyond CACHE_BYTES, so that the memory use of loading is bounded."""
        with self.cursor() as cursor:
            (used,) = cursor.execute("SELECT coalesce(sum(memory_usage_bytes), 0) FROM duckdb_memory()").fetchall()[0]
            if used > CACHE_BYTES:
                with suppress(duckdb.OutOfMemoryException):  # a concurrent query holds more than that
                    cursor.execute(f"SET memory_limit = '{CACHE_BYTES}B'")
                cursor.execute(f"SET memory_limit = '{self._memory_limit}'")

    def close(self) -> None:
        """Close every connection. A second call does nothing."""
        with self._mutex:
            self._closed = True
            connection, self._connection = self._connection, None
            if connection is not None:
                self._close(connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _fresh(self) -> Cursor:
        assert self._connection is not None
        cursor = self._connection.cursor()
        cursor.execute("SELECT 1")
        self._cursors.add(cursor)
        return cursor

    def _reopen(self) -> None:
        if self._connection is not None:
            self._close(self._connection)
        self._connection = None
        self._connection = self._open()
        self._count_change(None)

    def _open(self) -> Cursor:
        """Connect, and mend damaged files on the way. Raises StoreBusyError, StoreBrokenError."""
        for _ in range(MOST_REPAIRS):
            try:
                return self._connect()
            except StoreDamagedError as error:
                if self._mend is None:
                    raise
                self._mend(error)
                self.mended, self.reconciled = True, False
        return self._connect()

    def _close(self, connection: Cursor) -> None:
        for open_connection in [*self._cursors, connection]:
            with suppress(duckdb.Error):
                open_connection.close()
        self._cursors.clear()

    def _connect(self) -> Cursor:
        os.umask(0o077)  # for good: the log of the database is made anew after each checkpoint
        try:
            connection = duckdb.connect(
                str(self.path),
                config={
                    "autoinstall_known_extensions": False,
                    "autoload_known_extensions": False,
                    "temp_directory": str(self.home / "tmp"),
                    "memory_limit": self._memory_limit,
                    "threads": self.threads,
                    "checkpoint_threshold": "256MB",
                    "python_enable_replacements": False,
                    "perfect_ht_threshold": 16,  # larger ones take 100 ms to allocate for a few hundred groups
                },
            )
            quoted = str(self.home).replace("'", "''")
            connection.execute("SET GLOBAL TimeZone = 'UTC'")
            connection.execute(f"SET allowed_directories = ['{quoted}/']")
            connection.execute("SET enable_external_access = false")
            connection.execute(f"SET allowed_configs = {list(OPEN_OPTIONS)}")
            connection.execute("SET lock_configuration = true")
        except duckdb.Error as error:
            raise self._refused(error) from error
        for path in (self.path, log_path(self.path)):
            with suppress(OSError):  # of an earlier version, or on a file system without modes
                path.chmod(0o600)
        return connection

    def _refused(self, error: duckdb.Error) -> StoreBusyError | StoreBrokenError:
        if isinstance(error, duckdb.IOException) and (owner := _lock_owner_pid(self.path)) is not None:
            return StoreBusyError(
                "the store is in use by another process",
                where=str(self.path),
                got=f"PID {owner}",
                attempt="Use the running dashboard, or stop it first",
            )
        kind = StoreDamagedError if is_damage(error) else StoreBrokenError
        return kind("the store cannot be opened", where=str(self.path), got=error_summary(error), attempt=opening_advice(error))


def log_path(database: Path) -> Path:
    """The write-ahead log of a database file; it exists while it holds anything."""
    return database.with_name(database.name + ".wal")


def _lock_owner_pid(path: Path) -> int | None:
    """PID of another process that holds a lock on the file, or None. This process must not have the file open."""
    with suppress(OSError), path.open("rb+") as file:
        query = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind, _, _, _, pid = struct.unpack("hhqqi4x", fcntl.fcntl(file, fcntl.F_GETLK, query))
        return None if kind == fcntl.F_UNLCK else int(pid)
    return None


def _commit(cursor: Cursor) -> None:
    """Commit the transaction of the writer."""
    cursor.commit()
