"""The lock of the store, and the state of the process that owns the store (the owner).

Only one process at a time has the database open: the dashboard while it runs, else a command. The lock on `HOME/owner.lock` decides which.
The file `owner.json` beside it (0600) holds the address at which the owner runs commands for other processes. A dashboard loads new records
in a separate thread.
"""

import contextlib
import json
import logging
import os
import secrets
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from observability.client.file_lock import CLOSE_ON_EXEC, lock_file
from observability.client.spool import landing_folder
from observability.core.errors import ObservabilityError, StoreBrokenError, StoreBusyError
from observability.core.switches import is_disabled
from observability.records.private_file import make_private_folder, replace_private_file
from observability.server.audit_log import mark_logged_predictions
from observability.server.group_commit import GroupCommit
from observability.server.quotas import TokenQuotas
from observability.server.waiting_halves import WaitingHalves, settle_overdue_halves
from observability.worker.permission import use_decisions_of

if TYPE_CHECKING:
    from observability.enrichment.enrich import EnrichmentState
    from observability.server.collected_segments import CollectedState
    from observability.server.publishing import Publisher
    from observability.server.watcher import Watching
    from observability.store.engine import Store, WorkProgress

LOG = logging.getLogger(__name__)
LOCK_VARIABLE = "OBSERVABILITY_LOCK_FD"
PUBLISHED_VARIABLE = "OBSERVABILITY_PUBLISHED"
"""In a process that only reads published states (copies of the store), this variable names their folder (replica.py)."""
LOAD_EVERY = 1.0
SHORTEST_PAUSE, LONGEST_PAUSE = 0.1, 60.0
"""A load begins every LOAD_EVERY seconds, or after the shortest pause if a load takes longer than that. The pause doubles with each
failure, up to the longest one.
"""
SWITCH_SECONDS = 0.0005
"""Longest time in seconds for which a page that computes in Python keeps the interpreter lock. The loader needs this lock hundreds of times
per load.
"""
NIGHTS_EVERY = 60.0
"""Seconds between two checks whether the night's work is due."""


def home_folder(home: str | os.PathLike[str] | None = None) -> Path:
    """The home: the argument, else OBSERVABILITY_HOME, else `.observability` in the current folder."""
    return Path(home or os.environ.get("OBSERVABILITY_HOME") or ".observability").absolute()


class Lock:
    """An exclusive lock on a home. It is held until `release` or until the process ends."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def release(self) -> None:
        """Release the home; safe to call twice."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def hand_over(self) -> None:
        """Keep the lock across an exec. The next program takes it over in `take_lock`."""
        os.set_inheritable(self.fd, True)
        os.environ[LOCK_VARIABLE] = str(self.fd)


def take_lock(home: Path, wait: float = 0.0) -> Lock:
    """Lock the home, trying again for `wait` seconds. Raises StoreBusyError (with the PID of the owner, if it is known), and
    StoreBrokenError if the folder cannot be used.
    """
    inherited = os.environ.pop(LOCK_VARIABLE, None)
    if inherited is not None:
        with contextlib.suppress(OSError, ValueError):
            os.set_inheritable(int(inherited), False)
            return Lock(int(inherited))
    try:
        make_private_folder(home)
        fd = os.open(home / "owner.lock", os.O_RDWR | os.O_CREAT | CLOSE_ON_EXEC, 0o600)
    except OSError as error:
        attempt = "Set OBSERVABILITY_HOME to a folder that you may write to, on a disk with free space"
        raise StoreBrokenError("the home folder cannot be used", where=str(home), got=error.strerror, attempt=attempt) from error
    until = time.monotonic() + wait
    while True:
        if lock_file(fd):
            return Lock(fd)
        if time.monotonic() >= until:
            os.close(fd)
            address = read_address(home)
            who = f"process {address.pid}" if address else "another process"
            raise StoreBusyError(f"the store is in use by {who}", where=home.name, attempt="Stop it, or wait for it to end")
        time.sleep(0.05)  # flock cannot wait with a time limit


@dataclass(frozen=True)
class Address:
    """Address of the owner: process id, loopback port, and the token of its command route."""

    pid: int
    port: int
    token: str


