"""State of an alert (open, acknowledged, snoozed, resolved) and its precision, computed from its records."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from observability.core.finding import SEVERITIES
from observability.stats.interval import Interval, rate_interval

State = Literal["open", "acknowledged", "snoozed", "resolved"]
SAYS = ("opened", "worse", "resolved", "acknowledged", "snoozed", "woken", "reopened", "useful", "not_useful", "note", "assigned")
"""Values of `says` in an alert record. The dashboard itself also writes the first three. Only the dashboard writes `woken`: the snooze is
over and the incident is still present.
"""

REASONS = {
    "real_fault": "Real fault",
    "expected_change": "Expected change",
    "false_alarm": "False alarm",
    "duplicate": "Duplicate",
    "other": "Other",
}
"""Reasons with which a person resolves an incident."""
USEFUL = {"real_fault": True, "expected_change": False, "false_alarm": False}
"""Reasons that imply whether the alarm was useful; the other reasons do not."""
HELD = timedelta(days=7)
"""How long an incident that a person resolved with a reason stays resolved, although it is still present."""


@dataclass(frozen=True)
class Alert:
    """One alert.

    state: the state after the last record; an alert whose snooze has expired is open again. severity: the severity in the last message.
    until: end of the snooze. useful: None until someone rated it. by: author of the last record. told: number of messages (opened, worse,
    woken), which is part of their keys. rule: analyzer/metric of the lead. claims: claim keys of the last message, lead first; value: value
    of the lead. woke: whether the snooze expired and no message was sent since. reason: why a person resolved it, one of REASONS. assignee:
    the person who is responsible. changed_at, changed_by: when the state was last set, and by whom. told_at: time of the last message.
    """

    incident: str
    model: str | None
    title: str
    source: str
    severity: str
    state: State
    opened_at: datetime
    changed_at: datetime
    until: datetime | None = None
    useful: bool | None = None
    by: str | None = None
    told: int = 1
    owner: str | None = None
    rule: str | None = None
    claims: tuple[str, ...] = ()
    value: float | None = None
    woke: bool = False
    reason: str | None = None
    assignee: str | None = None
    changed_by: str | None = None
    told_at: datetime | None = None

    def is_held(self, now: datetime) -> bool:
        """Whether a person resolved the alert with a reason in the last HELD days, so that its incident asks for no action while it is
        present.
        """
        return self.state == "resolved" and self.reason is not None and now - self.changed_at < HELD


def alerts_from_records(records: Iterable[Mapping[str, Any]], now: datetime) -> dict[str, Alert]:
    """The alerts by incident. records: records of kind `alert`, oldest first; records of an incident that was never opened are ignored."""
    alerts: dict[str, Alert] = {}
    for record in records:
        incident = record["incident"]
        if incident in alerts:
            alerts[incident] = alert_after(alerts[incident], record)
        elif record["says"] == "opened":
            alerts[incident] = opened_alert(record)
    return {name: alert_after_snooze(alert, now) for name, alert in alerts.items()}


def opened_alert(record: Mapping[str, Any]) -> Alert:
    """A new alert, from the record that opens it."""
    return Alert(
        incident=record["incident"],
        model=record.get("model"),
        title=str(record.get("title") or record["incident"]),
        source=str(record.get("source") or "unknown"),
        severity=str(record.get("severity") or "act"),
        state="open",
        opened_at=record["at"],
        changed_at=record["at"],
        by=record["author"],
        changed_by=record["author"],
        owner=record.get("owner"),
        rule=record.get("rule"),
        claims=tuple(record.get("claims") or ()),
        value=record.get("value"),
        told_at=record["at"],
    )


def alert_after(alert: Alert, record: Mapping[str, Any]) -> Alert:
    """The alert after one more record."""
    says, at, by = record["says"], record["at"], record["author"]
    if says in ("useful", "not_useful"):
        return replace(alert, useful=says == "useful", by=by)
    if says == "note":
        return replace(alert, by=by)
    if says == "assigned":
        return replace(alert, by=by, assignee=record.get("owner"))
    moved = replace(alert, changed_at=at, by=by, changed_by=by, until=None, reason=None)
    if says == "acknowledged":
        return replace(moved, state="acknowledged")
    if says == "snoozed":
        return replace(moved, state="snoozed", until=record.get("until"))
    if says == "resolved":
        reason = record.get("reason")
        return replace(moved, state="resolved", reason=reason, useful=USEFUL.get(str(reason), alert.useful))
    is_message = says in ("opened", "worse", "woken")
    return replace(
        moved,
        state="open",
        told=alert.told + is_message,
        told_at=at if is_message else alert.told_at,
        severity=record.get("severity") or alert.severity,
        title=record.get("title") or alert.title,
        claims=tuple(record.get("claims") or alert.claims),
        value=record["value"] if record.get("value") is not None else alert.value,
    )


def alert_after_snooze(alert: Alert, now: datetime) -> Alert:
    """The alert; it is open again if its snooze has expired."""
    if alert.state == "snoozed" and alert.until is not None and alert.until <= now:
        return replace(alert, state="open", until=None, woke=True)
    return alert


def is_worse(one: str, other: str) -> bool:
    """Whether severity `one` is worse than `other`."""
    return SEVERITIES.index(one) < SEVERITIES.index(other)  # type: ignore[arg-type] # both are severities


@dataclass(frozen=True)
class AlertPrecision:
    """Precision of alerts. share: the share of rated alerts that are useful, with its 95 % interval (None below `ENOUGH` ratings); useful,
    judged, all: counts.
    """

    share: Interval | None
    useful: int
    judged: int
    all: int

    @property
    def sentence(self) -> str:
        """The precision of alerts as a sentence with its counts and 95 % interval; with too few ratings, how many are missing."""
        if not self.judged:
            return f"The precision of alerts is shown after {ENOUGH} ratings or resolved incidents with a reason."
        counts = f"{self.useful} of {self.judged} rated alerts were useful"
        if self.share is None or self.share.value is None or self.share.low is None or self.share.high is None:
            return f"{counts}; precision is shown after {max(ENOUGH - self.judged, 1)} more."
        value, low, high = (f"{100 * share:.0f} %" for share in (self.share.value, self.share.low, self.share.high))
        return f"{counts}: precision {value} (95 % interval {low} to {high})."


ENOUGH = 10
"""Minimum number of ratings for a precision to be shown."""


def alert_precision(alerts: Iterable[Alert]) -> AlertPrecision:
    """The share of rated alerts that were useful."""
    ratings = [alert.useful for alert in alerts]
    rated = [useful for useful in ratings if useful is not None]
    share = rate_interval(sum(rated), len(rated)) if len(rated) >= ENOUGH else None
    return AlertPrecision(share, sum(rated), len(rated), len(ratings))
