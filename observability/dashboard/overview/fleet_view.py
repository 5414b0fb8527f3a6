"""The reader's choices for the table of the fleet: its columns, and how its rows are grouped. Both are in the address."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from observability.core import formatting
from observability.core.catalog import Model
from observability.core.finding import Severity
from observability.dashboard.overview import fleet
from observability.dashboard.overview.model_status import ModelStatus
from observability.dashboard.scope import Scope

FIXED = ("model", "status")
"""Columns that are always shown."""
CHANGED = "fleet-view-changed"
"""The session key that is set after a change of the view, until the whole page is drawn again. This is needed because the link to copy
contains the view.
"""
GroupedStatus = tuple[str | None, ModelStatus]
"""A model, with the group under which it is listed; None if there are no groups."""
GROUPS = {"status": "Status", "owner": "Owner", "team": "Team", "tag": "Tag"}


@dataclass(frozen=True)
class FleetView:
    """The reader's choices. columns: keys of the chosen columns; empty for all. group: a key of GROUPS; None for no groups."""

    columns: tuple[str, ...] = ()
    group: str | None = None

    def shown_columns(self) -> list[dict[str, Any]]:
        """The columns of the table, in their order."""
        return [each for each in fleet.COLUMNS if not self.columns or each["key"] in (*FIXED, *self.columns)]


def fleet_view_of(address: Mapping[str, Sequence[str]]) -> FleetView:
    """The view that an address names. address: its parameters `column` and `group`; unknown names are left out."""
    offered = [each["key"] for each in fleet.COLUMNS if each["key"] not in FIXED]
    named = [key for key in offered if key in address.get("column", ())]
    group = next((name for name in address.get("group", ()) if name in GROUPS), None)
    return FleetView(tuple(named), group)


def current_fleet_view() -> FleetView:
    """Return the view that the page's address names."""
    return fleet_view_of({key: st.query_params.get_all(key) for key in ("column", "group")})


def model_groups(model: Model, severity: Severity, group: str) -> list[str]:
    """Return the groups that a model belongs to, in words; if the models are grouped by tag, there may be several."""
    settings = model.settings
    if group == "status":
        return [formatting.STATUS_WORDS[severity]]
    if group == "tag":
        return list(settings.tags) or ["Without a tag"]
    return [(settings.owner if group == "owner" else settings.team) or f"Without {'an owner' if group == 'owner' else 'a team'}"]


def grouped_statuses(statuses: Sequence[ModelStatus], group: str | None) -> list[GroupedStatus]:
    """Return the models with their groups. Without groups they keep their order. With groups, the group of the worst model comes first, and
    the label of a group has the number of its models. A model with several tags is listed under each tag.
    """
    if group is None:
        return [(None, status) for status in statuses]
    found: dict[str, list[ModelStatus]] = {}
    for status in statuses:
        for name in model_groups(status.model, status.severity, group):
            found.setdefault(name, []).append(status)
    return [(f"{name} ({len(members):,})", status) for name, members in found.items() for status in members]


def grouped_fleet_rows(listed: Sequence[GroupedStatus], scope: Scope, shared: frozenset[str] = frozenset()) -> list[dict[str, Any]]:
    """The rows of the table, in the order of the models. shared: the ids of incidents that several models share and that are counted
    only once.
    """
    rows = [(group, fleet.fleet_table_row(status, scope, shared)) for group, status in listed]
    return [row if group is None else {**row, "group": group} for group, row in rows]


def fleet_view_popover(view: FleetView) -> None:
    """Draw the choice of columns and groups. The boxes take their content from the address, because a closed popover does not keep it."""
    titles = {each["key"]: each["label"] for each in fleet.COLUMNS if each["key"] not in FIXED}

    def write(key: str, box: str) -> None:
        chosen = st.session_state[box]
        values = [chosen] if isinstance(chosen, str) else list(chosen or ())
        if values and len(values) < len(titles):
            st.query_params[key] = values
        else:
            st.query_params.pop(key, None)
        st.session_state[CHANGED] = True

    with st.popover("View", icon=":material/tune:", type="tertiary", key="fleet-view"):
        box = f"fleet-columns {view.columns}"
        shown = list(view.columns or titles)
        st.pills(
            "Columns", list(titles), selection_mode="multi", default=shown, format_func=titles.__getitem__, key=box, on_change=write,
            args=("column", box),
        )  # fmt: skip
        box = f"fleet-group {view.group}"
        st.pills(
            "Group by", list(GROUPS), default=view.group, format_func=GROUPS.__getitem__, key=box, on_change=write, args=("group", box)
        )
    if st.session_state.pop(CHANGED, False):
        st.rerun()
