"""Decide which dashboards a person may see, and to which channels the person may send a dashboard."""

from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from observability.alerts.config import read_alert_config
from observability.server.access import Person, may_do

if TYPE_CHECKING:
    from pathlib import Path

    from observability.store.types.decision_items import DecisionItem

PERSONAL = ("dashboard", "pin")
"""Kinds of records that only their author may see until they are shared. They can be read only through the method `dashboards`."""
SCHEDULE = ("send", "channel", "hour")
"""Fields of a dashboard that say when and where its summary is sent."""


def may_send_to(person: Person, channel: str, home: "Path") -> bool:
    """Whether a person may send the summary of a dashboard to a channel. Administrators may use all channels, other people those that
    alerts.toml opens for them.
    """
    return may_do(person, "settings") or channel in read_alert_config(home).for_analysts


def visible_dashboards(person: Person, items: "Sequence[DecisionItem]") -> "tuple[DecisionItem, ...]":
    """The dashboards that a person may see, with their figures and texts: the person's own ones, and shared ones if the person may see
    every model that the dashboard and its figures name. Without sign-in: all dashboards.
    """
    if person.source == "here":
        return tuple(items)
    about: dict[str, set[str]] = {}
    for item in items:
        named = {item.fields.get("model"), *(value for key, value in parse_qsl(str(item.fields.get("scope") or "")) if key == "model")}
        about.setdefault(item.id if item.kind == "dashboard" else str(item.fields["dashboard"]), set()).update(filter(None, named))

    def visible(board: "DecisionItem") -> bool:
        shared = board.fields.get("visibility") == "shared" and all(may_do(person, "read", model) for model in about[board.id])
        return shared or board.first.author == person.name

    seen = {item.id for item in items if item.kind == "dashboard" and visible(item)}
    return tuple(item for item in items if (item.id if item.kind == "dashboard" else item.fields["dashboard"]) in seen)
