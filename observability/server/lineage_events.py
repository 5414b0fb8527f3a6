"""`POST /api/v1/lineage`: makes records of runs and datasets from OpenLineage run events."""

import json
from collections import Counter
from typing import Any

from observability.core.limits import IntakeLimits
from observability.core.questions import Records
from observability.core.window import EPOCH, Window
from observability.importers.open_lineage import NoEventError, records_of_event
from observability.server import intake, process_lock

EVENTS = 1_000
"""Maximum number of events in one request."""
SAME = ("rows", "bytes", "columns", "parents")
"""Fields that identify the content of a version. An event about a version that is already known with this content adds nothing."""


def take_lineage_events(body: bytes, token: str, limits: IntakeLimits) -> intake.Taken:
    """Write the records of one event or of an array of events. If a record is rejected, its event is named by its position, from 1.

    Raises IntakeRefusedError if the body is no JSON or has too many events, StoreBrokenError if the disk refuses.
    """
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        raise intake.IntakeRefusedError(400, "the body is not JSON", "Send one OpenLineage run event, or an array of them") from None
    events: list[Any] = given if isinstance(given, list) else [given]
    if len(events) > EVENTS:
        raise intake.IntakeRefusedError(413, f"the request has {len(events):,} events", f"Send at most {EVENTS:,} at once")
    lines: list[bytes] = []
    place_of: list[int] = []
    wrong: dict[int, tuple[str, str]] = {}
    known: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for place, event in enumerate(events, start=1):
        try:
            records = records_of_event(event)
        except NoEventError as error:
            wrong[place] = ("no_event", str(error))
            continue
        for record in records:
            if record["kind"] != "dataset" or not _is_known(record, known):
                lines.append(json.dumps(record, ensure_ascii=False).encode())
                place_of.append(place)
    taken = intake.take_records(lines, "any", token, limits) if lines else intake.Taken(0, [], Counter())
    reasons = Counter(taken.reasons) + Counter(reason for reason, _ in wrong.values())
    for each in taken.rejected:
        wrong.setdefault(place_of[each["line"] - 1], ("no_record", each["reason"]))
    accepted = len(events) - len(wrong)
    return intake.Taken(accepted, [{"line": place, "reason": message} for place, (_, message) in sorted(wrong.items())], reasons)


def _is_known(record: dict[str, Any], known: dict[tuple[str, str], list[dict[str, Any]]]) -> bool:
    """Whether the store or this request already has the version with the same content. known: earlier look-ups; new ones are added."""
    name, version = record["dataset"], record["version"]
    if (name, version) not in known:
        asked = Records("dataset", SAME, ever=True, rows=100, only=(("dataset", (name,)), ("version", (version,))))
        found = process_lock.current_owner().store.ask(asked, Window("", EPOCH, AFTER))
        known[name, version] = [_content(row) for row in found.to_dict("records")]
    own = _content(record)
    if own in known[name, version]:
        return True
    known[name, version].append(own)
    return False


AFTER = EPOCH.replace(year=9999)
"""After every record."""


def _content(row: dict[Any, Any]) -> dict[str, Any]:
    """The fields that are compared; missing fields are left out."""
    import pandas as pd

    def is_known(value: Any) -> bool:
        return isinstance(value, dict | list) or not pd.isna(value)

    return {name: row[name] for name in SAME if is_known(row.get(name))}
