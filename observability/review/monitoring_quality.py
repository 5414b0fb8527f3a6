"""Is the monitoring itself of help: what was told in the week, was it useful, what stays silent, and what did it miss?"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from observability.alerts import alert_log, alert_state
from observability.alerts.rule_usefulness import uses
from observability.core.finding import iso
from observability.core.weeks import Week

if TYPE_CHECKING:
    from observability.review.change_log import Entry
    from observability.store.db.database import Store

Body = dict[str, Any]
REPORTED = ("incident", "complaint")
"""What people report: an event of such a kind says that something was wrong."""


def monitoring(store: "Store", week: Week, models: Sequence[Body], happened: Sequence["Entry"]) -> Body:
    """The alerts of the week as they stood at its end (opened, or said something about, in it, or still open), how often alarms were useful, by rule, and what was missed."""
    said = [each for each in alert_log.said(store) if each["at"] < week.end]
    standing = list(alert_state.standing(said, week.end).values())
    shown = [each for each in standing if each.changed_at >= week.start or each.state != "resolved"]
    found = alert_state.precision(shown)
    rules = uses(standing)
    return {
        "alerts": [
            {
                "incident": each.incident, "model": each.model, "title": each.title, "severity": each.severity, "state": each.state,
                "opened_at": iso(each.opened_at), "until": iso(each.until) if each.until else None, "useful": each.useful, "told": each.told,
            }
            for each in sorted(shown, key=lambda one: (one.opened_at, one.incident))
        ],
        "useful": found.useful,
        "judged": found.judged,
        "sentence": found.sentence,
        "rules": [
            {"rule": each.rule, "fired": each.fired, "useful": each.answers.useful, "judged": each.answers.judged, "useless": each.useless}
            for each in rules
            if each.fired
        ],
        "silent": [each.rule for each in rules if not each.fired],
        "missed": missed(models, happened),
    }  # fmt: skip


def missed(models: Sequence[Body], happened: Sequence["Entry"]) -> list[Body]:
    """Incidents and complaints that people logged about a model of which no finding of the week says act."""
    quiet = {each["model"] for each in models if not any(one["severity"] == "act" for one in each["incidents"])}
    return [each.to_json() for each in happened if each.sort in REPORTED and each.model in quiet]
