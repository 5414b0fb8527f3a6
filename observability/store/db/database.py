"""Open the database of a home folder for many reading threads and one writer.

DuckDB lets one process own a file. Inside that process every reader takes its own cursor, and all writes go through `Store.write`: one
writer at a time, one transaction, and a generation number that grows with every commit, so that caches can tell when they are stale.
"""

import os
import shutil
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import date, datetime
from pathlib import Path
from typing import Any, NamedTuple, Self

import duckdb

from observability.core.catalog import COMPUTED, Catalog, Model
from observability.core.errors import ObservabilityError, StoreBrokenError, StoreBusyError, StoreDamagedError
from observability.core.finding import AUDIT_STEPS, KEPT_FILE
from observability.core.settings import ModelSettings
from observability.records.private_file import sync_folder
from observability.store.db.catalog_store import catalog_with_settings, read_catalog, reread_catalog
from observability.store.db.connection import DATABASE, connect_database, log_path
from observability.store.db.database_copy import REWRITTEN, copy_database, remove_rewritten
from observability.store.db.erasures import FILE as ERASURES
from observability.store.db.erasures import ErasedMatcher, matcher_of
from observability.store.db.failures import broken_disk, error_summary, opening_advice, store_failure
from observability.store.db.kept_counts import COUNTS_FILE, Counts, read_counts, write_counts
from observability.store.db.published_files import withdraw_states
from observability.store.db.results import Cursor
from observability.store.types.erasing import WaitingRecords

FLOOR_BYTES = 512 * 1024 * 1024
"""Free disk space below which nothing is written: a full disk at a checkpoint stops the whole database."""
CACHE_BYTES = 256 * 1024 * 1024
"""Size of the block cache that is kept after a load; without a limit a long load would fill the memory that queries may use."""
READERS_SECONDS = 30.0
"""How long a rewritten file waits for queries to end before it replaces the old one. After that time the queries are interrupted; after the
same time again the rewrite gives up.
"""
MAX_REPAIRS = 20
"""How often the files may be repaired while a store is opened: a damaged log is cut once for each damaged place."""


class Counted(NamedTuple):
    """The counts of a status, with the generation and time (monotonic) at which they were made, and the seconds of thread time that they
    took.
    """

    generation: int
    at: float
    seconds: float
    counts: dict[str, Any]


