"""How does what a person says in the dashboard or on the command line become a record?

A verdict, an action, an acknowledgement: checked at the same door as every record, on disk in a landing segment of its own, and loaded at once,
so that who wrote it sees it. It is either in or not: where the store refuses it, nothing waits to be loaded later, and who asked keeps the text.
"""

import os
import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from observability.client.encode import RefusedError, encode_line, format_time, now
from observability.client.spool import create_segment
from observability.core.errors import StoreBrokenError, UsageError
from observability.records.kinds import KINDS
from observability.records.record import validate
from observability.records.values import Rejected
from observability.store.ingest.landing import Segment
from observability.store.ingest.loader import load_segments

if TYPE_CHECKING:
    from observability.store.db.database import Store


def new_id() -> str:
    """An id for a verdict or an action that nobody else has."""
    return uuid.uuid4().hex


def write(store: "Store", records: Sequence[Mapping[str, object]]) -> None:
    """Stores some records together; when it returns, they can be read.

    records: dicts with `kind`; `at` is now where it is left out; fields that are None or an empty text are left out. Raises UsageError where one
    breaks a rule of its kind (nothing is stored then), StoreBrokenError where the disk or the store refuses.
    """
    lines = b"".join(line_of(each) for each in records)
    store.require_space()
    try:
        path, file = create_segment(store.landing, synced=True)
    except OSError as error:
        raise refused(store, error) from error
    try:
        with os.fdopen(file, "wb") as segment:  # the lock that keeps the loader's thread off ends with it
            segment.write(lines)
            segment.flush()
            os.fsync(segment.fileno())
            report = load_segments(store, [Segment(path, len(lines))])
    except OSError as error:
        raise refused(store, error) from error
    finally:
        path.unlink(missing_ok=True)
    if report.rejected:
        raise UsageError("the store did not take the record", got=", ".join(report.reasons))


def line_of(given: Mapping[str, object]) -> bytes:
    """One record as a line, checked. Raises UsageError."""
    said = {name: value for name, value in given.items() if value is not None and value != ""}
    times = {name for kind in (KINDS.get(str(given.get("kind"))),) if kind for name, each in kind.fields.items() if each.type == "time"}
    try:
        record = {name: format_time(value, name) if name in times else value for name, value in said.items()}
        record.setdefault("at", now())
        validate(record)
        return encode_line(record)
    except Rejected as why:
        raise UsageError(why.message) from None
    except RefusedError as why:
        raise UsageError(str(why), attempt="Write less") from None


def refused(store: "Store", error: OSError) -> StoreBrokenError:
    """The disk did not take it."""
    return StoreBrokenError(
        "what was written could not be kept", where=store.landing.name, got=error.strerror, attempt="Free some disk space and try again"
    )
