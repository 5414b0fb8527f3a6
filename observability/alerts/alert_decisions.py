"""Decide which alerts to open, repeat or resolve, and which messages to send. Pure functions.

One message is sent per fault. None is sent while the fault is acknowledged or snoozed, or if a person resolved it with a reason although it
is still present. A fault is recognized by what its findings are about, not by its incident's id: the id depends on the estimated onset,
which may differ at each check.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from observability.alerts.alert_state import Alert, alert_after, is_worse, opened_alert
from observability.alerts.config import AlertConfig
from observability.core.finding import Finding
from observability.core.formatting import STATUS_WORDS, metric_title
from observability.core.metric_definitions import METRICS
from observability.core.small_groups import FEWER, finding_without_few, is_about_few
from observability.incidents.daily_values import DailyLine, daily_line, daily_values, first_daily_finding
from observability.incidents.grouping import Incident

if TYPE_CHECKING:
    from observability.monitoring.fleet_alarms import FleetAlarms

DASHBOARD = "the dashboard"
"""Author of automatic records."""
OPENED_BEFORE = timedelta(milliseconds=1)
"""If a person's entry opens an alert, the alert is dated this long before the entry."""
GREW = 1.5
"""A known alert repeats once its leading value is this many times the value of the last message; for metrics that should be high, the
distance from 1 counts.
"""
SETTLE = timedelta(hours=6)
"""An incident that is absent for this long is resolved; its absence from a single check may be chance."""


@dataclass(frozen=True)
class AlertDecision:
    """The decision about alerts. records: `alert` and `message` records to store before anything is sent. there: ids of the alerts whose
    incidents persist.
    """

    records: tuple[dict[str, Any], ...] = ()
    there: frozenset[str] = frozenset()


def decide_alerts(
    incidents: Sequence[Incident],
    alerts: Mapping[str, Alert],
    seen: Mapping[str, datetime],
    judged: Collection[str],
    owners: Mapping[str | None, str | None],
    config: AlertConfig,
    now: datetime,
    quiet: Collection[str] = (),
) -> AlertDecision:
    """The records to store now.

    alerts: current state of each alert, by the id of the incident that opened it. seen: when each alert's incident was last present
    (default: the alert's last change). judged: ids of the alerts that this check covers; only these can be resolved. owners: owner of each
    model. quiet: ids of incidents that open no alert, because another alert covers them or the fleet has not confirmed them.
    """
    records: list[dict[str, Any]] = []
    held = {name for name, alert in alerts.items() if alert.is_held(now) and now - seen.get(name, alert.changed_at) < SETTLE}
    standing = {name: alert for name, alert in alerts.items() if alert.state != "resolved" or name in held}
    there: set[str] = set()
    for incident in incidents:
        known = same_fault(incident, standing)
        name = known.incident if known else incident.id
        there.add(name)
        about = set(incident_claims(incident))
        there |= {other.incident for other in standing.values() if other.model == incident.model and about.intersection(other.claims[:1])}
        if incident.severity != "act" and not (incident.severity == "watch" and config.least == "watch"):
            continue
        if known is None and incident.id in quiet:
            continue
        says = alert_news(incident, known)
        if says:
            record = alert_record(incident, name, says, owners.get(incident.model), now)
            told_before = alerts[name].told if name in alerts else 0
            records += [record, *messages_for_alert(record, told_before + 1, config, now, incident_lines(incident))]
            standing[name] = alert_after(known, record) if known else opened_alert(record)
    for alert in alerts.values():
        gone = now - seen.get(alert.incident, alert.changed_at)
        if alert.state != "resolved" and alert.incident not in there and alert.incident in judged and gone >= SETTLE:
            records.append(
                {"kind": "alert", "incident": alert.incident, "at": now, "author": DASHBOARD, "says": "resolved", "model": alert.model}
            )
    return AlertDecision(tuple(records), frozenset(there))


