"""What the first page lists as open: incidents, a line each, and unregistered versions."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from observability.core import formatting
from observability.dashboard import links
from observability.dashboard.cells import severity_cell
from observability.dashboard.overview import incidents
from observability.dashboard.overview.fleet import ModelStatus
from observability.dashboard.scope import Scope
from observability.dashboard.table import draw_table, table_row
from observability.incidents.grouping import Incident, incident_order

MOST = 12


def open_tasks_table(statuses: Sequence[ModelStatus], others: Sequence[Incident], scope: Scope) -> None:
    """Draw the open tasks. others: incidents outside the models' windows, as those of training runs."""
    rows = [*incident_inbox_rows(statuses, others, scope), *unregistered_version_rows(statuses)]
    if rows:
        draw_table("tasks", "Incidents, worst first", incidents.INBOX, rows[:MOST], compact=True, sort=True)
        incidents.show_all_button("tasks", MOST, len(rows), scope)
        return
    unknown = sum(status.severity == "unknown" for status in statuses)
    if unknown:
        words = f"nothing needs action, but {unknown} of {formatting.plural(len(statuses), 'model')} cannot be judged"
        st.markdown(f"{formatting.status_label('unknown')}: {words}.")
    else:
        st.markdown(f"{formatting.status_label('ok')}: nothing needs action.")


def incident_inbox_rows(statuses: Sequence[ModelStatus], others: Sequence[Incident], scope: Scope) -> list[dict[str, Any]]:
    """Incidents, worst first, a row each; one of several models is told once."""
    found = sorted((*(incident for status in statuses for incident in status.incidents), *others), key=incident_order)
    return [incidents.inbox_row(incident, models, scope) for incident, models in incidents.merge_equal_incidents(found)]


def unregistered_version_rows(statuses: Sequence[ModelStatus]) -> list[dict[str, Any]]:
    """Serving versions that are not registered, a row each."""
    rows = []
    for status in statuses:
        served = {finding.version for finding in status.findings}
        for version in status.model.versions:
            if not version.registered and version.name in served:
                words = f"Register version {version.name}: drift needs its reference"
                target = links.link_cell(words, "add_model")
                rows.append(table_row(severity=severity_cell("watch"), model=status.model.name, what=target))
    return rows
