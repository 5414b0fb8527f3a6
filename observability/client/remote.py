"""Send records to a collector over HTTP. Records are written to a spool on disk, and a thread sends the content of the spool. Only the
standard library is needed.

A record is written to a segment (one file of records) of the spool (spool.py), as it would be on the collector's own machine, and counts as
logged from then on. If several processes share a spool, only the one that holds the lock on `sender.lock` sends. A segment is deleted once
the collector has it on disk. If lines are sent twice because a response was lost, the collector stores them once.
"""

import atexit
import gzip
import hashlib
import http.client
import json
import logging
import os
import random
import ssl
import threading
import time
import weakref
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from observability.client.file_lock import CLOSE_ON_EXEC, lock_file
from observability.client.spool import Fsync, Spool, landing_folder, publish_abandoned, ready_segments
from observability.core.errors import UsageError

SPOOL_BYTES = 256 * 1024 * 1024
SEGMENT_BYTES = 1024 * 1024
SEGMENT_SECONDS = 1.0
BATCH_LINES, BATCH_BYTES = 500, 800_000
POLL_SECONDS = 0.2
ABANDONED_SECONDS = 5.0
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 60.0
MAX_RETRY_AFTER = 300.0
ANSWER_SECONDS = 30.0
EXIT_SECONDS = 3.0
"""Seconds for which the process waits for the collector when it ends; records that are not sent by then stay in the spool."""

_warnings = logging.getLogger("observability.client")


