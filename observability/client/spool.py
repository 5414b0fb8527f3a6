"""Write records to segments (files of records) in the landing folder, from any number of processes, and publish them for the loader.

`landing/open/` holds the segments of running writers, each under an exclusive lock; `landing/ready/` holds published segments. Publishing
is a rename. If a writer dies, its lock is released, so that the reader can publish its segment. A segment is JSONL; only the newline byte
separates lines.
"""

import atexit
import errno
import logging
import os
import shutil
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

from observability.client.file_lock import CAN_RENAME_OPEN_FILES, CLOSE_ON_EXEC, lock_file
from observability.core.errors import UsageError
from observability.records.private_file import make_private_folder, sync_folder

Fsync = Literal["never", "background", "always"]

SEGMENT_BYTES = 1024 * 1024
SEGMENT_SECONDS = 2.0
SYNC_SECONDS = 0.2
RETRY_SECONDS = 1.0
KEPT_BYTES = 64 * 1024 * 1024
"""Maximum bytes of unsynced lines that a spool keeps in memory, so that it can write them again if a sync fails."""

QUOTA_BYTES = 20 * 1024**3
"""If at least this many bytes wait in a landing folder, writers refuse records; used unless another quota is given."""
FLOOR_BYTES, FLOOR_SHARE = 128 * 1024**2, 0.02
"""If the disk has fewer free bytes than this, writers refuse records; the limit is at most this share of the disk. Used unless another
floor is given.
"""
LOOK_BYTES = 64 * 1024**2
"""After publishing this many bytes, a writer checks for room itself; usually its flusher does."""

_warnings = logging.getLogger("observability.client")


def landing_folder(home: str | os.PathLike[str] | None = None) -> Path:
    """The landing folder of a home: the argument, else OBSERVABILITY_HOME, else `.observability` in the current folder. Creates nothing."""
    landing = Path(home or os.environ.get("OBSERVABILITY_HOME") or ".observability") / "landing"
    try:
        return landing.absolute()
    except OSError:  # the current folder has been removed
        return landing


def ready_segments(landing: Path) -> list[Path]:
    """The published segments, sorted by name; a name begins with the time of creation (UTC, seconds). Read-only."""
    return sorted((landing / "ready").glob("*.jsonl"))


def publish_abandoned(landing: Path, is_written: Callable[[Path], bool] = lambda path: False) -> list[Path]:
    """Move the segments of writers that died to `ready/`, and return their new paths; empty segments are removed.

    The segments of running writers stay where they are. A last line without a newline is kept. Several readers may call this at the same
    time. is_written: a function that returns whether this process is still writing a segment, because on a platform without locks this
    cannot be seen from the file. Raises OSError if the folder cannot be read or written.
    """
    published = []
    for path in sorted((landing / "open").glob("*.jsonl")):
        if is_written(path):
            continue
        try:
            fd = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | CLOSE_ON_EXEC)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ELOOP):  # already published, or a link that no writer made
                continue
            raise
        try:
            if not lock_file(fd) or not _is_at(fd, path):
                continue
            size = os.fstat(fd).st_size
            if CAN_RENAME_OPEN_FILES:
                published += _publish_file(path, size)
        finally:
            os.close(fd)
        if not CAN_RENAME_OPEN_FILES:
            with suppress(FileNotFoundError):  # another reader was faster
                published += _publish_file(path, size)
    return published


def lack_of_room(landing: Path, quota_bytes: int, floor_bytes: int | None = None) -> str | None:
    """Why no further segment may be opened in a landing folder; None if there is room. Read-only. Raises OSError.

    A segment counts if it waits, is being written, or was set aside. Loaded segments do not count, because they are deleted after a week.
    """
    waiting = 0
    for name in ("open", "ready", "failed"):
        with suppress(FileNotFoundError), os.scandir(landing / name) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    waiting += entry.stat(follow_symlinks=False).st_size
    if waiting >= quota_bytes:
        return f"{waiting / 1e6:,.1f} MB wait to be loaded, the quota is {quota_bytes / 1e6:,.1f} MB; start the dashboard or run load"
    place = next(folder for folder in (landing, *landing.parents) if folder.exists())
    disk = shutil.disk_usage(place)
    floor = min(FLOOR_BYTES, int(disk.total * FLOOR_SHARE)) if floor_bytes is None else floor_bytes
    if disk.free < floor:
        return f"the disk has {disk.free / 1e6:,.1f} MB free, records are refused below {floor / 1e6:,.1f} MB; free some space"
    return None