def read_address(home: Path) -> Address | None:
    """The address that the owner wrote; None if it is missing or unreadable. It may be out of date: only the lock decides which process is
    the owner.
    """
    try:
        body = json.loads((home / "owner.json").read_text(encoding="utf-8"))
        return Address(int(body["pid"]), int(body["port"]), str(body["token"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_address(home: Path, address: Address) -> None:
    """Publish the address, readable by this user only."""
    replace_private_file(home / "owner.json", json.dumps(asdict(address)))


def clear_address(home: Path) -> None:
    """Delete the file with the address of the owner."""
    with contextlib.suppress(OSError):
        (home / "owner.json").unlink()


@dataclass
class LoaderState:
    """State of the loader thread.

    done_bytes, total_bytes: bytes of the current segment. failure, attempt: why the last load failed and what to do, None after a success.
    failures: number of failures in a row. took: seconds of the last load. last_success, last_load (of at least one line), last_failure,
    next_try: epoch seconds. restarts: number of restarts of the loader thread.
    """

    busy: bool = False
    done_bytes: int = 0
    total_bytes: int = 0
    failure: str | None = None
    attempt: str | None = None
    failures: int = 0
    restarts: int = 0
    took: float = 0.0
    last_success: float | None = None
    last_load: float | None = None
    last_failure: float | None = None
    next_try: float | None = None

    def succeeded(self, lines: int) -> None:
        """Note that a number of lines was loaded."""
        self.last_success = time.time()
        self.last_load = self.last_success if lines else self.last_load
        self.failure, self.attempt, self.failures = None, None, 0

    def failed(self, error: BaseException) -> None:
        """Note a load that failed."""
        self.last_failure = time.time()
        known = isinstance(error, ObservabilityError)
        self.failure = str(error) if known else f"{type(error).__name__}: {error}"
        self.attempt = error.attempt if isinstance(error, ObservabilityError) else None
        self.failures += 1

    def pause(self) -> float:
        """Seconds until the next load."""
        pause = min(LOAD_EVERY * 2 ** min(self.failures, 10), LONGEST_PAUSE)
        if not self.failures:
            pause = max(LOAD_EVERY - self.took, min(SHORTEST_PAUSE, LOAD_EVERY))
        self.next_try = time.time() + pause
        return pause


@dataclass
class Owner:
    """The process that owns a home: its lock, store, token and background threads.

    closed: a function that is called after the store is closed and before the lock is released.
    """

    home: Path
    lock: Lock
    store: "Store"
    closed: Callable[[], object] | None = None
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    loader: LoaderState = field(default_factory=LoaderState)
    stopping: threading.Event = field(default_factory=threading.Event)
    starting: threading.Lock = field(default_factory=threading.Lock)
    thread: threading.Thread | None = None
    keeper: threading.Thread | None = None
    enriching: "EnrichmentState | None" = None
    enricher: threading.Thread | None = None
    watching: "Watching | None" = None
    watcher: threading.Thread | None = None
    nights: threading.Thread | None = None
    probes: threading.Thread | None = None
    audits: threading.Thread | None = None
    lake: tuple[threading.Thread, ...] = ()
    collected: "CollectedState | None" = None
    sample: threading.Thread | None = None
    summaries: threading.Thread | None = None
    publisher: "Publisher | None" = None
    publishing: threading.Thread | None = None

    def __post_init__(self) -> None:
        self.records = GroupCommit(landing_folder(self.home))
        """Writes the records that arrive over HTTP."""
        self.quotas = TokenQuotas()
        self.waiting = WaitingHalves(self.home)
        """Requests and responses of model servers that wait for their other half."""
        self.store.waiting = self.waiting
        hash_ids_of_earlier_versions(self.home)

    def start_loader(self) -> None:
        """Load new records every second, until `close`. If the thread ends, it is started again, and the restart is counted."""
        sys.setswitchinterval(SWITCH_SECONDS)
        self.keep_loader_alive()
        self.keeper = started_thread("keeper", self.keep_loader_alive_forever)

    def keep_loader_alive(self) -> None:
        """Start the loader's thread if it does not run."""
        with self.starting:
            if self.stopping.is_set() or (self.thread is not None and self.thread.is_alive()):
                return
            if self.thread is not None:
                self.loader.restarts += 1
                LOG.error("the loader ended; it is started again")
            self.thread = started_thread("loader", self.load_forever)

    def keep_loader_alive_forever(self) -> None:
        """Check the loader's thread every second, until `close`."""
        while not self.stopping.wait(LOAD_EVERY):
            self.keep_loader_alive()

    def start_enricher(self) -> None:
        """Explain predictions and estimate errors while the loader is idle, until `close`, unless this is switched off (enrich.SWITCH)."""
        from observability.enrichment import enrich

        if is_disabled(enrich.SWITCH):
            return
        self.enriching = enrich.EnrichmentState()
        self.enricher = started_thread("enricher", enrich.run_enrichment_thread, self.store, self.enriching, self.stopping)

    def start_watcher(self) -> None:
        """Check live models, send alerts and freeze last week, until `close`, unless this is switched off (watcher.SWITCH)."""
        from observability.server import watcher

        if is_disabled(watcher.SWITCH):
            return
        self.watching = watcher.Watching()
        self.watcher = started_thread("watcher", watcher.run_watcher, self.store, self.watching, self.stopping)

    def start_probes(self) -> None:
        """Ask the scheduled probe sets when they are due, until `close`, unless this is switched off (probe_schedule.SWITCH)."""
        from observability.server import probe_schedule

        if not is_disabled(probe_schedule.SWITCH):
            self.probes = started_thread("probes", probe_schedule.run_probes, self.store, self.stopping)

    def start_audits(self) -> None:
        """Run the scheduled audits when they are due and nothing waits, until `close`, unless this is switched off
        (audit_schedule.SWITCH).
        """
        from observability.server import audit_schedule

        if not is_disabled(audit_schedule.SWITCH):
            self.audits = started_thread("audits", audit_schedule.run_audit_schedule, self.store, self.stopping)

    def start_lake(self) -> None:
        """Load the sources of lake.toml when they are due, and bring the segments of collectors, until `close`."""
        from observability.server import lake_schedule

        self.collected, works = lake_schedule.lake_work(self.store, self.stopping)
        self.lake = tuple(started_thread(name, work) for name, work in works.items())

    def start_sample(self, run: "Callable[[Store, threading.Event], object]") -> None:
        """Write the records of a live sample as they become due, until `close`."""
        self.sample = started_thread("sample", run, self.store, self.stopping)

    def start_summaries(self, run: "Callable[[Store, threading.Event], object]") -> None:
        """Queue the summaries of dashboards when they are due, until `close`."""
        self.summaries = started_thread("dashboards", run, self.store, self.stopping)

    def start_publisher(self) -> None:
        """Publish states (copies) of the store for processes that only read, if the settings ask for this, until `close`."""
        from observability.server.publishing import Publisher

        self.publisher = Publisher(self.store)
        self.publishing = started_thread("publisher", self.publisher.run_until, self.stopping)

    def start_nights(self) -> None:
        """Do the night's work (retention, backups) when it is due, until `close`."""
        self.nights = started_thread("nights", self.work_at_night)

    def work_at_night(self) -> None:
        """Check every minute whether the night's work is due, and settle events that have waited too long. Failures, including invalid
        settings, are noted for `status`.
        """
        while not self.stopping.wait(NIGHTS_EVERY):
            try:
                settle_overdue_halves(self.waiting, self.records)
            except Exception:
                LOG.exception("events that waited too long could not be settled")
            try:
                if self.store.nightly_is_due():
                    with self.store.in_background():
                        self.store.nightly(write_tables=self.write_metric_tables)
            except ObservabilityError as error:
                LOG.warning("the night's work did not begin: %s", error)
            except Exception:
                LOG.exception("the night's work failed")

    def write_metric_tables(self, address: str) -> dict[str, int]:
        """Check every model and write the metric tables to a folder or a bucket. Returns the number of rows by table."""
        from observability.export.metric_tables import export_metric_tables

        return export_metric_tables(self.store, address)

    def load_forever(self) -> None:
        """Run the loader. A failure is kept for `status` and pages, and the load is tried again later. Files in the landing folder are not
        lost.
        """
        counted = False
        while not self.stopping.wait(self.loader.pause()):
            if self.load_once() and not counted:
                with contextlib.suppress(ObservabilityError):  # if this fails, the next request for the status reports the error
                    self.store.status(LOAD_EVERY)  # no request waits for the first count, which takes as long as the store is large
                counted = True

    def load_once(self) -> bool:
        """Load the landing folder once. Returns False if the load failed."""
        state = self.loader
        state.busy, begun = True, time.monotonic()
        try:
            self.records.publish()
            with self.store.in_background():
                report = self.store.load_landing(progress=self.note_progress)
            state.succeeded(report.lines)
        except ObservabilityError as error:
            state.failed(error)
            LOG.warning("loading stopped: %s", error)
        except Exception as error:
            state.failed(error)
            LOG.exception("loading failed")
        except BaseException as error:
            state.failed(error)
            raise
        finally:
            state.busy, state.took = False, time.monotonic() - begun
        return state.failure is None

    def note_progress(self, done_bytes: int, total_bytes: int, *_rest: object) -> None:
        """Progress callback of the loader."""
        self.loader.done_bytes, self.loader.total_bytes = done_bytes, total_bytes

    def listen(self, port: int) -> None:
        """Publish the loopback port at which commands reach this owner."""
        write_address(self.home, Address(os.getpid(), port, self.token))

    def close(self) -> None:
        """Stop the threads, close the store, release the lock."""
        self.stopping.set()
        for thread in filter(None, (self.enricher, self.watcher, self.nights, self.probes, self.audits, self.summaries)):
            thread.join(timeout=10)
        for thread in filter(None, (self.thread, self.sample, self.publishing, *self.lake)):
            thread.join(timeout=60)
        self.records.publish()
        self.waiting.close()
        self.store.close()
        if self.closed is not None:
            self.closed()
        clear_address(self.home)
        self.lock.release()


def hash_ids_of_earlier_versions(home: Path) -> None:
    """Replace plain ids of predictions in the audit log by hashes. If the log cannot be read or changed, it stays as it is, and the start
    continues.
    """
    try:
        mark_logged_predictions(home)
    except (ObservabilityError, OSError, ValueError) as error:
        LOG.warning("the audit log of an earlier version could not be changed: %s", error)


def started_thread(name: str, target: Callable[..., object], *args: object) -> threading.Thread:
    """A daemon thread that has started."""
    thread = threading.Thread(target=target, args=args, name=name, daemon=True)
    thread.start()
    return thread


_current: Owner | None = None


def own_home(home: Path, wait: float = 5.0) -> Owner:
    """Lock and open a home, once, for the rest of the process. Returns its owner. Raises StoreBusyError."""
    global _current
    if _current is None:
        lock = take_lock(home, wait)
        try:
            from observability.store.opener import open_store

            store = open_store(home)
            use_decisions_of(home)
            _current = Owner(home, lock, store)
        except BaseException:
            lock.release()
            raise
    return _current


def stand_for_owner(stand_in: Owner) -> None:
    """Let this process work with something other than a store that it owns: the records of a collector, or the published states of a
    replica.
    """
    global _current
    _current = stand_in


def current_owner() -> Owner:
    """The owner in this process. Raises StoreBusyError if there is none."""
    if _current is None:
        raise StoreBusyError("the store is not open in this process", attempt="Start the dashboard with make run")
    return _current


def current_store() -> "Store":
    """The store that this process owns."""
    return current_owner().store


@contextlib.contextmanager
def opened_store(home: Path, wait: float = 0.0) -> Iterator["Store"]:
    """Lock and open the store for one command. Raises StoreBusyError."""
    from observability.store.opener import open_store

    lock = take_lock(home, wait)
    try:
        store = open_store(home)
        use_decisions_of(home)
        store.waiting = waiting = WaitingHalves(home)
        hash_ids_of_earlier_versions(home)
        try:
            yield store
        finally:
            waiting.close()
            store.close()
    finally:
        lock.release()


def restore_backup(home: Path, folder: Path | str, progress: "WorkProgress | None" = None) -> dict[str, Any]:
    """Lock the home and restore into it the newest backup in a folder. Raises StoreBusyError while a dashboard runs."""
    from observability.store.opener import restore_home

    lock = take_lock(home)
    try:
        return restore_home(home, folder, progress)
    finally:
        lock.release()
