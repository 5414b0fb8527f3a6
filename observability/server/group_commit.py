"""Group commit: the records of all waiting requests are written and synced at once.

A request that arrives while the records of another request are being synced joins the next group. A group is one write to the open segment
in the landing folder. The loader publishes that segment before it loads. The segment is also published when it is large or old enough.
"""

import threading
from dataclasses import dataclass, field
from pathlib import Path

from observability.client.spool import Spool
from observability.core.errors import StoreBrokenError

SEGMENT_SECONDS = 2.0


@dataclass
class _Group:
    """Lines that are written together. failure: why they could not be written, set when `done` is."""

    parts: list[bytes] = field(default_factory=list)
    count: int = 0
    done: bool = False
    failure: str | None = None


class GroupCommit:
    """Writes records to a landing folder. They are on disk when `commit` returns. Thread-safe. groups: number of syncs so far."""

    def __init__(self, landing: Path) -> None:
        self._spool = Spool(landing, fsync="always", segment_seconds=SEGMENT_SECONDS)
        self._prepare()

    def _prepare(self) -> None:
        self._joining, self._writing = threading.Lock(), threading.Lock()
        self._next = _Group()
        self.groups = 0

    def commit(self, lines: bytes, count: int) -> None:
        """Write `count` complete lines, the last one ending with a newline. Raises StoreBrokenError if the disk refuses; none of the lines
        then counts as written.
        """
        with self._joining:
            group = self._next
            group.parts.append(lines)
            group.count += count
        with self._writing:  # the first request writes the records of all requests that have joined in the meantime
            if not group.done:
                self._gather()
                with self._joining:
                    self._next = _Group()
                self._write(group)
        if group.failure is not None:
            raise StoreBrokenError(
                "the records could not be written", got=group.failure, attempt="Free some disk space and send them again"
            )

    def publish(self) -> None:
        """Publish the written file, so that it can be loaded. Never raises."""
        self._spool.flush()

    def _write(self, group: _Group) -> None:
        try:
            group.failure = self._append(b"".join(group.parts), group.count)
            self.groups += group.failure is None
        except BaseException as error:
            group.failure = f"{type(error).__name__}: {error}"
            raise
        finally:
            group.done = True

    def _gather(self) -> None:
        """Wait for more requests before a group is written. In this class, there is no wait."""

    def _append(self, lines: bytes, count: int) -> str | None:
        """Write lines; they are on disk when this returns. Returns why they could not be written, None if they were."""
        if self._spool.append(lines, count):
            return None
        failure = self._spool.last_error or "an unknown failure"
        self._spool.flush()  # the next group begins a new segment, in which no write has failed
        return failure
