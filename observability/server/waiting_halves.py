"""Keep requests that wait for their response, and responses that wait for their request, on disk: `HOME/waiting/events.sqlite`.

A half (a request or a response alone) is kept until its other half arrives, for at most `WAIT_SECONDS`, and at most `MAX_HALVES` at the
same time. The digests of a joined pair are kept just as long, so that a repeated delivery of a half is recognised. SQLite syncs every
change before `keep` returns.
"""

import contextlib
import json
import math
import os
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from observability.core import telemetry
from observability.core.errors import StoreBrokenError
from observability.server.group_commit import GroupCommit
from observability.store.types.erasing import ErasedNames

Part = Literal["request", "response"]
OTHER: dict[Part, Part] = {"request": "response", "response": "request"}
WAIT_SECONDS = 900.0
MAX_HALVES = 100_000
SCHEMA = """
CREATE TABLE IF NOT EXISTS halves (key TEXT, part TEXT, arrived REAL, digest BLOB, lines TEXT, PRIMARY KEY (key, part)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS halves_by_time ON halves (arrived) WHERE lines IS NOT NULL;
"""


@dataclass(frozen=True)
class Half:
    """One half of a pair. key: the same for both halves. digest: digest of the content that was sent. lines: its records; empty after it
    was joined. arrived: epoch seconds.
    """

    key: str
    part: Part
    digest: bytes
    lines: tuple[dict[str, Any], ...] = ()
    arrived: float = 0.0

    @property
    def joined(self) -> bool:
        """Whether this half was already joined with the other one."""
        return not self.lines


def content_digest(content: object) -> bytes:
    """A digest of the content of a half, which does not depend on the order of its keys."""
    return sha256(json.dumps(content, sort_keys=True, default=str).encode("utf-8", "surrogatepass")).digest()


def is_about_erased(half: Half, erased: ErasedNames) -> bool:
    """Whether a half is about an erased subject: through the subject or id in its lines, or through the names in its key."""
    key = json.loads(half.key)
    lines = "\n".join(json.dumps(line, ensure_ascii=False) for line in half.lines)
    return bool(erased.cleaned_json(key) != key or erased.erased_lines(lines.encode("utf-8", "surrogatepass")))


