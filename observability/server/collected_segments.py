"""Bring the segments (files of records) of collectors into the landing folder, each exactly once.

A segment is copied to the landing folder under its own name. One transaction then stores its rows and notes its name in the manifest. Only
after that is the segment moved to `taken/`. Whenever the process is killed, the next round finds the segment where it is. A segment whose
name is in the manifest is never loaded again.
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
"""If segments with more bytes than this wait in the landing folder, no further segments are brought."""
KEPT = timedelta(days=7)
PURGE_EVERY = 3600.0
PRESENT_EVERY = 60.0
"""Seconds between two heartbeats of the owner. With each heartbeat, the configuration in the place is checked, and written again if it is
missing or differs.
"""


@dataclass
class CollectedState:
    """address: address of the place (the shared folder or bucket), None if no place is set. waiting: number of segments that the store does
    not have yet. failure: why the last round failed.
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
        """Publish the configuration if it changed, bring new segments, and move away segments that the store has. Returns the number of
        segments that still wait.

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
        """Write the configuration to the place if it changed. Every minute, also write a heartbeat: it shows that the owner runs and that
        this configuration is valid.
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
        """Copy segments to the landing folder, unless they are there already."""
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
        """Delete taken segments a week after they were loaded, and unfinished files of collectors that were killed. The time in a segment's
        name comes from the clock of another machine. It is used only for a segment that the store does not know, for example after a
        restore.
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
    """Size of a file in bytes; 0 if the file is gone."""
    with suppress(FileNotFoundError):
        return path.stat().st_size
    return 0


def _write_synced(path: Path, content: bytes) -> None:
    """Write a file to disk so that it is there completely or not at all."""
    part = path.with_name(f".{path.name}.part")
    with part.open("wb") as file:
        os.chmod(part, 0o600)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.rename(part, path)
    sync_folder(path.parent)


def run_segment_intake(store: "Store", state: CollectedState, stopping: threading.Event) -> None:
    """Bring segments until `stopping` is set. After a failure, which is noted in the state, it tries again. The pause doubles with each
    failure.
    """
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
