"""What is to be said now about the incidents that there are, and to whom? Pure: one message a fault, none for what is acknowledged or snoozed.

A fault is known again by what its findings are about, for the day that it seems to have begun on, and so its incident's id, may be another at each look.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from observability.alerts.alert_state import Alert, after, opened, worse
from observability.alerts.config import Config
from observability.core.finding import Finding
from observability.core.metric_definitions import METRICS
from observability.incidents.grouping import Incident

DASHBOARD = "the dashboard"
"""Who speaks where nobody does."""
GREW = 1.5
"""What somebody knows of is told again once it is so many times as bad as when it was told: the value of its leading claim, of what should be
high its distance from 1.
"""
SETTLE = timedelta(hours=6)
"""An incident that is gone for so long is resolved: one check without it may be chance."""


@dataclass(frozen=True)
class Decided:
    """Records to keep before anything is sent: `alert` and `message`. there: the ids of the alerts whose incidents are there."""

    records: tuple[dict[str, Any], ...] = ()
    there: frozenset[str] = frozenset()


def decide(
    incidents: Sequence[Incident], alerts: Mapping[str, Alert], seen: Mapping[str, datetime], judged: Collection[str],
    owners: Mapping[str | None, str | None], config: Config, now: datetime,
) -> Decided:  # fmt: skip
    """What is to be kept now.

    alerts: as they stand, by id (of the incident that opened them); seen: when each was last there (one that is not named: since it changed); judged: the ids of those that
    this check looked at, for only they can be resolved; owners: by model.
    """
    records: list[dict[str, Any]] = []
    standing = {name: each for name, each in alerts.items() if each.state != "resolved"}
    there: set[str] = set()
    for each in incidents:
        known = same_fault(each, standing)
        name = known.incident if known else each.id
        there.add(name)
        about = set(claims(each))
        there |= {other.incident for other in standing.values() if other.model == each.model and about.intersection(other.claims[:1])}
        if each.severity != "act" and not (each.severity == "watch" and config.least == "watch"):
            continue
        says = news(each, known)
        if says:
            record = told(each, name, says, owners.get(each.model), now)
            told_before = alerts[name].told if name in alerts else 0
            records += [record, *messages(record, told_before + 1, config, now)]
            standing[name] = after(known, record) if known else opened(record)
    for alert in alerts.values():
        gone = now - seen.get(alert.incident, alert.changed_at)
        if alert.state != "resolved" and alert.incident not in there and alert.incident in judged and gone >= SETTLE:
            records.append(
                {"kind": "alert", "incident": alert.incident, "at": now, "author": DASHBOARD, "says": "resolved", "model": alert.model}
            )
    return Decided(tuple(records), frozenset(there))


def same_fault(incident: Incident, standing: Mapping[str, Alert]) -> Alert | None:
    """The alert that stands for the fault of an incident, the oldest where there are several; None where it is a new one.

    It is the same id, or the lead is among what the alert told; or the alert's own lead is told with a lead of the same analyzer now, as two
    columns that moved together lead by turns. What another analyzer finds and nobody was told of is news, even where it comes with a known fault.
    """
    if incident.id in standing:
        return standing[incident.id]
    own = sorted((each for each in standing.values() if each.model == incident.model), key=lambda each: (each.opened_at, each.incident))
    now = claims(incident)
    named = (each for each in own if now[0] in each.claims)
    turned = (each for each in own if each.claims and each.claims[0] in now and each.claims[0].startswith(f"{incident.lead.analyzer}|"))
    return next(named, None) or next(turned, None)


def claims(incident: Incident) -> list[str]:
    """What an incident is about, whatever the days: the claim of its lead, then of the others that are as bad as the incident."""
    return [claim(incident.lead), *(claim(each) for each in incident.collateral if each.severity == incident.severity)]


def claim(finding: Finding) -> str:
    """Analyzer, subject, metric and slice of a finding, in one text."""
    return "|".join([finding.analyzer, finding.subject, finding.metric, finding.slice or ""])


def news(incident: Incident, alert: Alert | None) -> str | None:
    """What is new about an incident: that it is there (again), that it got worse, that its snooze is over; None where everybody concerned knows."""
    if alert is None:
        return "opened"
    if worse(incident.severity, alert.severity) or grew(incident.lead, alert):
        return "worse"
    return "woken" if alert.woke else None


def grew(lead: Finding, alert: Alert) -> bool:
    """Whether what is acknowledged or snoozed is much worse than it was told. Never of what was told under another claim, or has no worse side."""
    better = METRICS[lead.metric].better
    if alert.state not in ("acknowledged", "snoozed") or better is None or alert.claims[:1] != (claim(lead),):
        return False
    if lead.value is None or alert.value is None:
        return False
    now, then = (each if better == "low" else 1.0 - each for each in (lead.value, alert.value))
    return then > 0 and now >= GREW * then


def told(incident: Incident, name: str, says: str, owner: str | None, now: datetime) -> dict[str, Any]:
    """The record of an alert. name: the id that it has kept since it was opened."""
    return {
        "kind": "alert", "incident": name, "at": now, "author": DASHBOARD, "says": says, "model": incident.model, "severity": incident.severity,
        "title": incident.sentence, "source": incident.source, "owner": owner,
        "rule": f"{incident.lead.analyzer}/{incident.lead.metric}", "claims": claims(incident), "value": incident.lead.value,
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
    what = {"opened": "", "worse": ", worse than before", "woken": ", still there after its snooze"}[alert["says"]]
    return f"{word}{what}: {alert['model'] or 'records'}"


def text_of(alert: Mapping[str, Any], config: Config) -> str:
    """The message: the sentence, what to suspect, where to look."""
    lines = [str(alert["title"]).replace("`", ""), f"Suspected source: {alert['source']}."]
    if config.dashboard:
        lines.append(f"{config.dashboard}/alerts?incident={alert['incident']}")
    return "\n".join(lines)