class WaitingHalves:
    """The halves that wait in a home. Callers hold `mutex` from the look-up of a half until it is kept. Thread-safe."""

    def __init__(self, home: Path) -> None:
        self.mutex = threading.RLock()
        self.settled_at = -math.inf
        """When `overdue` was last called, in monotonic seconds."""
        self._file = home / "waiting" / "events.sqlite"
        self._connection: sqlite3.Connection | None = None

    def find(self, keys: Sequence[str]) -> dict[tuple[str, Part], Half]:
        """The halves with some keys, including joined ones, by key and part."""
        if not self._file.exists():
            return {}
        with self._opened() as connection:
            rows = [
                row
                for key in dict.fromkeys(keys)
                for row in connection.execute("SELECT key, part, digest, lines, arrived FROM halves WHERE key = ?", (key,))
            ]
        return {(half.key, half.part): half for half in map(_half, rows)}

    def keep(self, halves: Sequence[Half]) -> None:
        """Write halves. They are on disk when this returns. A half without lines marks a pair that was joined."""
        if not halves:
            return
        with self._opened() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO halves VALUES (?, ?, ?, ?, ?)",
                [
                    (half.key, half.part, half.arrived, half.digest, None if half.joined else json.dumps(half.lines, ensure_ascii=True))
                    for half in halves
                ],
            )

    def overdue(self, now: float | None = None) -> tuple[list[Half], list[Half]]:
        """Halves that have waited too long, and the oldest of those that exceed the maximum number. They stay until `drop`."""
        self.settled_at = time.monotonic()
        if not self._file.exists():
            return [], []
        now = time.time() if now is None else now
        select = "SELECT key, part, digest, lines, arrived FROM halves "
        with self._opened() as connection:
            connection.execute("DELETE FROM halves WHERE lines IS NULL AND arrived <= ?", (now - WAIT_SECONDS,))
            late = connection.execute(f"{select} WHERE lines IS NOT NULL AND arrived <= ?", (now - WAIT_SECONDS,)).fetchall()
            waiting = connection.execute("SELECT count(*) FROM halves WHERE lines IS NOT NULL").fetchone()[0]
            beyond = f"{select} WHERE lines IS NOT NULL AND arrived > ? ORDER BY arrived LIMIT ?"
            many = connection.execute(beyond, (now - WAIT_SECONDS, max(waiting - len(late) - MAX_HALVES, 0))).fetchall()
        return list(map(_half, late)), list(map(_half, many))

    def drop(self, halves: Sequence[Half]) -> None:
        """Delete these halves from the file."""
        if halves:
            with self._opened() as connection:
                connection.executemany("DELETE FROM halves WHERE key = ? AND part = ?", [(half.key, half.part) for half in halves])

    def ids_about(self, erased: ErasedNames) -> dict[str, list[str]]:
        """By model, the ids of waiting halves that are about an erased subject or mention one."""
        found: dict[str, list[str]] = {}
        for half in self._everything():
            if is_about_erased(half, erased):
                for line in half.lines:
                    found.setdefault(str(line["model"]), []).append(str(line["id"]))
        return found

    def erase(self, erased: ErasedNames) -> int:
        """Remove halves about erased subjects (including joined ones), and replace mentions of them in other halves. Returns the number of
        changed halves.

        No byte of a removed row stays in the file.
        """
        with self.mutex:
            halves = self._everything()
            gone = [half for half in halves if is_about_erased(half, erased)]
            cleaned = [
                replace(half, lines=tuple(lines))
                for half in halves
                if half not in gone and (lines := erased.cleaned_json(list(half.lines))) != list(half.lines)
            ]
            self.drop(gone)
            self.keep(cleaned)
            if self._connection is not None:
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return len(gone) + len(cleaned)

    def _everything(self) -> list[Half]:
        """Every half, joined ones included."""
        if not self._file.exists():
            return []
        with self._opened() as connection:
            return list(map(_half, connection.execute("SELECT key, part, digest, lines, arrived FROM halves").fetchall()))

    def count(self) -> dict[str, int]:
        """Number of waiting halves, by part."""
        if not self._file.exists():
            return {"request": 0, "response": 0}
        with self._opened() as connection:
            found = dict(connection.execute("SELECT part, count(*) FROM halves WHERE lines IS NOT NULL GROUP BY part").fetchall())
        return {"request": found.get("request", 0), "response": found.get("response", 0)}

    def close(self) -> None:
        """Close the file; a later call opens it again."""
        with self.mutex:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @contextlib.contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """The connection, in one transaction. Raises StoreBrokenError if the file or the disk refuses."""
        with self.mutex:
            try:
                if self._connection is None:
                    self._connection = self._connected()
                with self._connection:
                    yield self._connection
            except (sqlite3.Error, OSError) as error:
                self.close()
                raise StoreBrokenError(
                    "requests that wait for their response cannot be kept",
                    where=str(self._file),
                    got=error,
                    attempt="Free some disk space; where the file is damaged, stop the dashboard, move it away and start again",
                ) from error

    def _connected(self) -> sqlite3.Connection:
        """A new connection to the file. The file is created if there is none, readable only by its owner."""
        self._file.parent.mkdir(mode=0o700, exist_ok=True)
        os.close(os.open(self._file, os.O_CREAT | os.O_RDWR, 0o600))
        connection = sqlite3.connect(self._file, check_same_thread=False)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = ON")
        connection.executescript(SCHEMA)
        return connection


def settle_overdue_halves(waiting: WaitingHalves, records: GroupCommit) -> None:
    """Pass halves that have waited too long, or exceed the maximum number, to the loader, which keeps them as rejected lines."""
    with waiting.mutex:
        for halves, why in zip(waiting.overdue(), ("expired", "full"), strict=True):
            set_halves_aside(records, [(half.part, line) for half in halves for line in half.lines], why)
            waiting.drop(halves)


def set_halves_aside(records: GroupCommit, lines: Sequence[tuple[Part, dict[str, Any]]], why: str) -> None:
    """Write the lines of halves to the landing folder. The loader rejects them, because they lack a score or features, and keeps them with
    the reason.
    """
    if lines:
        records.commit(b"".join(json.dumps(line, ensure_ascii=True).encode() + b"\n" for _, line in lines), len(lines))
    for part, count in Counter(part for part, _ in lines).items():
        telemetry.HALVES_DROPPED.add(f"{part}_{why}", count)


def _half(row: tuple[str, Part, bytes, str | None, float]) -> Half:
    """A row of the file as a half."""
    key, part, digest, lines, arrived = row
    return Half(key, part, digest, () if lines is None else tuple(json.loads(lines)), arrived)
