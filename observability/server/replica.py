"""Serve pages in a process that only reads the states (copies of the store) which the owner publishes. It holds no lock, loads nothing and
watches nothing.

The replica stands in for the owner (process_lock.py). Each state has its own store, so a page that reads one state can continue while newer
ones arrive.
"""

import contextlib
import logging
import os
import shutil
import tempfile
import threading
import time
import weakref
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

from observability.client.file_lock import CLOSE_ON_EXEC, lock_file
from observability.core.errors import ObservabilityError, StoreBrokenError, StoreBusyError, UsageError
from observability.core.finding import KEPT_FILE
from observability.monitoring.kept_answers import hand_on_answers
from observability.monitoring.kept_findings import kept_findings_of
from observability.server import audit_log, process_lock
from observability.server.access_settings import keep_sign_in, read_access_settings, sign_in_method
from observability.server.owner_calls import OwnerCalls
from observability.server.quotas import TokenQuotas
from observability.store.published import newest_state
from observability.store.published_store import MARKER, PublishedStore, copy_settings, open_published, take_home

if TYPE_CHECKING:
    from datetime import datetime

    from observability.store.engine import Store
    from observability.store.types.published_state import PublishedState

LOG = logging.getLogger(__name__)
OWNER_VARIABLE, TOKEN_VARIABLE = "OBSERVABILITY_OWNER", "OBSERVABILITY_OWNER_TOKEN"
HOME_PREFIX = "observability-replica-"
LOCK = "replica.lock"
"""A file in the folder of a read-only process, which is locked while the process runs."""
LEFT_BEHIND = 3600.0
"""An unlocked folder that is older than this many seconds belongs to a process that has ended."""
LOOK_EVERY = 1.0
"""Seconds between two checks for a newer state."""
LONGEST_RUN = 600.0
"""An older state is closed after this many seconds, even if it is still being read."""
GONE = 60.0
"""A state that the owner has withdrawn is no longer shown after this many seconds. A page that has begun to read it may go on for the same
time again.
"""
UNREAD = 4
"""If the owner's list of states cannot be read, the last state is still shown for this many times the seconds between two states, and for
at least GONE seconds.
"""


