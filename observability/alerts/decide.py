"""What is to be said now about the incidents that there are, and to whom? Pure: one message a fault, none for what is acknowledged or snoozed."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from observability.alerts.config import Config
from observability.alerts.state import Alert, worse
from observability.incidents import Incident

DASHBOARD = "the dashboard"
"""Who speaks where nobody does."""
SETTLE = timedelta(hours=6)
"""An incident that is gone for so long is resolved: one check without it may be chance."""


@dataclass(frozen=True)
class Decided:
    """Records to keep before anything is sent: `alert` and `message`."""

    records: tuple[dict[str, Any], ...] = ()


def decide(
    incidents: Sequence[Incident], alerts: Mapping[str, Alert], seen: Mapping[str, datetime], judged: Collection[str | None],
    owners: Mapping[str | None, str | None], config: Config, now: datetime,
) -> Decided:  # fmt: skip
    """What is to be kept now.

    alerts: as they stand; seen: when each incident was last there (one that is not named: since the alert changed); judged: the models (None: records of none) that this check looked at, for only
    they can be resolved; owners: by model.
    """
    records: list[dict[str, Any]] = []
    for each in incidents:
        if each.severity != "act" and not (each.severity == "watch" and config.least == "watch"):
            continue
        says = news(each, alerts.get(each.id))
        if says:
            record = told(each, says, owners.get(each.model), now)
            told_before = alerts[each.id].told if each.id in alerts else 0
            records += [record, *messages(record, told_before + 1, config, now)]
    there = {each.id for each in incidents}
    for alert in alerts.values():
        gone = now - seen.get(alert.incident, alert.changed_at)
        if alert.state != "resolved" and alert.incident not in there and alert.model in judged and gone >= SETTLE:
            records.append(
                {"kind": "alert", "incident": alert.incident, "at": now, "author": DASHBOARD, "says": "resolved", "model": alert.model}
            )
    return Decided(tuple(records))


def news(incident: Incident, alert: Alert | None) -> str | None:
    """What is new about an incident: that it is there, that it is back, that it got worse; None where everybody concerned knows."""
    if alert is None or alert.state == "resolved":
        return "opened"
    return "worse" if worse(incident.severity, alert.severity) else None


def told(incident: Incident, says: str, owner: str | None, now: datetime) -> dict[str, Any]:
    """The record of an alert."""
    return {
        "kind": "alert", "incident": incident.id, "at": now, "author": DASHBOARD, "says": says, "model": incident.model, "severity": incident.severity,
        "title": incident.sentence, "source": incident.source, "owner": owner,
        "rule": f"{incident.lead.analyzer}/{incident.lead.metric}",
    }  # fmt: skip


def messages(alert: Mapping[str, Any], told_times: int, config: Config, now: datetime) -> list[dict[str, Any]]:
    """One message for each channel of the owner; its key is the same however often it is made anew."""
    body = {
        "kind": "message", "at": now, "state": "queued", "incident": alert["incident"], "title": title_of(alert), "text": text_of(alert, config),
        "not_before": config.send_at(now), "model": alert["model"],
    }  # fmt: skip
    channels = config.channels_of(alert["owner"])
    return [{**body, "message": key_of(alert["incident"], told_times, channel), "channel": channel} for channel in channels]


def key_of(incident: str, told_times: int, channel: str) -> str:
    """The idempotency key of a message: of the incident, the how-manieth time it is told, and the channel."""
    return hashlib.sha256(f"{incident}/{told_times}/{channel}".encode()).hexdigest()[:24]


def title_of(alert: Mapping[str, Any]) -> str:
    """The subject of a message."""
    word = {"act": "Act", "watch": "Watch"}.get(str(alert["severity"]), str(alert["severity"]))
    what = {"opened": "", "worse": ", worse than before"}[alert["says"]]
    return f"{word}{what}: {alert['model'] or 'records'}"


def text_of(alert: Mapping[str, Any], config: Config) -> str:
    """The message: the sentence, what to suspect, where to look."""
    lines = [str(alert["title"]).replace("`", ""), f"Suspected source: {alert['source']}."]
    if config.dashboard:
        lines.append(f"{config.dashboard}/alerts?incident={alert['incident']}")
    return "\n".join(lines)
