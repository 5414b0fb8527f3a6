"""How do records reach the landing folder whole, from any number of processes, and how does a reader take them?

`landing/open/` holds segments that a living writer appends to, each under an exclusive flock; `landing/ready/` holds published ones.
Publishing is a rename. A segment whose writer died is free of its lock, and the reader publishes it. A segment is JSONL, split at the newline byte alone.
"""

import atexit
import errno
import fcntl
import logging
import os
import threading
import time
import weakref
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

from observability.core.errors import UsageError

Fsync = Literal["never", "background", "always"]

SEGMENT_BYTES = 8 * 1024 * 1024
SEGMENT_SECONDS = 5.0
SYNC_SECONDS = 0.2
RETRY_SECONDS = 1.0

_warnings = logging.getLogger("observability.client")


def landing_folder(home: str | os.PathLike[str] | None = None) -> Path:
    """The landing folder of a home: the argument, else OBSERVABILITY_HOME, else `.observability` in the current folder. Creates nothing."""
    landing = Path(home or os.environ.get("OBSERVABILITY_HOME") or ".observability") / "landing"
    try:
        return landing.absolute()
    except OSError:  # the current folder has been removed
        return landing


def ready_segments(landing: Path) -> list[Path]:
    """The published segments, by name, which begins with the time of creation (UTC, seconds). Read-only."""
    return sorted((landing / "ready").glob("*.jsonl"))


def publish_abandoned(landing: Path) -> list[Path]:
    """Moves the segments of writers that have died to `ready/`, and returns their new paths; removes empty ones.

    A living writer's segments stay. A last line without a newline is kept as it is. Several readers may call this at once.
    Raises OSError where the folder cannot be read or written.
    """
    published = []
    for path in sorted((landing / "open").glob("*.jsonl")):
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ELOOP):  # published meanwhile, or a link that no writer made
                continue
            raise
        try:
            if not _lock(fd) or not _is_at(fd, path):
                continue
            if os.fstat(fd).st_size == 0:
                path.unlink()
                continue
            target = landing / "ready" / path.name
            os.rename(path, target)
            published.append(target)
        finally:
            os.close(fd)
    return published