def _publish_file(path: Path, size: int) -> list[Path]:
    """Move a segment from `open/` to `ready/` and return its new path; an empty segment is removed."""
    if size == 0:
        path.unlink(missing_ok=True)
        return []
    target = path.parent.parent / "ready" / path.name
    try:
        os.rename(path, target)
    except FileNotFoundError:  # the segment or the folder is missing
        make_private_folder(target.parent)
        os.rename(path, target)
    return [target]


def _is_at(fd: int, path: Path) -> bool:
    """Whether the path still leads to the open file. Another process may have published or removed the file before it was locked."""
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False


def _sync_data(fd: int) -> None:
    """Write a file's data to disk, with fsync on macOS and Windows because they have no fdatasync."""
    getattr(os, "fdatasync", os.fsync)(fd)


def create_segment(landing: Path, *, synced: bool) -> tuple[Path, int]:
    """Create an empty segment in `open/`, locked for its writer. synced: also write its name to disk. Raises OSError."""
    opened = landing / "open"
    for folder in (landing.parent, landing, opened, landing / "ready"):
        make_private_folder(folder)
    for _ in range(100):
        path = opened / f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.getpid()}-{os.urandom(6).hex()}.jsonl"
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | CLOSE_ON_EXEC, 0o600)
        try:
            if lock_file(fd) and _is_at(fd, path):  # otherwise a reader took the empty file for abandoned and removed it
                if synced:
                    for folder in (landing.parent, landing, opened):  # another process may have made them a moment ago
                        sync_folder(folder)
                return path, fd
        except BaseException:
            os.close(fd)
            path.unlink(missing_ok=True)
            raise
        os.close(fd)
    raise OSError(f"no segment in {opened} could be locked")


Unsynced = tuple[int, list[bytes]]
"""A descriptor to sync, and the lines that were written to it since its last sync."""


