"""What has been said and sent about alerts so far?"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from observability.alerts.alert_state import Alert, standing
from observability.core.questions import Records
from observability.core.time import aware_utc
from observability.core.window import Window
from observability.records.values import AFTER_LAST, FIRST
from observability.store.query import records

if TYPE_CHECKING:
    from observability.store.db.database import Store

EVER = Window("", FIRST, AFTER_LAST)
MOST = 20_000


@dataclass(frozen=True)
class Message:
    """One message. state: queued until it was sent; failed times: how often it could not be; due: when it may leave (again)."""

    key: str
    incident: str
    channel: str
    title: str
    text: str
    model: str | None
    queued_at: datetime
    state: str
    failed: int = 0
    last_at: datetime | None = None
    error: str | None = None
    not_before: datetime | None = None


def said(store: "Store", incident: str | None = None) -> list[dict[str, Any]]:
    """Records of kind `alert`, oldest first; of one incident, or of all."""
    only = (("incident", incident),) if incident else ()
    return rows(store, Records("alert", ever=True, rows=MOST, only=only))


def alerts(store: "Store", now: datetime) -> dict[str, Alert]:
    """Every alert as it stands, by incident."""
    return standing(said(store), now)


def messages(store: "Store") -> dict[str, Message]:
    """Every message by its key, oldest first."""
    lines = rows(store, Records("message", ever=True, rows=MOST))
    found: dict[str, Message] = {}
    for each in lines:
        if each["state"] == "queued":
            found.setdefault(each["message"], queued(each))
    for each in lines:
        known = found.get(each["message"])
        if known is None or each["state"] == "queued":
            continue
        state = "sent" if "sent" in (known.state, each["state"]) else "failed"
        error = each["error"] if state == "failed" else None
        found[known.key] = replace(known, state=state, failed=known.failed + (each["state"] == "failed"), last_at=each["at"], error=error)
    return found


def queued(each: dict[str, Any]) -> Message:
    """A message as it was queued."""
    return Message(
        each["message"], each["incident"] or "", each["channel"] or "", each["title"] or "", each["text"] or "", each["model"], each["at"], "queued",
        not_before=each["not_before"],
    )  # fmt: skip


def rows(store: "Store", question: Records) -> list[dict[str, Any]]:
    """Records with their times as instants and what is missing as None."""
    frame = records.fetch(store, question, EVER)
    return [{str(name): plain(value) for name, value in row.items()} for row in frame.to_dict("records")]


def plain(value: Any) -> Any:
    """A stored time as an instant, a missing value as None, anything else as it is."""
    if value is None or value != value:
        return None
    return aware_utc(value.to_pydatetime()) if hasattr(value, "to_pydatetime") else value
