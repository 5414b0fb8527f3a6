"""What a frozen week asks for about one model: its agenda items, counted by the one function that counts what needs action."""

from collections.abc import Mapping
from typing import Any

from observability.core.finding import SEVERITIES, Severity
from observability.incidents.action_counts import ActionCounts, action_counts
from observability.review.agenda import Item


def agenda_of_model(body: Mapping[str, Any], model: str) -> list[Item]:
    """The items of a frozen week that concern a model: incidents, and what is due."""
    return [item for item in map(Item.from_json, body["agenda"]) if model in item.models]


def model_action_counts(body: Mapping[str, Any], model: str) -> ActionCounts:
    """How many items of a model are critical and warnings, as the agenda lists them."""
    return action_counts(agenda_of_model(body, model))


def model_week_severity(body: Mapping[str, Any], part: Mapping[str, Any]) -> Severity:
    """The status of a model in a frozen week: the worst of its findings and its agenda items. part: the model's part of the week."""
    return min([part["severity"], *(item.severity for item in agenda_of_model(body, part["model"]))], key=SEVERITIES.index)
