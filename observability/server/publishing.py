"""Publish states (copies) of the store while `[publish]` in keeping.toml asks for it, so that other processes can serve pages from them.

Publishing takes at most a tenth of the time. The findings that this process knows are published too.
"""

import logging
import secrets
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from observability.core.errors import ObservabilityError
from observability.monitoring.kept_findings import kept_findings_of

if TYPE_CHECKING:
    from observability.store.engine import Store
    from observability.store.types.published_state import PublishedState

LOG = logging.getLogger(__name__)
LOOK_EVERY = 1.0
"""Seconds between two checks of whether a state is due."""
AGAIN = 10.0
"""If the settings ask for no publishing, they are read again after this many seconds. It is also the shortest wait before a failed state is
tried again.
"""
REST = 10.0
"""Minimum time between the starts of two states, as a multiple of the time that the first of them took."""


class Publisher:
    """Publishes the states of one store. state: the newest one. failure: a sentence that says why there is no state."""

    def __init__(self, store: "Store") -> None:
        self._store, self._run = store, secrets.token_hex(8)
        self.state: PublishedState | None = None
        self.failure: str | None = None
        self._due = self._copy_due = 0.0
        self._findings: tuple[Path, int] | None = None

    def publish_when_due(self) -> None:
        """Publish a state when one is due: after the number of seconds in the settings, or at once if a removal has withdrawn the last
        state.
        """
        began, before = time.monotonic(), self.state
        withdrawn = before is not None and (before.rewrites != self._store.rewrites or not before.folder.exists())
        if began < self._due and not withdrawn:
            return
        try:
            copy = before is None or withdrawn or began >= self._copy_due
            self.state = self._store.publish(self._run, before, self._write_findings, copy=copy)
            self.failure = None
        except Exception as error:
            known = isinstance(error, ObservabilityError | OSError)
            self.state, self.failure = None, str(error) if known else f"unexpected {type(error).__name__}"
            LOG.warning("the store was not published: %s", error, exc_info=not known)
            now = time.monotonic()
            self._due = self._copy_due = now + max(AGAIN, (REST - 1) * (now - began))
            return
        if self.state is not None and (before is None or self.state.folder != before.folder):
            self._copy_due = time.monotonic() + (REST - 1) * self.state.seconds
        self._due = began + (self.state.every if self.state else AGAIN)

    def _write_findings(self, folder: Path, generations: Mapping[str, int], _file: tuple[int, int]) -> None:
        """If this process has new findings, write its findings to the folder of a state, in the form in which they are kept between
        runs.
        """
        kept = kept_findings_of(self._store)
        if self._findings != (folder, kept.changes):
            self._findings = folder, kept.changes
            kept.save(folder, generations)

    def run_until(self, stopping: threading.Event) -> None:
        """Publish until an event is set."""
        while not stopping.wait(LOOK_EVERY):
            self.publish_when_due()