class Spool:
    """Writes to a landing folder for one process. Safe under threads, forks and signal handlers; `append` never raises.

    `dropped` counts records that were not acknowledged; `last_error` is the last reason, None without an error. After a failed sync the
    system may have lost written lines. Therefore all lines since the last successful sync are written to another segment; the loader stores
    equal lines once. If `quota_bytes` wait to be loaded, or the disk has less than `floor_bytes` free (default FLOOR_BYTES), no segment is
    opened. Records are then dropped and counted before any part of them is written.
    """

    def __init__(
        self,
        landing: Path,
        *,
        fsync: Fsync = "background",
        segment_bytes: int = SEGMENT_BYTES,
        segment_seconds: float = SEGMENT_SECONDS,
        quota_bytes: int = QUOTA_BYTES,
        floor_bytes: int | None = None,
    ) -> None:
        if fsync not in get_args(Fsync):
            raise UsageError("unknown fsync", got=repr(fsync), expected="never, background or always")
        if not segment_bytes > 0 or not segment_seconds > 0:
            raise UsageError("a segment needs a size and an age above zero", got=f"{segment_bytes} bytes, {segment_seconds} s")
        if not quota_bytes > 0 or (floor_bytes is not None and floor_bytes < 0):
            raise UsageError("the landing folder needs a quota above zero and a floor of zero or more", got=f"{quota_bytes}, {floor_bytes}")
        self.landing, self.fsync, self.segment_bytes, self.segment_seconds = landing, fsync, segment_bytes, segment_seconds
        self.quota_bytes, self.floor_bytes = quota_bytes, floor_bytes
        self._full: str | None = ""
        """Why there was no room at the last check; None: there was room; "": not checked yet."""
        self._looked_at, self._since_look = 0.0, 0
        self.dropped = 0
        self.last_error: str | None = None
        self._warned = False
        self._retry_at, self._refusal = 0.0, ""
        self._fd: int | None = None
        self._path = landing
        self._due = 0.0
        self._bytes = self._lines = 0
        self._torn = self._dirty = False
        self._tail: list[bytes] = []
        self._retired: list[Unsynced] = []
        self._syncing: list[Unsynced] = []
        self._failed: list[bytes] = []
        self._kept, self._rewrite_at = 0, 0.0
        self._flusher: threading.Thread | None = None
        self._forget()
        _spools.add(self)

    def is_writing(self, path: Path) -> bool:
        """Whether lines are still appended to this segment."""
        with self._mutex:
            return self._fd is not None and path == self._path

    def append(self, lines: bytes, count: int = 1) -> bool:
        """Append `lines` (`count` whole lines, the last ending with a newline) in one write. True once they are as durable as `fsync`
        requires.
        """
        try:
            if self._pid != os.getpid():  # a fork without hooks
                self._release_fds()
                self._forget()
            with self._mutex:
                self._append(lines)
                self._lines += count
                if self._bytes >= self.segment_bytes or time.monotonic() >= self._due:
                    self._publish()
            return True
        except OSError as error:
            self.drop(f"cannot write to {self.landing}: {error}", count)
        except Exception as error:  # a service must not fail because its logging does
            self.drop(f"cannot write to {self.landing}: {type(error).__name__}: {error}", count)
        return False

    def drop(self, reason: str, count: int = 1) -> None:
        """Count records as dropped; the first time is logged as a warning."""
        with self._mutex:
            self.dropped += count
            self.last_error = reason
            warned, self._warned = self._warned, True
        if not warned:
            _warnings.warning("a record was dropped (later ones are only counted): %s", reason)

    def flush(self) -> None:
        """Sync the written records (unless `fsync` is "never") and publish them. Never raises. The next record opens a new segment."""
        try:
            if self._pid != os.getpid():
                return  # the open segment belongs to the parent
            with self._mutex:
                if self._fd is not None:
                    self._sync(self._fd, self._take_tail())
                    self._dirty = False
                    self._publish()
                retired, self._retired = self._retired, []
                for fd, tail in retired:
                    self._sync(fd, tail)
                    os.close(fd)
                self._write_failed_again()
            self._wake.set()
        except Exception as error:
            self.last_error = f"cannot publish in {self.landing}: {error}"

    def _take_tail(self) -> list[bytes]:
        """Take the lines of the open segment since its last sync, because a new sync is about to begin."""
        tail, self._tail = self._tail, []
        return tail

    def _sync(self, fd: int, tail: list[bytes]) -> None:
        """Sync a descriptor. If that fails, its lines since the last sync are kept to be written again."""
        if self.fsync == "never":
            return
        try:
            _sync_data(fd)
        except OSError as error:
            self.last_error = f"cannot sync {self.landing}: {error}"
            with self._mutex:
                self._failed += tail
        else:
            with self._mutex:
                self._kept -= sum(map(len, tail))

    def _write_failed_again(self) -> None:
        """Write the lines whose sync failed to a new segment. If that fails too, it is tried again later."""
        with self._mutex:
            failed, self._failed = self._failed, []
        if not failed:
            return
        try:
            self._write_segment(b"".join(failed))
        except OSError as error:
            self.last_error = f"cannot write to {self.landing}: {error}"
            with self._mutex:
                self._failed = failed + self._failed
                self._rewrite_at = time.monotonic() + RETRY_SECONDS
        else:
            with self._mutex:
                self._kept -= sum(map(len, failed))

    def _write_segment(self, lines: bytes) -> None:
        """Write lines to a separate segment, sync it and publish it. If writing fails, raises OSError and leaves no segment."""
        path, fd = create_segment(self.landing, synced=True)
        try:
            view = memoryview(lines)
            while view:
                view = view[os.write(fd, view) :]
            _sync_data(fd)
        except OSError:
            os.close(fd)
            path.unlink(missing_ok=True)
            raise
        if not CAN_RENAME_OPEN_FILES:
            os.close(fd)
        try:
            with suppress(FileNotFoundError):  # a reader was faster
                _publish_file(path, len(lines))
            sync_folder(self.landing / "ready")
        finally:
            if CAN_RENAME_OPEN_FILES:
                os.close(fd)

    def _append(self, whole: bytes) -> None:
        fd = self._fd if self._fd is not None else self._open()
        lines = b"\n" + whole if self._torn else whole
        written = 0
        try:
            while written < len(lines):
                written += os.write(fd, lines[written:] if written else lines)
                self._torn = not lines.endswith(b"\n", 0, written)
        finally:
            self._bytes += written
        self._dirty = True
        if self.fsync == "always":
            try:
                _sync_data(fd)
            except OSError:
                self._write_segment(whole)
                self._publish()
        elif self.fsync == "background" and self._kept < KEPT_BYTES:
            self._tail.append(whole)
            self._kept += len(whole)

    def _open(self) -> int:
        if time.monotonic() < self._retry_at:
            raise OSError(self._refusal)
        if self._full is not None or self._since_look >= min(LOOK_BYTES, self.quota_bytes // 10):
            self._look_for_room()
        if self._full is not None:
            self._retry_at, self._refusal = time.monotonic() + RETRY_SECONDS, self._full
            raise OSError(self._full)
        try:
            self._path, fd = create_segment(self.landing, synced=self.fsync == "always")
        except OSError as error:
            self._retry_at, self._refusal = time.monotonic() + RETRY_SECONDS, str(error)
            raise
        self._due = time.monotonic() + self.segment_seconds
        self._bytes = self._lines = 0
        self._torn = self._dirty = False
        self._kept -= sum(map(len, self._take_tail()))
        self._fd = fd
        if self._flusher is None:
            flusher = threading.Thread(target=self._keep_flushing, name="observability-flusher", daemon=True)
            with suppress(RuntimeError):  # the interpreter is exiting: a reader publishes the segment
                flusher.start()
                self._flusher = flusher
        return fd

    def _look_for_room(self) -> None:
        """Check whether there is room for another segment. While there is room, the flusher does this, so that callers need not wait."""
        self._looked_at, self._since_look = time.monotonic(), 0
        try:
            self._full = lack_of_room(self.landing, self.quota_bytes, self.floor_bytes)
        except OSError as error:
            self._full = str(error)

    def _publish(self) -> None:
        """Publish the open segment. The flusher syncs its descriptor afterwards, so that no caller has to wait for the disk.

        If open files cannot be renamed (Windows), the segment is synced and closed first.
        """
        if self._fd is None:
            return
        fd, path, size, lines, self._fd = self._fd, self._path, self._bytes, self._lines, None
        self._since_look += size
        if not CAN_RENAME_OPEN_FILES:
            self._sync(fd, self._take_tail())
            os.close(fd)
        try:
            if _publish_file(path, size) and self.fsync == "always":
                sync_folder(self.landing / "ready")
                sync_folder(path.parent)
        except FileNotFoundError:
            if not (self.landing / "ready" / path.name).exists():
                self.drop(f"{path} was removed while it was being written", lines)
        except OSError as error:  # the segment stays in open/ without a lock, and a reader publishes it
            self.last_error = f"cannot publish {path}: {error}"
        if not CAN_RENAME_OPEN_FILES:
            return
        if self._dirty and self.fsync == "background" and self._flusher is not None:
            self._retired.append((fd, self._take_tail()))
        else:
            os.close(fd)

    def _keep_flushing(self) -> None:
        """Sync and publish on time while a segment is open; the thread ends when no segment is open and nothing is left to do."""
        running = True
        while running:
            wait = SYNC_SECONDS if self._fd is None else max(self._due - time.monotonic(), 0.001)
            self._wake.wait(min(wait, SYNC_SECONDS) if self.fsync == "background" else wait)
            self._wake.clear()
            try:
                running = self._flush_due()
            except OSError as error:  # for example no free descriptors: try again
                self.last_error = f"cannot sync {self.landing}: {error}"

    def _flush_due(self) -> bool:
        """One round of the flusher; False if no work is left."""
        if time.monotonic() - self._looked_at >= self.segment_seconds:
            self._look_for_room()
        with self._mutex:
            if time.monotonic() >= self._due:
                self._publish()
            self._syncing, self._retired = [*self._syncing, *self._retired], []
            if self._fd is None and not self._syncing and not self._failed:
                self._flusher = None
                return False
            if self._fd is not None and self._dirty and self.fsync == "background":
                self._syncing.append((os.dup(self._fd), self._take_tail()))
                self._dirty = False
        for fd, tail in self._syncing:
            self._sync(fd, tail)
        with self._mutex:
            while self._syncing:
                os.close(self._syncing.pop()[0])
        if time.monotonic() >= self._rewrite_at:
            self._write_failed_again()
        return True

    def _forget(self) -> None:
        """Forget the open segment. This sets the initial state; it is also used in a child process, because the open segment belongs to the
        parent.
        """
        self._pid = os.getpid()
        self._mutex = threading.RLock()
        self._wake = threading.Event()
        self._flusher = None
        self._fd = None
        self._retired, self._syncing = [], []
        self._tail, self._failed, self._kept = [], [], 0

    def _release_fds(self) -> None:
        """Close a child's copies of the parent's descriptors; otherwise a copy would hold the parent's lock after the parent has died."""
        held = [fd for fd, _ in (*self._retired, *self._syncing)]
        for fd in (*held, *([] if self._fd is None else [self._fd])):
            with suppress(OSError):
                os.close(fd)


_spools: "weakref.WeakSet[Spool]" = weakref.WeakSet()
_held_for_fork: list[Spool] = []
_forking = threading.Lock()


def _before_fork() -> None:
    _forking.acquire()
    for spool in list(_spools):
        spool._mutex.acquire()
        _held_for_fork.append(spool)


def _after_fork_in_parent() -> None:
    while _held_for_fork:
        _held_for_fork.pop()._mutex.release()
    _forking.release()


def _after_fork_in_child() -> None:
    while _held_for_fork:
        spool = _held_for_fork.pop()
        spool._release_fds()
        spool._forget()
    _forking.release()


def _flush_all() -> None:
    for spool in list(_spools):
        spool.flush()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
atexit.register(_flush_all)