class Replica:
    """The published states in a folder; stands in for the owner. newest: the store of the newest state. owner: the owner, to which entries
    by people are sent.

    as_of: the time up to which nothing had changed.
    """

    thread = watching = enriching = collected = publisher = publishing = None
    """Attributes that an owner has and a replica does not need."""

    def __init__(self, folder: Path, home: Path, owner: OwnerCalls) -> None:
        self.folder, self.home, self.owner = folder, home, owner
        self.loader, self.quotas, self.token = process_lock.LoaderState(), TokenQuotas(), os.urandom(16).hex()
        self.stopping = threading.Event()
        self.failure: str | None = None
        self._run, self._numbers = "", 0
        self._findings: tuple[Path, int] | None = None
        self._older: list[tuple[float, weakref.ref[PublishedStore]]] = []
        self._unsure_since: float | None = None
        self._signs_in = read_access_settings(home).method != "none"
        state = newest_published_state(folder)
        self._newest: PublishedStore | None = self._opened(state)
        self.as_of, self.newer_at = state.as_of, time.monotonic()
        self._lock = os.open(home / LOCK, os.O_RDWR | os.O_CREAT | CLOSE_ON_EXEC, 0o600)
        lock_file(self._lock)

    @property
    def store(self) -> "PublishedStore":
        """The store of the newest state. Raises StoreBrokenError if the owner has withdrawn all states."""
        if self._newest is None:
            attempt = "Wait some seconds; where it stays so, look at the owner"
            raise StoreBrokenError("what was published is withdrawn, or cannot be read", got=self.failure, attempt=attempt)
        return self._newest

    def as_of_state(self, shown: "Store") -> "datetime":
        """The time up to which nothing had changed in a state. The state is given by its store: it is the newest one, or one that a page is
        still reading.
        """
        return self.as_of if shown is self.store or shown.published_as_of is None else shown.published_as_of

    def look(self) -> None:
        """Switch to the newest published state if it is newer than the one shown, and close older states that were kept open long enough.

        A state is no longer shown if it may contain removed records. That is the case if the owner has withdrawn it, or if the state that
        replaces it cannot be opened or read.
        """
        for until, known in [each for each in self._older if each[0] < time.monotonic()]:
            self._older.remove((until, known))
            self._close(known())
        try:
            named = newest_state(self.folder)
        except OSError as error:
            self._fail(error)
            self._let_go_after(max(GONE, UNREAD * self._newest.state.every) if self._newest else GONE)
            return
        if named is not None:
            try:
                self._show(named)
            except (ObservabilityError, OSError) as error:
                self._fail(error)
        if named is not None and self._newest is not None and _of_same_rewrite(named, self._newest.state):
            self._unsure_since = None
        else:
            self._let_go_after(GONE)

    def _show(self, named: "PublishedState") -> None:
        """Show the state that the owner names. Raises ObservabilityError or OSError; the earlier state then stays."""
        before = self._newest
        if before is None or replace(named, as_of=before.state.as_of) != before.state:  # the number of a state may occur again
            self._newest = self._opened(named)
            if before is not None:
                self._set_aside(before, LONGEST_RUN if _of_same_rewrite(named, before.state) else GONE)
        else:
            self._take_findings(before)
        if named.as_of != self.as_of:
            self.newer_at = time.monotonic()
        self.as_of, self.failure = named.as_of, None

    def _fail(self, error: Exception) -> None:
        """Note why the newest state cannot be shown."""
        if self.failure is None:
            LOG.warning("the newest published state cannot be shown: %s", error)
        self.failure = str(error)

    def look_until_stopped(self) -> None:
        """Check for a newer state every second, until `stopping` is set. An unforeseen failure is reported; the state may then no longer be
        shown.
        """
        while not self.stopping.wait(LOOK_EVERY):
            try:
                self.look()
            except Exception as error:
                LOG.exception("the published states could not be looked at")
                self.failure = f"{type(error).__name__}: {error}"
                self._let_go_after(GONE)

    def close(self) -> None:
        """Stop, and close open states."""
        self.stopping.set()
        for store in (*(known() for _, known in self._older), self._newest):
            self._close(store)
        os.close(self._lock)
        if self.home.name.startswith(HOME_PREFIX):
            shutil.rmtree(self.home, ignore_errors=True)

    @staticmethod
    def _close(store: "PublishedStore | None") -> None:
        """Close a store, if it still exists."""
        if store is not None:
            store.close()

    def _opened(self, state: "PublishedState") -> "PublishedStore":
        """The store of a state, with the owner's findings, and with results that this process has kept from earlier states."""
        before = getattr(self, "_newest", None)
        if state.run != self._run:
            self._run, self._numbers = state.run, 0 if before is None else max(before.generation, before.rewrites) + 1
        self._require_sign_in(state)
        opened = open_published(state, self.home, self.owner, self._numbers)
        if self._signs_in or read_access_settings(self.home).method != "none":
            self._signs_in = True
            keep_sign_in(self.home)
        if before is not None:
            hand_on_answers(before, opened)
        self._take_findings(opened)
        return opened

    def _require_sign_in(self, state: "PublishedState") -> None:
        """Raise StoreBrokenError if people sign in at this process but the settings in a state ask for no sign-in. Without sign-in, the
        network interface was checked when the process started.
        """
        if self._signs_in and sign_in_method(state.folder) == "none":
            attempt = "Start this process again if the owner has none"
            raise StoreBrokenError("the published state asks for no sign-in", where=str(state.folder), attempt=attempt)

    def _take_findings(self, store: "PublishedStore") -> None:
        """Take over the owner's findings, if it has written new ones beside the state."""
        source = store.state.folder / KEPT_FILE
        with contextlib.suppress(FileNotFoundError):
            found = source.stat()
            if self._findings != (mark := (source, found.st_mtime_ns)):
                self._findings = mark
                shutil.copyfile(source, self.home / KEPT_FILE)
                kept_findings_of(store, len(store.catalog().models)).restore(self.home)

    def _let_go_after(self, seconds: float) -> None:
        """Stop showing the newest state, and forget its findings, if it has been uncertain for more than some seconds whether it may be
        shown.
        """
        now = time.monotonic()
        self._unsure_since = self._unsure_since or now
        if now - self._unsure_since > seconds and self._newest is not None:
            self._set_aside(self._newest, GONE)
            self._newest = None
            (self.home / KEPT_FILE).unlink(missing_ok=True)

    def _set_aside(self, store: "PublishedStore", seconds: float) -> None:
        """Close a store after some seconds, so that pages which have begun to read it can finish."""
        self._older.append((time.monotonic() + seconds, weakref.ref(store)))


