"""Bring the segments of collectors into landing, each exactly once.

A segment is copied to landing under its own name. One transaction then stores its rows and notes its name in the manifest, and only
afterwards is the segment moved to `taken/`. Whenever the process is killed, the next round finds the segment where it is. A name that the
manifest holds is never loaded again.
"""

import json
import logging
import math
import os
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from observability.core.errors import ObservabilityError, UsageError
from observability.lake.config import read_lake_config
from observability.lake.file_place import FilePlace
from observability.lake.segment_place import (
    CONFIG,
    OWNER,
    SEGMENTS,
    TAKEN,
    note_collected_place,
    open_collected_place,
    require_collected_place,
    segment_names,
)
from observability.records.private_file import make_private_folder, sync_folder
from observability.server.collector_config import config_content

if TYPE_CHECKING:
    from observability.store.engine import Store

LOG = logging.getLogger(__name__)
LOOK_EVERY = 1.0
LONGEST_PAUSE = 30.0
MAX_WAITING_BYTES = 256 * 1024 * 1024
"""Bytes of segments that wait in landing above which no more are brought."""
KEPT = timedelta(days=7)
PURGE_EVERY = 3600.0
PRESENT_EVERY = 60.0
"""Seconds between two signs of the owner. With each sign the configuration in the place is checked, and written again if it is missing or
differs."""


@dataclass
class CollectedState:
    """address: address of the place, None if no place is named. waiting: segments that the store lacks. failure: why the last round
    failed.
    """

    address: str | None = None
    waiting: int = 0
    failure: str | None = None
    last_success: float | None = None


class SegmentIntake:
    """Brings segments from one place. published: the configuration that was last written to the place."""

    def __init__(self, store: "Store", place: FilePlace) -> None:
        self.store, self.place = store, place
        self.published: bytes | None = None
        self.present_at = self.purged_at = -math.inf

    def round(self) -> int:
        """Publish the configuration if it changed, fetch new segments, and move away segments that the store has. Returns the number of
        waiting segments.

        Raises ObservabilityError if the place, the disk or the store cannot be used.
        """
        require_collected_place(self.store.home, self.place)
        self._leave_config()
        names = segment_names(self.place, SEGMENTS)
        known = self.store.loaded_segments(names)
        for name in names:
            if name in known:
                self.place.move(f"{SEGMENTS}/{name}", f"{TAKEN}/{name}")
        waiting = [name for name in names if name not in known]
        self._bring(waiting)
        if time.monotonic() - self.purged_at > PURGE_EVERY:
            self._purge()
        return len(waiting)

    def _leave_config(self) -> None:
        """Write the configuration into the place if it changed, and every minute a sign that the owner runs and that this configuration is
        valid.
        """
        content, now = config_content(self.store), time.monotonic()
        sign = now - self.present_at > PRESENT_EVERY
        if self.published is None:
            note_collected_place(self.store.home, self.place)
        if content != self.published or (sign and self.place.get(CONFIG) != content):
            self.place.put(CONFIG, content)
            self.published = content
        if sign:
            self.place.put(OWNER, json.dumps({"at": datetime.now(UTC).isoformat()}).encode())
            self.present_at = now

    def _bring(self, names: list[str]) -> None:
        """Copy segments to landing, if they are not yet there."""
        landing = self.store.landing
        make_private_folder(landing / "ready")
        size = sum(_size_of(path) for path in (landing / "ready").glob("*.jsonl"))
        for name in names:
            if any((landing / folder / name).exists() for folder in ("ready", "failed")):
                continue
            if size > MAX_WAITING_BYTES:
                break
            self.store.require_space()
            content = self.place.get(f"{SEGMENTS}/{name}")
            if content is None:
                continue
            size += len(content)
            _write_synced(landing / "ready" / name, content)

    def _purge(self) -> None:
        """Delete taken segments a week after they were loaded, and what killed collectors left. The time in a name comes from another
        machine's clock, so it counts only for a segment that the store does not know, as after a restore.
        """
        for folder in (SEGMENTS, TAKEN):
            self.place.remove_unfinished(folder, PURGE_EVERY)
        names, before = segment_names(self.place, TAKEN), datetime.now(UTC) - KEPT
        loaded = self.store.loaded_segments(names)
        for name in names:
            if loaded[name] < before if name in loaded else name < f"{before:%Y%m%dT%H%M%S}":
                self.place.delete(f"{TAKEN}/{name}")
        self.purged_at = time.monotonic()


def _size_of(path: Path) -> int:
    """Bytes of a file; 0 if it is gone."""
    with suppress(FileNotFoundError):
        return path.stat().st_size
    return 0


def _write_synced(path: Path, content: bytes) -> None:
    """Write a file to disk. It is there as a whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    with part.open("wb") as file:
        os.chmod(part, 0o600)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.rename(part, path)
    sync_folder(path.parent)


def run_segment_intake(store: "Store", state: CollectedState, stopping: threading.Event) -> None:
    """Bring segments until `stopping` is set. A failure is kept in the state and tried again. The pause doubles with each failure."""
    intake: SegmentIntake | None = None
    failures = 0
    while not stopping.wait(min(LOOK_EVERY * 2**failures, LONGEST_PAUSE)):
        try:
            address = read_lake_config(store.home).place
            if address != state.address:
                intake, state.address, state.waiting = None, address, 0
            if address is None:
                state.failure, failures = None, 0
                continue
            intake = intake or SegmentIntake(store, open_collected_place(store.home, address))
            state.waiting = intake.round()
            state.failure, failures, state.last_success = None, 0, time.time()
        except UsageError as error:
            state.failure, failures = str(error), failures + 1
        except ModuleNotFoundError as error:
            state.failure, failures = f"{error.name} is not installed", failures + 1
        except (ObservabilityError, OSError) as error:
            state.failure, failures = str(error), failures + 1
            LOG.warning("segments of collectors could not be fetched: %s", error)
        except Exception as error:
            state.failure, failures = f"{type(error).__name__}: {error}", failures + 1
            LOG.exception("segments of collectors could not be fetched")
