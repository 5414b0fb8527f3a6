"""Who owns the store, and how do others reach the owner?

One process at a time has the database open: the dashboard while it runs, else a command. The lock on `HOME/owner.lock` is the truth; the file
`owner.json` beside it (0600) says where the dashboard listens. A dashboard loads what lands, in a thread of its own.
"""

import contextlib
import fcntl
import json
import logging
import os
import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from observability.core.errors import ObservabilityError, StoreBusyError

if TYPE_CHECKING:
    from observability.enrichment.enrich import EnrichState
    from observability.server.watcher import Watching
    from observability.store.db.database import Store

LOG = logging.getLogger(__name__)
LOCK_VARIABLE = "OBSERVABILITY_LOCK_FD"
LOAD_EVERY = 1.0
LOAD_AFTER_FAILURE = 15.0


def home_folder(home: str | os.PathLike[str] | None = None) -> Path:
    """The home: the argument, else OBSERVABILITY_HOME, else `.observability` in the current folder."""
    return Path(home or os.environ.get("OBSERVABILITY_HOME") or ".observability").absolute()


class Lock:
    """An exclusive lock on a home, held until `release` or the end of the process."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def release(self) -> None:
        """Let others take the home; safe to call twice."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def hand_over(self) -> None:
        """Keep the lock through an exec: the next program adopts it (see `take_lock`)."""
        os.set_inheritable(self.fd, True)
        os.environ[LOCK_VARIABLE] = str(self.fd)


def take_lock(home: Path, wait: float = 0.0) -> Lock:
    """Lock the home, retrying for `wait` seconds. Raises StoreBusyError with the PID of the owner, as far as it is known."""
    inherited = os.environ.pop(LOCK_VARIABLE, None)
    if inherited is not None:
        with contextlib.suppress(OSError, ValueError):
            os.set_inheritable(int(inherited), False)
            return Lock(int(inherited))
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(home / "owner.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    until = time.monotonic() + wait
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < until:
                time.sleep(0.05)  # flock waits for ever or not at all
                continue
            os.close(fd)
            address = read_address(home)
            who = f"process {address.pid}" if address else "another process"
            raise StoreBusyError(f"the store is in use by {who}", where=home.name, attempt="Stop it, or wait for it to end") from None
        return Lock(fd)


@dataclass(frozen=True)
class Address:
    """Where the owner listens: process id, loopback port, and the token that its command route asks for."""

    pid: int
    port: int
    token: str


def read_address(home: Path) -> Address | None:
    """The address that the owner wrote, None where there is none or it cannot be read. It may be stale: only the lock is the truth."""
    try:
        body = json.loads((home / "owner.json").read_text(encoding="utf-8"))
        return Address(int(body["pid"]), int(body["port"]), str(body["token"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_address(home: Path, address: Address) -> None:
    """Publish the address by a rename, readable by this user only."""
    draft = home / f".owner-{os.getpid()}.json"
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump({"pid": address.pid, "port": address.port, "token": address.token}, file)
    draft.rename(home / "owner.json")


@dataclass
class LoaderState:
    """What the loader thread is doing, for the store page: lines of the segment under way, the last failure in words, last load (epoch seconds)."""

    busy: bool = False
    done_bytes: int = 0
    total_bytes: int = 0
    failure: str | None = None
    last_load: float | None = None


@dataclass
class Owner:
    """The running dashboard's hold on a home: lock, store, token, loader thread."""

    home: Path
    lock: Lock
    store: "Store"
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    loader: LoaderState = field(default_factory=LoaderState)
    stopping: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None
    enriching: "EnrichState | None" = None
    enricher: threading.Thread | None = None
    watching: "Watching | None" = None
    watcher: threading.Thread | None = None

    def start_loader(self) -> None:
        """Load what lands, every second, until `close`."""
        self.thread = threading.Thread(target=self.load_forever, name="loader", daemon=True)
        self.thread.start()

    def start_enricher(self) -> None:
        """Explain predictions and estimate errors when the loader is idle, until `close`; not where the environment says no (enrich.SWITCH)."""
        from observability.enrichment import enrich

        if enrich.switched_off():
            return
        self.enriching = enrich.EnrichState()
        self.enricher = threading.Thread(
            target=enrich.in_background, args=(self.store, self.enriching, self.stopping), name="enricher", daemon=True
        )
        self.enricher.start()

    def start_watcher(self) -> None:
        """Check the live models, tell whom it concerns, freeze Monday's week, until `close`; not where the environment says no (alerts.watch.SWITCH)."""
        from observability.server import watcher

        if watcher.switched_off():
            return
        self.watching = watcher.Watching()
        self.watcher = threading.Thread(
            target=watcher.in_background, args=(self.store, self.watching, self.stopping), name="watcher", daemon=True
        )
        self.watcher.start()

    def load_forever(self) -> None:
        """The loader thread: a failure is kept for the store page and tried again later; nothing that waits in landing is lost."""
        pause = LOAD_EVERY
        while not self.stopping.wait(pause):
            pause = LOAD_EVERY if self.load_once() else LOAD_AFTER_FAILURE

    def load_once(self) -> bool:
        """One round over landing; False where it failed."""
        from observability.store.ingest.loader import load_landing

        state = self.loader
        state.busy = True
        try:
            with self.store.in_background():
                report = load_landing(self.store, progress=self.note_progress)
            state.failure = None
            if report.lines:
                state.last_load = time.time()
        except ObservabilityError as error:
            state.failure = str(error)
            LOG.warning("loading stopped: %s", error)
        except Exception as error:
            state.failure = f"{type(error).__name__}: {error}"
            LOG.exception("loading failed")
        finally:
            state.busy = False
        return state.failure is None

    def note_progress(self, done_bytes: int, total_bytes: int, *_rest: object) -> None:
        """What the loader calls as it goes."""
        self.loader.done_bytes, self.loader.total_bytes = done_bytes, total_bytes

    def listen(self, port: int) -> None:
        """Say on which loopback port commands reach this owner."""
        write_address(self.home, Address(os.getpid(), port, self.token))

    def close(self) -> None:
        """Stop loading, close the store, let others in."""
        self.stopping.set()
        for thread in (self.enricher, self.watcher):
            if thread is not None:
                thread.join(timeout=10)
        if self.thread is not None:
            self.thread.join(timeout=60)
        self.store.close()
        with contextlib.suppress(OSError):
            (self.home / "owner.json").unlink()
        self.lock.release()


_current: Owner | None = None


def own(home: Path, wait: float = 5.0) -> Owner:
    """Become the owner of a home for the rest of the process (the dashboard's start): lock, open, remember. Raises StoreBusyError."""
    global _current
    if _current is None:
        lock = take_lock(home, wait)
        try:
            from observability.store.opener import open_store

            _current = Owner(home, lock, open_store(home))
        except BaseException:
            lock.release()
            raise
    return _current


def current() -> Owner:
    """The owner in this process; raises StoreBusyError where there is none."""
    if _current is None:
        raise StoreBusyError("the store is not open in this process", attempt="Start the dashboard with make run")
    return _current


def current_store() -> "Store":
    """The store that this process owns."""
    return current().store


@contextlib.contextmanager
def opened(home: Path, wait: float = 0.0) -> Iterator["Store"]:
    """Lock and open the store for the length of one command, and let go again. Raises StoreBusyError."""
    from observability.store.opener import open_store

    lock = take_lock(home, wait)
    try:
        store = open_store(home)
        try:
            yield store
        finally:
            store.close()
    finally:
        lock.release()