def _of_same_rewrite(one: "PublishedState", other: "PublishedState") -> bool:
    """Whether nothing was removed between two states."""
    return (one.run, one.rewrites) == (other.run, other.rewrites)


def replica_is_asked_for() -> bool:
    """Whether this process was started to read published states."""
    return process_lock.PUBLISHED_VARIABLE in os.environ


def current_replica() -> Replica | None:
    """The replica of this process; None if the process owns its store or has no store."""
    try:
        found: object = process_lock.current_owner()
    except StoreBusyError:
        return None
    return found if isinstance(found, Replica) else None


def start_replica() -> Replica:
    """Open the newest state in the folder that the environment names, and let this replica stand in for the owner. Raises UsageError,
    StoreBrokenError.
    """
    started = Replica(Path(os.environ[process_lock.PUBLISHED_VARIABLE]), process_lock.home_folder(), owner_of_environment())
    audit_log.log_elsewhere(started.owner.send)
    process_lock.stand_for_owner(cast("process_lock.Owner", started))
    return started


def owner_of_environment() -> OwnerCalls:
    """The owner that the environment names. Raises UsageError if the environment names no owner or no token."""
    owner, token = os.environ.get(OWNER_VARIABLE, ""), os.environ.get(TOKEN_VARIABLE, "")
    if not owner or not token:
        attempt = (
            f"Give --owner URL, and the token in {TOKEN_VARIABLE}; make one at the owner: token create --scope write --role administrator"
        )
        raise UsageError("a process that only reads needs its owner's address and a token", attempt=attempt)
    return OwnerCalls(owner, token)


def prepared_home(folder: Path) -> Path:
    """A new folder for a read-only process, with the settings from the newest state, so that sign-in works before anything is served.
    Raises StoreBrokenError if nothing has been published.
    """
    _remove_homes_of_ended_processes()
    home = Path(tempfile.mkdtemp(prefix=HOME_PREFIX))
    take_home(home)
    try:
        copy_settings(newest_published_state(folder), home)
    except BaseException:
        shutil.rmtree(home, ignore_errors=True)
        raise
    return home


def _remove_homes_of_ended_processes() -> None:
    """Remove the folders of processes that were killed, because these hold password hashes. A running process is recognised by the lock on
    its folder, a starting one by the age of its folder.
    """
    for home in Path(tempfile.gettempdir()).glob(f"{HOME_PREFIX}*"):
        with contextlib.suppress(OSError):
            if not is_own_home(home) or time.time() - (home / MARKER).stat().st_mtime < LEFT_BEHIND:
                continue
            lock = os.open(home / LOCK, os.O_RDWR | os.O_CREAT | CLOSE_ON_EXEC, 0o600)
            try:
                if lock_file(lock):
                    shutil.rmtree(home, ignore_errors=True)
            finally:
                os.close(lock)


def is_own_home(home: Path) -> bool:
    """Whether a folder was made by `prepared_home` for this user."""
    found = home.lstat()
    own = not hasattr(os, "getuid") or found.st_uid == os.getuid()
    return home.name.startswith(HOME_PREFIX) and own and home.is_dir() and not home.is_symlink() and (home / MARKER).is_file()


def newest_published_state(folder: Path) -> "PublishedState":
    """The newest state of a folder. Raises StoreBrokenError if there is none."""
    state = newest_state(folder)
    if state is None:
        attempt = "Let the owner publish it: [publish] with every = 15 in its keeping.toml; it must run"
        raise StoreBrokenError("nothing is published there", where=str(folder), attempt=attempt)
    return state