def shared_alerts(
    incidents: Sequence[Incident],
    fleet: "FleetAlarms",
    alerts: Mapping[str, Alert],
    owners: Mapping[str | None, str | None],
) -> tuple[list[Incident], frozenset[str]]:
    """The incidents, where a fault that several models share gets one common sentence, and the ids of incidents that open no alert.

    A shared fault opens one alert for each owner of its models. The alert belongs to the incident that already has an alert, else to the
    worst incident. An incident that has no alert and that the fleet has not confirmed cannot represent the others, because then the alarm
    of another model would be lost. alerts: current state by id.
    """
    told: dict[str, Incident] = {}
    quiet = set(fleet.unconfirmed)
    standing = {name: alert for name, alert in alerts.items() if alert.state != "resolved"}
    for fault in fleet.shared:
        by_owner: dict[str | None, list[Incident]] = {}
        for incident in fault.incidents:
            if incident.id not in fleet.unconfirmed or same_fault(incident, standing):
                by_owner.setdefault(owners.get(incident.model), []).append(incident)
        for own in by_owner.values():
            first = next((incident for incident in own if same_fault(incident, standing)), own[0])
            quiet |= {incident.id for incident in own if incident is not first}
            told[first.id] = replace(first, sentence=f"{fault.sentence} The worst: {first.sentence}")
    return [told.get(incident.id, incident) for incident in incidents], frozenset(quiet)


def same_fault(incident: Incident, standing: Mapping[str, Alert]) -> Alert | None:
    """The open alert about the same fault as an incident (the oldest, if there are several); None for a new fault.

    The fault is the same in three cases: the alert has the incident's id; its claims include the incident's lead; or the alert's own lead
    is among the incident's claims and both leads come from one analyzer (two columns that drift together take turns as lead). A new claim
    of another analyzer is a new fault.
    """
    if incident.id in standing:
        return standing[incident.id]
    own = sorted(
        (alert for alert in standing.values() if alert.model == incident.model), key=lambda alert: (alert.opened_at, alert.incident)
    )
    claims = incident_claims(incident)
    known_lead = (alert for alert in own if claims[0] in alert.claims)
    same_analyzer = f"{incident.lead.analyzer}|"
    other_lead = (alert for alert in own if alert.claims and alert.claims[0] in claims and alert.claims[0].startswith(same_analyzer))
    return next(known_lead, None) or next(other_lead, None)


def incident_claims(incident: Incident) -> list[str]:
    """Claim keys of an incident: its lead, then the related findings of the same severity."""
    related = (finding for finding in incident.collateral if finding.severity == incident.severity)
    return [incident.lead.claim, *(finding.claim for finding in related)]


def alert_news(incident: Incident, alert: Alert | None) -> str | None:
    """News about an incident: `opened`, `worse` or `woken` (its snooze is over); None if there is no news."""
    if alert is None:
        return "opened"
    if is_worse(incident.severity, alert.severity) or is_worse_than_told(incident.lead, alert) or answers_fell(incident, alert):
        return "worse"
    return "woken" if alert.woke else None


def answers_fell(incident: Incident, alert: Alert) -> bool:
    """Whether the primary metric became critical after the last message, so that an input incident that was already reported now affects
    the predictions.

    A fall that was reported before is reported again if the metric had recovered in between. It counts as recovered if it was better in the
    time before the window and the last message was sent before the window. For a snoozed alert, no repeated fall is reported.
    """
    fell = [finding for finding in incident.findings if finding.evidence.get("primary") and finding.severity == "act"]
    return bool(alert.claims) and any(finding.claim not in alert.claims or _fell_again(finding, alert) for finding in fell)


def _fell_again(finding: Finding, alert: Alert) -> bool:
    before = alert.told_at is not None and alert.told_at < finding.start
    return before and alert.state != "snoozed" and finding.news in ("new", "worse")


def is_worse_than_told(lead: Finding, alert: Alert) -> bool:
    """Whether an acknowledged, snoozed or resolved fault is `GREW` times worse than in the last message.

    False if the last message had another lead, or if neither direction of the metric is better.
    """
    better = METRICS[lead.metric].better
    if alert.state not in ("acknowledged", "snoozed", "resolved") or better is None or alert.claims[:1] != (lead.claim,):
        return False
    if lead.value is None or alert.value is None:
        return False
    now, then = (value if better == "low" else 1.0 - value for value in (lead.value, alert.value))
    return then > 0 and now >= GREW * then


