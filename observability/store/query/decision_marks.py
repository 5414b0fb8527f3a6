"""The choices that standing decisions made about versions, as events of their models."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any

from observability.store.db.results import Cursor

SEEN = '"at" < $end AND ($as_of IS NULL OR arrived <= $as_of)'
"""SQL for the condition on the records that an answer about events may use."""
FIELDS = ("model", "version", "choice", "statement", "state")


def decision_marks(cursor: Cursor, model: str | None, start: datetime, end: datetime, as_of: datetime | None) -> list[dict[str, Any]]:
    """One event for each choice to promote, hold or reject a version that a decision made in [start, end), of one model and of none, or of
    all: `at`, `model`, `version`, `what` (`decision`) and `text`. Times are naive UTC.

    A decision that is withdrawn by then has none. as_of: only records that had arrived by then.
    """
    # A choice is made by a record that states a choice or a version. A decision of the model has a record with this model, or only records
    # without one.
    of_model = "" if model is None else "AND decision IN (SELECT decision FROM decisions WHERE model IS NULL OR model = $model)"
    records = cursor.execute(
        f"""SELECT decision, "at", {", ".join(FIELDS)} FROM decisions WHERE {SEEN} {of_model} AND decision IN (
            SELECT decision FROM decisions WHERE {SEEN} AND "at" >= $start AND (choice IS NOT NULL OR version IS NOT NULL))
            ORDER BY decision, "at", arrived, content_hash""",
        {"start": start, "end": end, "as_of": as_of} | ({} if model is None else {"model": model}),
    ).fetchall()
    return [
        mark
        for _, entries in groupby(records, itemgetter(0))
        for mark in _marks_of_decision((at, dict(zip(FIELDS, values, strict=True))) for _, at, *values in entries)
        if mark["at"] >= start and (model is None or mark["model"] in (None, model))
    ]


def _marks_of_decision(entries: Iterable[tuple[datetime, Mapping[str, str | None]]]) -> list[dict[str, Any]]:
    """One event for each choice about a version in the records of one decision, oldest first. Its time is that of the first record with
    this choice, its text the newest sentence before the next choice.
    """
    known, marks = dict.fromkeys(FIELDS), list[dict[str, Any]]()
    for at, stated in entries:
        before = known
        known = known | {name: value for name, value in stated.items() if value is not None}
        choice, version = known["choice"], known["version"]
        if choice is None or version is None:
            continue
        if (choice, version) != (before["choice"], before["version"]):
            sentence = known["statement"] if not marks else stated["statement"]
            marks.append({"at": at, "what": "decision", "text": sentence or f"{choice.capitalize()} version {version}"})
        marks[-1] |= {"model": known["model"], "version": version} | ({"text": stated["statement"]} if stated["statement"] else {})
    return [] if known["state"] == "withdrawn" else marks
