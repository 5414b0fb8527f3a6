"""Determine the state of a model in a frozen week, and how many things need action, from its findings, incidents and audits.

An overdue action, decision or signature is a task for people. It is on the agenda, but it is not a state of the model.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from observability.core.finding import SEVERITIES, Severity
from observability.incidents.action_counts import ActionCounts, action_counts
from observability.review.agenda import Arranged, Item

STATE_SORTS = ("incident", "audit")
"""Sorts of agenda items that are states of a model."""
AUDIT_RULE = ("trust/audits", "audit_days_left")
"""Analyzer and metric of an incident about an expired audit. Such an audit is also on the agenda as an item that is due."""


def state_items(items: Iterable[Item], model: str) -> list[Item]:
    """The agenda items that are states of a model: incidents and audits. An expired audit is listed only once."""
    mine = [item for item in items if model in item.models and item.sort in STATE_SORTS]
    due = {item.item.rpartition(":")[2] for item in mine if item.sort == "audit"}
    return [item for item in mine if audit_of_incident(item) not in due]


def audit_of_incident(item: Item) -> str | None:
    """The kind of audit that, according to an incident, has expired; None for other items."""
    about = item.about
    return about.get("subject") if item.sort == "incident" and (about.get("analyzer"), about.get("metric")) == AUDIT_RULE else None


def model_action_counts(agenda: Arranged, model: str) -> ActionCounts:
    """How many states of a model are critical and how many are warnings, according to the arranged agenda. Folded items count; removed
    items do not.
    """
    mine = state_items((item for item in (*agenda.items, *agenda.folded) if item.item not in agenda.removed), model)
    return action_counts(own for item in mine for own in item.of_model(model))


def model_week_severity(body: Mapping[str, Any], part: Mapping[str, Any]) -> Severity:
    """The status of a model in a frozen week: the worst of its findings, incidents and audits. part: the model's part of the week."""
    items = state_items(map(Item.from_json, body["agenda"]), part["model"])
    own = (each for item in items for each in item.of_model(part["model"]))
    return min([part["severity"], *(each.severity for each in own)], key=SEVERITIES.index)
