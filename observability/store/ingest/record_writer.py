"""Write records from the dashboard and the command line: verdicts, actions, acknowledgements.

A record is validated like every other, written to its own landing segment and loaded at once, so that its author sees it. If the store
refuses it, nothing is left to be loaded later, and the caller keeps the text.
"""

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from observability.client.encode import RefusedError, encode_line, format_time, utc_now_text
from observability.client.spool import create_segment
from observability.core.errors import StoreBrokenError, UsageError
from observability.records.kinds import KINDS
from observability.records.record import validate
from observability.records.values import Rejected
from observability.store.ingest.landing import Segment
from observability.store.ingest.loader import load_segments

if TYPE_CHECKING:
    from observability.store.db.database import Database


def write_records(store: "Database", records: Sequence[Mapping[str, object]]) -> None:
    """Store some records together; they can be read as soon as the call returns.

    records: dicts with `kind`. `at` defaults to now; fields that are None or empty are left out. Raises UsageError if a record breaks a
    rule of its kind (then nothing is stored), StoreBrokenError if the disk or the store refuses.
    """
    lines = b"".join(_record_line(record) for record in records)
    store.require_space()
    try:
        path, file = create_segment(store.landing, synced=True)
    except OSError as error:
        raise _write_error(store, error) from error
    try:
        with os.fdopen(file, "wb") as segment:  # the lock that keeps the loader's thread away ends with this block
            segment.write(lines)
            segment.flush()
            os.fsync(segment.fileno())
            report = load_segments(store, [Segment(path, len(lines))])
    except OSError as error:
        raise _write_error(store, error) from error
    finally:
        path.unlink(missing_ok=True)
    if report.rejected:
        raise UsageError("the store rejected the record", got=", ".join(report.reasons))


def _record_line(given: Mapping[str, object]) -> bytes:
    """One record as a validated line. Raises UsageError."""
    values = {name: value for name, value in given.items() if value is not None and value != ""}
    kind = KINDS.get(str(given.get("kind")))
    times = {name for name, field in kind.fields.items() if field.type == "time"} if kind else set()
    try:
        record = {name: format_time(value, name) if name in times else value for name, value in values.items()}
        record.setdefault("at", utc_now_text())
        validate(record)
        return encode_line(record)
    except Rejected as why:
        raise UsageError(why.message) from None
    except RefusedError as why:
        raise UsageError(str(why), attempt="Write less") from None


def _write_error(store: "Database", error: OSError) -> StoreBrokenError:
    """The error for a failed write."""
    return StoreBrokenError(
        "the record could not be stored", where=store.landing.name, got=error.strerror, attempt="Free some disk space and try again"
    )