class Database:
    """One open database. Safe under threads.

    generation: grows with every commit that changes what can be read. generations: the number of the last commit about each model's own
    rows and records, by name; under "" the number of the last commit that may concern all models; under `computed_values` of a name the
    number of the last commit that changed only values computed from its rows. Each number is written in its commit, so a later process has
    the same numbers. unhurried: how many of these commits were made inside `in_background`. rewrites: how often the file was rewritten.
    Results from before a rewrite may contain data that were removed. loading: lock of the loader, so that one thread at a time loads
    landing. reconciled: whether the loaded segments were compared with the manifest. mended: whether damage was repaired since then, so
    that lost segments are expected. counted: the counts of the last status. mend: called if the files turn out to be damaged while they
    are opened; after that they are opened again.
    """

    read_only = False
    """Whether the file is opened only for reading, which several processes can do at once."""

    def __init__(self, home: Path, memory_limit: str, threads: int | None, mend: Callable[[StoreDamagedError], None] | None = None) -> None:
        self.home = home
        self._mend = mend
        self.mended = False
        self.generation = self.unhurried = self.rewrites = 0
        self.generations: dict[str, int] = {"": 0}
        self._changed: set[str] | None = None
        self._thread = threading.local()
        self.loading = threading.Lock()
        self.publishing = threading.Lock()
        """Held while a state of the store is published, or the published ones are withdrawn."""
        self.reconciled = False
        self.purge_at = 0.0
        """The next time at which old segments of landing are deleted, on the clock of `time.monotonic`."""
        self.compacted: tuple[date | None, int] = (None, -1)
        """The day on which the sizes of rollups were last looked at, and the number of the last commit before that."""
        self._memory_limit = memory_limit
        self.threads = threads or os.cpu_count() or 1
        """Threads that a query may use."""
        self._mutex = threading.RLock()
        self._writing = threading.Lock()
        self._writer: int | None = None
        self._cursors: weakref.WeakSet[Cursor] = weakref.WeakSet()
        self._catalog: tuple[int, Catalog] | None = None
        self._erased: tuple[tuple[int, int] | None, ErasedMatcher | None] = None, None
        self.waiting: WaitingRecords | None = None
        """Records that wait outside of the store; an erasure reaches them too. Whoever opens the home sets it."""
        self._closed = self._swapping = False
        self._synced_names: tuple[int, ...] = ()
        """The inodes of the database and its log whose names in the folder are synced to disk."""
        self.counted: Counted | None = None
        self.counted_models: dict[tuple[str, str], tuple[int, Any]] = {}
        """Counts of single models, by the name of the count and the model; each with the model's generation at that time."""
        self._counts_of_file: Counts = {}
        self._writes_commits = False
        self._connection: Cursor | None = self._open()

    def recall_commits(self) -> None:
        """Take over the commit numbers of earlier processes, and write the number of each later commit with that commit.

        New numbers begin at the present time in nanoseconds, so that two histories of one store, as after a restored backup, share no
        number.
        """
        with self.cursor() as cursor:
            self.generations |= dict(cursor.execute("SELECT scope, number FROM commits").fetchall())
        self.generation = max(time.time_ns(), *self.generations.values())
        self._writes_commits = True
        self.counted_models = read_counts(self.home)
        self._counts_of_file = dict(self.counted_models)

    def forget_counts(self) -> None:
        """Drop the counts in this process and for later processes."""
        self.counted_models, self._counts_of_file = {}, {}
        (self.home / COUNTS_FILE).unlink(missing_ok=True)

    def keep_counts(self, folder: Path) -> None:
        """Write the counts of the present models into a folder, for a process that opens this state of the store."""
        write_counts(folder, dict(self.counted_models), [model.name for model in self.catalog().models])

    def keep_new_counts(self) -> None:
        """Write the counts beside the store for the next process, if any count is new. Only the process that owns the store does this."""
        if self._writes_commits and not self._closed and self.counted_models != self._counts_of_file:
            with suppress(duckdb.Error, ObservabilityError, OSError):
                self.keep_counts(self.home)
                self._counts_of_file = dict(self.counted_models)

    @property
    def path(self) -> Path:
        """The path of the database file."""
        return self.home / DATABASE

    @property
    def landing(self) -> Path:
        """The folder in which records arrive (client/spool.py)."""
        return self.home / "landing"

    def cursor(self) -> Cursor:
        """A new connection for one thread and one use. Reopens the database once per call after a fatal DuckDB error.

        Raises StoreBrokenError if the store is closed or cannot be opened again; a later call tries again to open it.
        """
        own: weakref.WeakSet[Cursor] | None = getattr(self._thread, "cursors", None)
        if own is None:
            own = self._thread.cursors = weakref.WeakSet()
        while self._swapping and self._writer != threading.get_ident() and not any(map(_is_open, list(own))):
            time.sleep(0.005)  # until the rewritten file is in place
        with self._mutex:
            if self._closed:
                raise StoreBrokenError("the store is closed", where=str(self.path))
            if self._connection is None:
                self._reopen()
            try:
                cursor = self._fresh()
            except duckdb.FatalException:
                self._reopen()
                cursor = self._fresh()
            own.add(cursor)
            return cursor

    def removed_rows(self, model: Model, span: tuple[datetime, datetime] | None = None) -> Cursor | None:
        """A cursor in which the tables of a model hold the rows that retention removed (at least those of `span`); None if no lake has
        these rows.
        """
        del model, span
        return None

    def unread_days(self, model: str) -> tuple[str, ...]:
        """The days of a model whose rows retention removed and whose rows cannot be read from the lake that lists these days."""
        del model
        return ()

    def catalog(self) -> Catalog:
        """Every model, version, column and edge in the store. The object stays the same until the next commit. After that only the models
        that the commit concerns are read again.
        """
        generation, cached = self.generation, self._catalog
        if cached is None or cached[0] != generation:
            changed = {name.removeprefix(COMPUTED) for name, number in dict(self.generations).items() if cached and number > cached[0]}
            with self.cursor() as cursor:
                cached = generation, read_catalog(cursor) if cached is None or "" in changed else reread_catalog(cursor, cached[1], changed)
            self._catalog = cached
        seen: Callable[[Catalog], Catalog] | None = getattr(self._thread, "seen", None)
        return cached[1] if seen is None else seen(cached[1])

    @contextmanager
    def under(self, settings: Mapping[str, ModelSettings]) -> Iterator[None]:
        """Within the context, this thread sees these settings, by name of the model. For reading only; reviews of past weeks use it."""
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
        with self._only_writer(blocking=not aside):
            cursor = self.cursor()
            committing = False
            try:
                cursor.begin()
                before = self._file_numbers()
                yield cursor
                if self._writes_commits and not aside:
                    scopes = sorted({""} if self._changed is None else self._changed)
                    cursor.execute("INSERT OR REPLACE INTO commits SELECT unnest(?), ?", [scopes, self.generation + 1])
                committing = True
                _commit(cursor)
                self._sync_new_names(before)
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
                changed, self._changed = self._changed, None
                if not aside:
                    self.unhurried += getattr(self._thread, "background", False)
                    self._count_change(changed)
                with suppress(duckdb.Error):
                    cursor.close()

    def _file_numbers(self) -> tuple[int, ...]:
        """The inodes of the database and its log; 0 for a file that does not exist."""
        found = []
        for path in (self.path, log_path(self.path)):
            try:
                found.append(path.stat().st_ino)
            except OSError:
                found.append(0)
        return tuple(found)

    def _sync_new_names(self, before: tuple[int, ...]) -> None:
        """After a commit, sync the folder if the database or its log is a new file: DuckDB syncs the content of files, not their names."""
        present = self._file_numbers()
        if present == before == self._synced_names:
            return
        try:
            sync_folder(self.home)
        except OSError as error:
            raise broken_disk(error, self.home) from error
        self._synced_names = present

    @contextmanager
    def _only_writer(self, *, blocking: bool = True) -> Iterator[None]:
        """Within the context, no other thread writes. Raises StoreBusyError if another thread is writing and `blocking` is False."""
        if self._writer == threading.get_ident():
            raise RuntimeError("Store.write() inside Store.write(): pass the writer's cursor on")
        if not self._writing.acquire(blocking=blocking):
            raise StoreBusyError("the store is being written", where=str(self.path), attempt="Try again")
        self._writer = threading.get_ident()
        try:
            yield
        finally:
            self._writer = None
            self._writing.release()

    @contextmanager
    def between_writes(self) -> Iterator[None]:
        """Within the context nothing is written, and the files are as the last commit left them. Pages can still read."""
        with self._only_writer():
            yield

    def note_changed_models(self, models: Iterable[str] | None) -> None:
        """Inside `write`: note that the write changes only these models' own rows (or, as `computed_values` of a name, values computed from
        them). None: the write may change anything; a write that notes nothing counts the same.
        """
        noted = {""} if models is None else set(models)
        self._changed = noted if self._changed is None else self._changed | noted

    def model_commit(self, model: str) -> int:
        """The number of the last commit that may concern the rows of a model."""
        return max(self.generations[""], self.generations.get(model, 0))

    def _count_change(self, models: set[str] | None) -> None:
        """Count a commit about some models, or about all."""
        number = self.generation + 1
        self.generations |= dict.fromkeys(models if models is not None else {""}, number)
        self.generation = number  # set last, so that whoever sees this number also finds the numbers of the models

    def rewrite(self, progress: Callable[[int, int], object] | None = None) -> None:
        """Copy the database into a new file, which replaces the old file and holds no remains of deleted rows.

        Pages can still read; writes wait meanwhile. progress: called with the number of copied rows and of all rows. If the process is
        killed at any moment, the store is either the old file or the new one. Raises StoreBrokenError if the disk refuses or has no room
        for a second copy; the old file then stays.
        """
        draft = self.home / REWRITTEN
        self._withdraw_states()
        with self._only_writer():
            try:
                remove_rewritten(self.home)
                for told in (self.home / KEPT_FILE, *self.home.glob(AUDIT_STEPS)):  # these files may contain what was removed
                    told.unlink(missing_ok=True)
                self.forget_counts()
                self._require_room_for_copy()
                with self.cursor() as cursor:
                    copy_database(cursor, draft, progress or (lambda done, total: None))
                self._take_place(draft)
            except (duckdb.Error, OSError) as error:
                failure = store_failure(error, self.path) if isinstance(error, duckdb.Error) else None
                raise failure or broken_disk(error, self.path, "the store could not be rewritten") from error
            finally:
                with suppress(OSError):
                    remove_rewritten(self.home)
        self._withdraw_states(self.rewrites)  # a state may have been copied before the new file was in place

    def _withdraw_states(self, spared: int | None = None) -> None:
        """Remove the published states, because they contain removed records. Waits for a state that is being published. spared: states with
        this number of rewrites stay.
        """
        with self.publishing:
            try:
                withdraw_states(self.home, spared)
            except OSError as error:
                raise broken_disk(error, self.home, "the published states could not be removed") from error

    def _require_room_for_copy(self) -> None:
        size, free = self.path.stat().st_size, self.free_bytes()
        if free < size + FLOOR_BYTES:
            raise StoreBrokenError(
                "the disk has no room to rewrite the store",
                where=str(self.home),
                got=f"{free // 2**20:,} MB free",
                expected=f"at least {(size + FLOOR_BYTES) // 2**20:,} MB",
                attempt="Free some space and run the command again",
            )

    def _take_place(self, draft: Path) -> None:
        """Put the new file in place of the old one while no query runs. Raises StoreBusyError if queries do not end.

        Threads that are already reading may finish; other threads wait.
        """
        self._swapping = True
        try:
            begun, interrupted = time.monotonic(), False
            while True:
                with self._mutex:
                    if not (reading := [cursor for cursor in list(self._cursors) if _is_open(cursor)]):
                        self._replace(draft)
                        return
                waited = time.monotonic() - begun
                if waited > READERS_SECONDS and not interrupted:
                    interrupted = True
                    for cursor in reading:
                        cursor.interrupt()
                if waited > 2 * READERS_SECONDS:
                    attempt = "Try again when nobody reads it"
                    raise StoreBusyError("the store was copied but is read without a pause", where=str(self.path), attempt=attempt)
                del reading
                time.sleep(0.005)  # DuckDB does not report when a cursor is closed
        finally:
            self._swapping = False

    def _replace(self, draft: Path) -> None:
        if self._closed:
            raise StoreBrokenError("the store is closed", where=str(self.path))
        cursor = self._fresh()
        cursor.execute("FORCE CHECKPOINT")
        cursor.close()
        connection, self._connection = self._connection, None
        if connection is not None:
            self._close(connection)
        try:
            if log_path(self.path).exists():
                raise OSError("the log of the database could not be emptied")
            os.replace(draft, self.path)
            sync_folder(self.home)
        finally:
            self._connection = self._open()
            self.rewrites += 1
            self.counted_models = {}
            self._count_change(None)

    @contextmanager
    def in_background(self) -> Iterator[None]:
        """Commits of this thread within the context are not urgent: pages may show them a few seconds later."""
        self._thread.background = True
        try:
            yield
        finally:
            self._thread.background = False

    def erased(self) -> ErasedMatcher | None:
        """The matcher that recognizes records of erased subjects; None if nothing was erased. Raises StoreBrokenError if the key is
        missing.
        """
        try:
            state = (self.home / ERASURES).stat()
        except FileNotFoundError:
            return None
        stamp = state.st_mtime_ns, state.st_ino
        known, matcher = self._erased
        if known != stamp:
            matcher = matcher_of(self.home)
            self._erased = stamp, matcher
        return matcher

    def free_bytes(self) -> int:
        """Free space on the disk that holds the store."""
        return shutil.disk_usage(self.home).free

    def require_readable(self) -> None:
        """Raise StoreBrokenError if the database does not answer."""
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
                with suppress(duckdb.OutOfMemoryException):  # raised if a concurrent query holds more memory than that
                    cursor.execute(f"SET memory_limit = '{CACHE_BYTES}B'")
                cursor.execute(f"SET memory_limit = '{self._memory_limit}'")

    def close(self) -> None:
        """Close every connection, and keep the counts for the next process. A second call does nothing."""
        try:
            self.keep_new_counts()
        finally:
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
        """Connect, and repair damaged files first. Raises StoreBusyError, StoreBrokenError."""
        for _ in range(MAX_REPAIRS):
            try:
                return self._connect()
            except StoreDamagedError as error:
                if self._mend is None:
                    raise
                self._mend(error)
                self.mended, self.reconciled = True, False
        return self._connect()

    def _connect(self) -> Cursor:
        return connect_database(self.path, self.home, self._memory_limit, self.threads, self.read_only)

    def _close(self, connection: Cursor) -> None:
        for open_connection in [*self._cursors, connection]:
            with suppress(duckdb.Error):
                open_connection.close()
        self._cursors.clear()


def _is_open(cursor: Cursor) -> bool:
    """Whether a connection is still open. The check does not wait for the connection's query."""
    try:
        cursor.query_progress()
    except duckdb.ConnectionException:
        return False
    except duckdb.Error:
        return True
    return True


def _commit(cursor: Cursor) -> None:
    """Commit the transaction of the writer."""
    cursor.commit()
