"""Open tasks: critical incidents and unregistered versions."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from observability.core import formatting
from observability.dashboard import links
from observability.dashboard.overview import incidents
from observability.dashboard.overview.fleet import ModelStatus
from observability.dashboard.scope import Scope
from observability.dashboard.table import column, draw_table, table_row
from observability.incidents.grouping import Incident

COLUMNS = (column("what", "What", wide=True), incidents.SOURCE)


def open_tasks_table(statuses: Sequence[ModelStatus], others: Sequence[Incident], scope: Scope) -> None:
    """Draw the open tasks. others: incidents outside the models' windows, as those of training runs."""
    rows = [*critical_incident_rows(statuses, others, scope), *unregistered_version_rows(statuses)]
    if rows:
        draw_table("tasks", "Needs action", COLUMNS, rows, compact=True)
        return
    unknown = sum(status.severity == "unknown" for status in statuses)
    if unknown:
        words = f"nothing needs action, but {unknown} of {formatting.plural(len(statuses), 'model')} cannot be judged"
        st.markdown(f"{formatting.status_label('unknown')}: {words}.")
    else:
        st.markdown(f"{formatting.status_label('ok')}: nothing needs action.")


def critical_incident_rows(statuses: Sequence[ModelStatus], others: Sequence[Incident], scope: Scope) -> list[dict[str, Any]]:
    """Critical incidents, a row each."""
    rows = []
    for incident in (*(incident for status in statuses for incident in status.incidents), *others):
        if incident.severity == "act":
            cell = incidents.incident_cell(incident, scope)
            facts = " · ".join(filter(None, (incident.model, cell["sub"])))
            rows.append(table_row(what={"s": "act", **cell, "sub": facts}, source=incidents.source_cell(incident)))
    return rows


def unregistered_version_rows(statuses: Sequence[ModelStatus]) -> list[dict[str, Any]]:
    """Serving versions that are not registered, a row each."""
    rows = []
    for status in statuses:
        served = {finding.version for finding in status.findings}
        for version in status.model.versions:
            if not version.registered and version.name in served:
                words = f"Register {status.model.name} version {version.name}: drift needs its reference"
                rows.append(table_row(what={"s": "watch", **links.link_cell(words, "add_model")}))
    return rows