class _LaterError(Exception):
    """The collector did not accept a batch. after: seconds that the collector asked to wait; None if it did not say."""

    def __init__(self, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.after = after


class _PoisonedError(Exception):
    """The collector cannot read a batch at all."""


def outbox_folder(home: str | os.PathLike[str] | None, url: str) -> Path:
    """The default spool for a collector: a folder for each address, beside the landing folder of the home. Creates nothing."""
    return landing_folder(home).parent / "outbox" / hashlib.sha256(url.rstrip("/").encode()).hexdigest()[:16]


def collector_address(url: str) -> SplitResult:
    """The parts of a collector's address. Raises UsageError if the text is not an address."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.username or parts.query or parts.fragment:
        raise UsageError("the url of a collector cannot be used", got=repr(url)[:200], expected="https://host or https://host:port/path")
    return parts


class RemoteSpool:
    """Writes records to a spool on disk and sends them to a collector. Safe with threads and forks; `append` never raises and never waits
    for the network.

    most_bytes: maximum size of the spool; beyond it, records are dropped. dropped: number of records that were not written or that the
    collector rejected. last_error: why a record was dropped or the last attempt to send failed; None without an error. sent: number of
    records that this process delivered.
    """

    _thread: threading.Thread | None
    _stop: threading.Event
    _wake: threading.Event
    _asked_to_wait: bool
    _look_for_abandoned_at: float
    _sending_error: str | None
    _sender_lock: int | None

    def __init__(self, url: str, token: str, folder: Path, *, fsync: Fsync = "background", most_bytes: int = SPOOL_BYTES) -> None:
        self._address = collector_address(url)
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            raise UsageError(
                "a logger with url needs a token", attempt="Create one with: python -m observability token create --scope write"
            )
        if most_bytes < 1:
            raise UsageError("spool_bytes is a size above zero", got=most_bytes)
        if self._address.scheme == "http" and self._address.hostname not in ("localhost", "127.0.0.1", "::1"):
            _warnings.warning("the token goes to %s without encryption: use https", self._address.hostname)
        self.folder, self.most_bytes, self._token = folder, most_bytes, token
        self._spool = Spool(folder, fsync=fsync, segment_bytes=SEGMENT_BYTES, segment_seconds=SEGMENT_SECONDS)
        self.sent = self._reported = 0
        self._forget()
        _remote_spools.add(self)

    @property
    def dropped(self) -> int:
        """Number of records that were not written or that the collector rejected."""
        return self._spool.dropped

    @property
    def last_error(self) -> str | None:
        """Why the last record was dropped or the last attempt to send failed; None without an error."""
        return self._sending_error or self._spool.last_error

    def append(self, lines: bytes, count: int = 1) -> bool:
        """Write `count` whole lines to the spool; True once they are in a segment."""
        try:
            self._keep_sending()
            if self._held + len(lines) > self.most_bytes:
                self._spool.drop(
                    f"the spool {self.folder} holds {self.most_bytes:,} bytes, its limit: {self._sending_error or 'too fast'}", count
                )
                return False
            self._held += len(lines)
        except Exception as error:  # a service must not fail because its logging does
            self._spool.drop(f"cannot send: {type(error).__name__}: {error}", count)
        return self._spool.append(lines, count)

    def drop(self, reason: str, count: int = 1) -> None:
        """Count records as dropped; the first time is logged as a warning."""
        self._spool.drop(reason, count)

    def flush(self, timeout: float = 5.0) -> bool:
        """Send the content of the spool; this takes at most `timeout` seconds. False if something is left; it is sent later. Never
        raises.
        """
        try:
            self._spool.flush()
            self._keep_sending()
            if not self._asked_to_wait:
                self._not_before = 0.0
            self._wake.set()
            end = time.monotonic() + timeout
            while ready_segments(self.folder):
                if time.monotonic() >= end:
                    return False
                time.sleep(0.01)  # the sender of another process may send them, and that does not wake this thread
            return True
        except Exception as error:
            self._sending_error = f"{type(error).__name__}: {error}"
            return False

    def close(self, timeout: float = 5.0) -> bool:
        """Send the content of the spool, as `flush` does. Then end the thread, so that another process may send. A later record starts the
        thread again.
        """
        done = self.flush(timeout)
        self._stop.set()
        self._wake.set()
        if (thread := self._thread) is not None and thread is not threading.current_thread():
            thread.join(timeout=1.0)
        return done

    def _keep_sending(self) -> None:
        """Start the thread if none runs in this process."""
        if self._pid == os.getpid() and (thread := self._thread) is not None and thread.is_alive() and not self._stop.is_set():
            return
        if self._pid != os.getpid():  # a fork without hooks
            self._forget()
        with self._mutex:
            if self._thread is None or not self._thread.is_alive() or self._stop.is_set():
                self._stop, self._wake = threading.Event(), threading.Event()
                thread = threading.Thread(
                    target=self._send_forever, args=(self._stop, self._wake), name="observability-sender", daemon=True
                )
                with suppress(RuntimeError):  # the interpreter is exiting: the spool is sent by the next process
                    thread.start()
                    self._thread = thread

    def _send_forever(self, stop: threading.Event, wake: threading.Event) -> None:
        """Take the lock if it is free, and send published segments, oldest first. The thread runs this method."""
        lock: int | None = None
        connection = _CollectorConnection(self._address, self._token)
        try:
            while True:
                pause = POLL_SECONDS
                try:
                    self._held = bytes_below(self.folder)
                    if lock is None:
                        lock = self._sender_lock = _locked_file(self.folder / "sender.lock")
                    if lock is not None and time.monotonic() >= self._not_before:
                        self._send_published(connection)
                except OSError as error:
                    self._later(f"the spool {self.folder} cannot be read: {error}")
                if stop.is_set():
                    return
                wake.wait(pause)
                wake.clear()
        finally:
            connection.close()
            self._sender_lock = None
            if lock is not None:
                os.close(lock)

    def _send_published(self, connection: "_CollectorConnection") -> None:
        """Send every published segment; after a failure the rest waits."""
        if time.monotonic() >= self._look_for_abandoned_at:
            publish_abandoned(self.folder, self._spool.is_writing)
            self._look_for_abandoned_at = time.monotonic() + ABANDONED_SECONDS
        for path in ready_segments(self.folder):
            try:
                self._send_segment(connection, path)
            except _LaterError as error:
                self._later(str(error), error.after)
                return
            except _PoisonedError as error:
                (self.folder / "refused").mkdir(mode=0o700, exist_ok=True)
                os.rename(path, self.folder / "refused" / path.name)
                self.drop(f"the collector cannot read {path.name}, which is kept in refused/: {error}", 0)
            self._failures, self._not_before, self._asked_to_wait, self._sending_error = 0, 0.0, False, None

    def _send_segment(self, connection: "_CollectorConnection", path: Path) -> None:
        """Send a segment in batches, starting where the last attempt ended, and delete it."""
        whole = path.read_bytes()
        start = self._done.get(path.name, 0)
        most_lines = BATCH_LINES
        while start < len(whole):
            end = batch_end(whole, start, most_lines)
            lines = whole[start:end].count(b"\n") or 1
            dropped = self._spool.dropped - self._reported
            status, rejected = connection.post(whole[start:end], dropped)
            if status == 413 and lines > 1:
                most_lines = max(lines // 2, 1)
                continue
            self._reported += dropped
            if status == 413:
                rejected = ["the collector takes no record of this size"]
            self.sent += lines - len(rejected)
            if rejected:
                self.drop(f"the collector rejected a record: {rejected[0]}", len(rejected))
            start = self._done[path.name] = end
        path.unlink()
        self._done.pop(path.name, None)

    def _later(self, reason: str, after: float | None = None) -> None:
        """Pause after a failure: as long as the collector asked, or else twice as long as the last pause, with jitter."""
        self._sending_error = reason
        pause = min(FIRST_PAUSE * 2 ** min(self._failures, 10), LONGEST_PAUSE)
        self._failures += 1
        self._asked_to_wait = after is not None
        wait = random.uniform(pause / 2, pause) if after is None else after + random.uniform(0, 0.1 * after)
        self._not_before = time.monotonic() + wait
        if self._failures == 5:
            _warnings.warning("records wait in %s, since the collector does not take them: %s", self.folder, reason)

    def _forget(self) -> None:
        """Forget the thread. This sets the initial state; it is also used in a child process, because the thread runs only in the
        parent.
        """
        self._pid = os.getpid()
        self._mutex = threading.Lock()
        self._stop, self._wake = threading.Event(), threading.Event()
        self._thread = None
        self._held = 0
        self._failures, self._not_before, self._asked_to_wait = 0, 0.0, False
        self._look_for_abandoned_at = 0.0
        self._sending_error = None
        self._done: dict[str, int] = {}
        self._sender_lock = None

    def _after_fork(self) -> None:
        """Close the child's copy of the parent's lock; otherwise the lock would outlive the parent."""
        if self._sender_lock is not None:
            with suppress(OSError):
                os.close(self._sender_lock)
        self._forget()
        self._reported = self._spool.dropped


class _CollectorConnection:
    """A connection to the collector; it is opened when needed."""

    def __init__(self, address: SplitResult, token: str) -> None:
        self._address = address
        self._path = address.path.rstrip("/") + "/api/v1/records"
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}
        self._http: http.client.HTTPConnection | None = None

    def post(self, lines: bytes, dropped: int) -> tuple[int, list[str]]:
        """Send lines. Returns the status (202, 413 or 422) and the reasons why lines were rejected. Raises _LaterError, _PoisonedError."""
        headers = self._headers | ({"Observability-Dropped": str(dropped)} if dropped else {})
        try:
            if self._http is None:
                self._http = self._opened()
            self._http.request("POST", self._path, body=gzip.compress(lines, compresslevel=1), headers=headers)
            answer = self._http.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise _LaterError(f"the collector does not answer: {type(error).__name__}: {error}") from None
        if answer.will_close or answer.status >= 400:
            self.close()
        if answer.status in (202, 422):
            return answer.status, _rejected_reasons(body)
        if answer.status == 413:
            return 413, []
        told = f"the collector answered {answer.status} {body[:200].decode('utf-8', 'replace')}"
        if answer.status in (400, 415):
            raise _PoisonedError(told)
        raise _LaterError(told, retry_after_seconds(answer.headers.get("Retry-After")))

    def close(self) -> None:
        """Close the connection; `post` opens a new one."""
        if self._http is not None:
            self._http.close()
            self._http = None

    def _opened(self) -> http.client.HTTPConnection:
        host, port = self._address.hostname or "", self._address.port
        if self._address.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=ANSWER_SECONDS)
        return http.client.HTTPSConnection(host, port, timeout=ANSWER_SECONDS, context=ssl.create_default_context())


def batch_end(whole: bytes, start: int, most_lines: int) -> int:
    """The end of a batch of whole lines that begins at `start`. A batch has at least one line, at most the given number of lines, and at
    most BATCH_BYTES bytes.
    """
    end = start
    for _ in range(most_lines):
        line_end = whole.find(b"\n", end) + 1 or len(whole)
        if end > start and line_end - start > BATCH_BYTES:
            break
        end = line_end
        if end == len(whole):
            break
    return end


def retry_after_seconds(text: str | None) -> float | None:
    """The seconds stated by a Retry-After header, at most MAX_RETRY_AFTER; None if there is no header or it cannot be read."""
    if text is None:
        return None
    try:
        seconds = float(text) if text.strip().isdecimal() else (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError):
        return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER)


def bytes_below(folder: Path) -> int:
    """Bytes of the segments of a spool, including those that are still being written."""
    total = 0
    for part in ("open", "ready"):
        with suppress(FileNotFoundError):
            for entry in os.scandir(folder / part):
                with suppress(FileNotFoundError):
                    total += entry.stat().st_size
    return total


def _rejected_reasons(body: bytes) -> list[str]:
    """The reasons in a response of the collector."""
    try:
        return [str(line.get("reason")) for line in json.loads(body)["rejected"]]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _LaterError(f"this is no answer of a collector: {body[:200].decode('utf-8', 'replace')}") from None


def _locked_file(path: Path) -> int | None:
    """The descriptor of an open, locked file; None if another process holds the lock, or if the folder does not exist yet."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | CLOSE_ON_EXEC, 0o600)
    except FileNotFoundError:
        return None
    try:
        if lock_file(fd):
            return fd
    except OSError:
        os.close(fd)
        raise
    os.close(fd)
    return None


_remote_spools: "weakref.WeakSet[RemoteSpool]" = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for spool in list(_remote_spools):
        spool._after_fork()


def _close_at_exit() -> None:
    """Send the remaining records. If the last attempt failed, they stay in the spool for the next process."""
    for spool in list(_remote_spools):
        if spool._thread is not None:
            spool.close(0.0 if spool._failures else EXIT_SECONDS)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
atexit.register(_close_at_exit)
