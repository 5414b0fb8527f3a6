"""Read the stored alert and message records."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from observability.alerts.alert_state import Alert, alerts_from_records
from observability.core.questions import Records
from observability.core.time import aware_utc
from observability.core.window import Window
from observability.incidents.daily_values import DailyLine, lines_of_record
from observability.monitoring.check import AcknowledgedClaims
from observability.records.values import AFTER_LAST, FIRST

if TYPE_CHECKING:
    from observability.store.engine import Store

EVER = Window("", FIRST, AFTER_LAST)
MAX_ALERT_RECORDS = 20_000


@dataclass(frozen=True)
class Message:
    """One message. state: queued, failed or sent. failed: number of failed attempts. not_before: end of the quiet hours.

    figures: lines that an e-mail shows as pictures.
    """

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
    figures: tuple[DailyLine, ...] = ()


def alert_records(store: "Store", incident: str | None = None) -> list[dict[str, Any]]:
    """Records of kind `alert`, oldest first; for one incident or for all."""
    only = (("incident", incident),) if incident else ()
    return record_rows(store, Records("alert", ever=True, rows=MAX_ALERT_RECORDS, only=only))


def alerts_by_incident(store: "Store", now: datetime) -> dict[str, Alert]:
    """Current state of every alert, by incident."""
    return alerts_from_records(alert_records(store), now)


def acknowledged_claims(store: "Store", now: datetime) -> AcknowledgedClaims:
    """The claims of alerts that a person has acknowledged, snoozed or resolved with a reason, each with its model. An incident whose lead
    (main finding) is one of these claims is watched, but no longer asks for action. The lead of one fault can change from check to check
    (`alert_decisions.same_fault`), so all claims of an alert count, not only its present lead. Records after `now` do not count.
    """
    alerts = alerts_from_records([record for record in alert_records(store) if record["at"] <= now], now)
    held = (alert for alert in alerts.values() if alert.state in ("acknowledged", "snoozed") or alert.is_held(now))
    return frozenset((alert.model, claim) for alert in held for claim in alert.claims)


def messages_by_key(store: "Store") -> dict[str, Message]:
    """Current state of every message by its key, oldest first."""
    rows = record_rows(store, Records("message", ever=True, rows=MAX_ALERT_RECORDS))
    messages: dict[str, Message] = {}
    for row in rows:
        if row["state"] == "queued":
            messages.setdefault(row["message"], queued_message(row))
    for row in rows:
        known = messages.get(row["message"])
        if known is None or row["state"] == "queued":
            continue
        state = "sent" if "sent" in (known.state, row["state"]) else "failed"
        error = row["error"] if state == "failed" else None
        failed = known.failed + (row["state"] == "failed")
        messages[known.key] = replace(known, state=state, failed=failed, last_at=row["at"], error=error)
    return messages


def queued_message(row: dict[str, Any]) -> Message:
    """The message that a record of state `queued` holds."""
    incident, channel, title, text = (row[name] or "" for name in ("incident", "channel", "title", "text"))
    about: dict[str, Any] = {
        "not_before": row["not_before"],
        "figures": lines_of_record(row["figures"] if isinstance(row["figures"], list) else ()),
    }
    return Message(row["message"], incident, channel, title, text, row["model"], row["at"], "queued", **about)


def record_rows(store: "Store", question: Records) -> list[dict[str, Any]]:
    """Records as dictionaries: times with their offset, missing values as None."""
    frame = store.ask(question, EVER)
    return [{str(name): plain_value(value) for name, value in row.items()} for row in frame.to_dict("records")]


def plain_value(value: Any) -> Any:
    """A stored time with its UTC offset, None for a missing value, any other value unchanged."""
    if value is None or value != value:
        return None
    return aware_utc(value.to_pydatetime()) if hasattr(value, "to_pydatetime") else value
