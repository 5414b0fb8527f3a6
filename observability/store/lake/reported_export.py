"""Export a lake, and record its state like that of any place that stores data, so that a lake that is behind the store is detected."""

import logging
from datetime import UTC, datetime
from typing import Any

from observability.core.errors import ObservabilityError, StoreBrokenError
from observability.lake.file_place import FilePlace
from observability.store.db.database import Database
from observability.store.ingest.record_writer import write_records
from observability.store.lake.export import Progress, export_lake
from observability.store.lake.lake_owner import lake_address, open_known_lake
from observability.store.lake.manifest import REFERENCE, read_manifest

LOG = logging.getLogger(__name__)
SMALL = 1_000_000
"""Bytes below which a file is small."""


def export_reported_lake(store: Database, address: str, *, progress: Progress | None = None, replace: bool = False) -> dict[str, Any]:
    """Bring a lake to the state of the store as `export_lake` does, and keep a `storage_report` of it, even if the lake cannot be written.

    The place is the lake's address. Raises what `export_lake` raises; a report that cannot be kept is logged.
    """
    begun, name = datetime.now(UTC), lake_address(address)
    try:
        done = export_lake(store, address, progress=progress, replace=replace)
    except (StoreBrokenError, OSError):
        _keep_report(store, {"place": name, "writes": 1, "write_errors": 1})
        raise
    _keep_report(
        store,
        {
            "complete_to": begun.isoformat(),
            "writes": done["written"]["files"] + 1,
            "write_errors": 0,
            **_held(open_known_lake(store.home, address)),
        },
    )
    return done


def _held(place: FilePlace) -> dict[str, Any]:
    """The contents of a lake, as fields of a report."""
    files = read_manifest(place).files
    days = sorted({file.day for file in files} - {REFERENCE})
    held: dict[str, Any] = {"place": place.address, "used_bytes": sum(file.bytes for file in files), "files": len(files)}
    held["small_files"] = sum(file.bytes < SMALL for file in files)
    return held | ({"oldest_at": f"{days[0]}T00:00:00+00:00"} if days else {})


def _keep_report(store: Database, report: dict[str, Any]) -> None:
    """Write a report. A failure is logged and stops nothing."""
    try:
        write_records(store, [{"kind": "storage_report", "source": "measured", "at": datetime.now(UTC).isoformat(), **report}])
    except (ObservabilityError, OSError):
        LOG.warning("the report of the lake could not be kept", exc_info=True)
