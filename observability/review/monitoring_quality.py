"""Describe the quality of the monitoring in a week: alerts, their precision, rules that never fired, and missed incidents."""

from collections.abc import Sequence
from typing import Any

from observability.alerts import alert_log, alert_state
from observability.alerts.rule_usefulness import rule_uses
from observability.core.finding import iso
from observability.core.weeks import Week
from observability.review.change_log import Entry
from observability.store.engine import Store

Body = dict[str, Any]
REPORTED = ("incident", "complaint")
"""Kinds of events by which people report a fault."""


def week_monitoring(store: Store, week: Week, models: Sequence[Body], happened: Sequence[Entry]) -> Body:
    """As of the end of the week: its alerts (changed in it, or still open), their precision, which rules fired, and missed incidents."""
    records = [record for record in alert_log.alert_records(store) if record["at"] < week.end]
    standing = list(alert_state.alerts_from_records(records, week.end).values())
    shown = [alert for alert in standing if alert.changed_at >= week.start or alert.state != "resolved"]
    found = alert_state.alert_precision(shown)
    rules = rule_uses(standing)
    names = ("incident", "model", "title", "severity", "state", "useful", "told")
    return {
        "alerts": [
            {
                **{name: getattr(alert, name) for name in names},
                "opened_at": iso(alert.opened_at),
                "until": iso(alert.until) if alert.until else None,
            }
            for alert in sorted(shown, key=lambda alert: (alert.opened_at, alert.incident))
        ],
        "useful": found.useful,
        "judged": found.judged,
        "sentence": found.sentence,
        "rules": [
            {"rule": use.rule, "fired": use.fired, "useful": use.answers.useful, "judged": use.answers.judged, "useless": use.useless}
            for use in rules
            if use.fired
        ],
        "silent": [use.rule for use in rules if not use.fired],
        "missed": missed_incidents(models, happened),
    }


def missed_incidents(models: Sequence[Body], happened: Sequence[Entry]) -> list[Body]:
    """Incidents and complaints that people logged about models that had no critical incident in the week."""
    quiet = {part["model"] for part in models if not any(incident["severity"] == "act" for incident in part["incidents"])}
    return [entry.to_json() for entry in happened if entry.sort in REPORTED and entry.model in quiet]