def told_sentence(incident: Incident) -> str:
    """The sentence of an incident as it is sent. Channels do not check the reader's role, so the sentence about a small group contains only
    its name and metric.
    """
    if not is_about_few(incident.lead):
        return incident.sentence
    title = METRICS[incident.lead.metric].title
    return f"{title} of `{incident.lead.slice or incident.lead.subject}`: {FEWER} rows, so no figure is sent."


def alert_record(incident: Incident, name: str, says: str, owner: str | None, now: datetime) -> dict[str, Any]:
    """The `alert` record. name: the id of the incident that opened the alert."""
    return {
        "kind": "alert",
        "incident": name,
        "at": now,
        "author": DASHBOARD,
        "says": says,
        "model": incident.model,
        "severity": incident.severity,
        "title": told_sentence(incident),
        "source": incident.source,
        "owner": owner,
        "rule": f"{incident.lead.analyzer}/{incident.lead.metric}",
        "claims": incident_claims(incident),
        "value": None if is_about_few(incident.lead) else incident.lead.value,
    }


def person_records(
    incident: Incident, alert: Alert | None, author: str, says: str, model_owner: str | None, now: datetime, **more: Any
) -> list[dict[str, Any]]:
    """The records of a person's entry about an incident. The entry belongs to the incident's alert; if there is none, an alert is opened
    first.

    model_owner: the owner of the model. more: further fields of the entry, such as `until`, `reason` or `text`.
    """
    opened: list[dict[str, Any]] = []
    if alert is None:
        opened = [alert_record(incident, incident.id, "opened", model_owner, now - OPENED_BEFORE)]
        opened[0] |= {"author": author, "severity": incident.shown_severity}
    entry = {"kind": "alert", "incident": alert.incident if alert else incident.id, "at": now, "author": author, "says": says}
    return [*opened, entry | {"model": incident.model} | more]


def incident_lines(incident: Incident) -> list[DailyLine]:
    """The leading metric by day, as on the incident's page, to be drawn below the first line of the message. Empty for a small group,
    because channels do not check the reader's role.
    """
    finding = first_daily_finding(incident.findings)
    if finding is None or is_about_few(finding) or is_about_few(incident.lead):
        return []
    finding = finding_without_few(finding)
    title = metric_title(finding.metric)
    name = title if finding.subject in ("model", "score") else f"{title} of {finding.subject}"
    days, because = daily_values(finding.analyzer, finding.evidence), finding.because.replace("`", "")
    return [daily_line(name, finding.model, because, days, limit=finding.limit, unit=finding.unit, line=1)]


def messages_for_alert(
    alert: Mapping[str, Any], told_times: int, config: AlertConfig, now: datetime, lines: Sequence[DailyLine] = ()
) -> list[dict[str, Any]]:
    """One `message` record for each channel of the owner. Making a record again gives the same key. lines: metrics by day, drawn in
    e-mails.
    """
    body = {
        "kind": "message",
        "at": now,
        "state": "queued",
        "incident": alert["incident"],
        "title": message_title(alert),
        "text": message_text(alert, config),
        "figures": [line.to_json() for line in lines],
        "not_before": config.send_at(now),
        "model": alert["model"],
    }
    channels = config.channels_of(alert["owner"])
    return [{**body, "message": message_key(alert["incident"], told_times, channel), "channel": channel} for channel in channels]


def message_key(incident: str, told_times: int, channel: str) -> str:
    """Idempotency key of a message, from the incident, the number of messages so far and the channel."""
    return hashlib.sha256(f"{incident}/{told_times}/{channel}".encode()).hexdigest()[:24]


def message_title(alert: Mapping[str, Any]) -> str:
    """The subject line of a message."""
    news = {"opened": "", "worse": ", worse than before", "woken": ", still present after snooze"}[alert["says"]]
    return f"{STATUS_WORDS[alert['severity']]}{news}: {alert['model'] or 'records'}"


def message_text(alert: Mapping[str, Any], config: AlertConfig) -> str:
    """The body of a message: claim, suspected source, link."""
    lines = [str(alert["title"]).replace("`", ""), f"Suspected source: {alert['source']}."]
    if config.dashboard:
        lines.append(f"{config.dashboard}/incident?id={alert['incident']}")
    return "\n".join(lines)