def _lock(fd: int) -> bool:
    """True where the exclusive lock is ours now, False where another holds it."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(fd: int, path: Path) -> bool:
    """Whether the open file is still the one with that name: it may have been published or removed before the lock was ours."""
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def create_segment(landing: Path, *, synced: bool) -> tuple[Path, int]:
    """A new, empty segment in `open/` with its file, locked for its writer. synced: its name is on disk too. Raises OSError."""
    opened = landing / "open"
    for folder in (landing.parent, landing, opened, landing / "ready"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for _ in range(100):
        path = opened / f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.getpid()}-{os.urandom(6).hex()}.jsonl"
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            if _lock(fd) and _is_at(fd, path):  # else a reader took the empty file for abandoned
                if synced:
                    _sync_folder(opened)
                return path, fd
        except BaseException:
            path.unlink(missing_ok=True)
            os.close(fd)
            raise
        os.close(fd)
    raise OSError(f"no segment in {opened} could be locked")


class Spool:
    """One process's end of a landing folder. Safe under threads, forks and signal handlers; `append` never raises.

    `dropped` counts records that were not acknowledged, `last_error` says why the last one was not (None: all was well).
    """

    def __init__(
        self, landing: Path, *, fsync: Fsync = "background", segment_bytes: int = SEGMENT_BYTES, segment_seconds: float = SEGMENT_SECONDS
    ) -> None:
        if fsync not in get_args(Fsync):
            raise UsageError("unknown fsync", got=repr(fsync), expected="never, background or always")
        if not segment_bytes > 0 or not segment_seconds > 0:
            raise UsageError("a segment needs a size and an age above zero", got=f"{segment_bytes} bytes, {segment_seconds} s")
        self.landing, self.fsync, self.segment_bytes, self.segment_seconds = landing, fsync, segment_bytes, segment_seconds
        self.dropped = 0
        self.last_error: str | None = None
        self._warned = False
        self._retry_at, self._refusal = 0.0, ""
        self._fd: int | None = None
        self._path = landing
        self._due = 0.0
        self._bytes = self._lines = 0
        self._torn = self._dirty = False
        self._retired: list[int] = []
        self._syncing: list[int] = []
        self._flusher: threading.Thread | None = None
        self._forget()
        _spools.add(self)

    def append(self, lines: bytes, count: int = 1) -> bool:
        """Writes `lines` (whole, ending with a newline, `count` of them) in one write; True once that is as durable as `fsync` promises."""
        try:
            if self._pid != os.getpid():  # a fork that ran no hooks
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
        """Counts records as dropped, and says so through `logging` the first time."""
        with self._mutex:
            self.dropped += count
            self.last_error = reason
            warned, self._warned = self._warned, True
        if not warned:
            _warnings.warning("a record was dropped (later ones are only counted): %s", reason)

    def flush(self) -> None:
        """Publishes what was written, on disk first unless `fsync` is "never". Never raises. The next record opens a new segment."""
        try:
            if self._pid != os.getpid():
                return  # what is open is the parent's
            with self._mutex:
                if self._fd is not None:
                    self._sync(self._fd)
                    self._dirty = False
                    self._publish()
                retired, self._retired = self._retired, []
                for fd in retired:
                    self._sync(fd)
                    os.close(fd)
            self._wake.set()
        except Exception as error:
            self.last_error = f"cannot publish in {self.landing}: {error}"

    def _sync(self, fd: int) -> None:
        if self.fsync != "never":
            try:
                os.fdatasync(fd)
            except OSError as error:
                self.last_error = f"cannot sync {self.landing}: {error}"

    def _append(self, lines: bytes) -> None:
        fd = self._fd if self._fd is not None else self._open()
        if self._torn:
            lines = b"\n" + lines
        written = 0
        try:
            while written < len(lines):
                written += os.write(fd, lines[written:] if written else lines)
                self._torn = not lines.endswith(b"\n", 0, written)
        finally:
            self._bytes += written
        self._dirty = True
        if self.fsync == "always":
            os.fdatasync(fd)

    def _open(self) -> int:
        if time.monotonic() < self._retry_at:
            raise OSError(self._refusal)
        try:
            self._path, fd = create_segment(self.landing, synced=self.fsync == "always")
        except OSError as error:
            self._retry_at, self._refusal = time.monotonic() + RETRY_SECONDS, str(error)
            raise
        self._due = time.monotonic() + self.segment_seconds
        self._bytes = self._lines = 0
        self._torn = self._dirty = False
        self._fd = fd
        if self._flusher is None:
            flusher = threading.Thread(target=self._keep_flushing, name="observability-flusher", daemon=True)
            with suppress(RuntimeError):  # the interpreter is ending: a reader publishes the segment
                flusher.start()
                self._flusher = flusher
        return fd

    def _publish(self) -> None:
        """Renames the open segment to `ready/`. A descriptor that is not on disk yet goes to the flusher: no caller waits for the disk."""
        if self._fd is None:
            return
        fd, path, size, lines, self._fd = self._fd, self._path, self._bytes, self._lines, None
        try:
            if size == 0:
                path.unlink(missing_ok=True)
            else:
                self._move(path)
        except FileNotFoundError:
            self.drop(f"{path} was removed while it was being written", lines)
        except OSError as error:  # it stays in open/ without a lock: a reader publishes it
            self.last_error = f"cannot publish {path}: {error}"
        if self._dirty and self.fsync == "background" and self._flusher is not None:
            self._retired.append(fd)
        else:
            os.close(fd)

    def _move(self, path: Path) -> None:
        ready = self.landing / "ready"
        try:
            os.rename(path, ready / path.name)
        except FileNotFoundError:  # which of the two is missing?
            ready.mkdir(mode=0o700, exist_ok=True)
            os.rename(path, ready / path.name)
        if self.fsync == "always":
            _sync_folder(ready)
            _sync_folder(path.parent)

    def _keep_flushing(self) -> None:
        """Syncs and publishes on time while a segment is open; ends when none is, so that an idle service has no thread."""
        running = True
        while running:
            wait = max(self._due - time.monotonic(), 0.001)
            self._wake.wait(min(wait, SYNC_SECONDS) if self.fsync == "background" else wait)
            self._wake.clear()
            try:
                running = self._flush_due()
            except OSError as error:  # out of descriptors: again in a moment
                self.last_error = f"cannot sync {self.landing}: {error}"

    def _flush_due(self) -> bool:
        """One round of the flusher: False where nothing is left to do."""
        with self._mutex:
            if time.monotonic() >= self._due:
                self._publish()
            self._syncing, self._retired = [*self._syncing, *self._retired], []
            if self._fd is None and not self._syncing:
                self._flusher = None
                return False
            if self._fd is not None and self._dirty and self.fsync == "background":
                self._syncing.append(os.dup(self._fd))
                self._dirty = False
        for fd in self._syncing:
            self._sync(fd)
        with self._mutex:
            while self._syncing:
                os.close(self._syncing.pop())
        return True

    def _forget(self) -> None:
        """Starts without a segment: at first, and in a child, where the open segment is the parent's."""
        self._pid = os.getpid()
        self._mutex = threading.RLock()
        self._wake = threading.Event()
        self._flusher = None
        self._fd = None
        self._retired, self._syncing = [], []

    def _release_fds(self) -> None:
        """Closes a child's copies of the parent's descriptors: while one is open, the parent's lock outlives the parent."""
        for fd in (*self._retired, *self._syncing, *([] if self._fd is None else [self._fd])):
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


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
atexit.register(_flush_all)
