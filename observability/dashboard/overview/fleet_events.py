"""Events and new incidents of the fleet, newest first, as rows of a table."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from observability.core import formatting
from observability.core.time import naive_utc
from observability.dashboard import time_zone
from observability.dashboard.overview import incidents
from observability.dashboard.overview.fleet import ModelStatus
from observability.dashboard.scope import Scope
from observability.dashboard.table import column, table_row
from observability.incidents.action_counts import merge_equal_incidents
from observability.incidents.grouping import Incident
from observability.incidents.since_words import incident_since

CHANGE_COLUMNS = (column("at", "When (UTC)", width="9rem"), column("what", "What", wide=True))


def change_rows(statuses: Sequence[ModelStatus], scope: Scope) -> list[dict[str, Any]]:
    """Events of the windows and new incidents, newest first."""
    rows: list[tuple[datetime, dict[str, Any]]] = []
    for status in statuses:
        for at, what, words in zip(status.events["at"], status.events["what"], status.events["text"]):
            when = at.to_pydatetime()
            cells = {"at": {"t": time_zone.zoned_minute(when)}, "what": {"t": str(words), "sub": f"{status.model.name}, {what}"}}
            rows.append((when, table_row(cells)))
    starts = {incident.id: status.window.start for status in statuses for incident in status.incidents}
    new = (incident for status in statuses for incident in status.incidents if status.is_new(incident))
    for each in merge_equal_incidents(new):
        begin = naive_utc(each.lead.onset or starts[each.lead.id])
        rows.append((begin, _new_incident_row(each.lead, each.models, scope)))
    return [cells for _, cells in sorted(rows, key=lambda pair: pair[0], reverse=True)]


def _new_incident_row(incident: Incident, models: Sequence[str], scope: Scope) -> dict[str, Any]:
    """An incident that the window before did not have. models: all that have it."""
    words = f"{formatting.join_words(models)}, suspected source: {incident.source}; not in the previous window"
    cell = {"s": incident.shown_severity, **incidents.incident_cell(incident, scope), "sub": words}
    return table_row({"at": {"t": incident_since(incident) or "new"}, "what": cell})


def event_rows(statuses: Sequence[ModelStatus]) -> list[dict[str, Any]]:
    """Events of the windows, newest first; one of several models is told once."""
    found: dict[tuple[datetime, str, str], list[str]] = {}
    for status in statuses:
        for at, what, words in zip(status.events["at"], status.events["what"], status.events["text"]):
            found.setdefault((at.to_pydatetime(), str(what), str(words)), []).append(status.model.name)
    rows = []
    for (at, what, words), models in sorted(found.items(), key=lambda item: item[0][0], reverse=True):
        cell = {"t": formatting.truncate(words, 120), "sub": f"{formatting.join_words(list(dict.fromkeys(models)))}, {what}"}
        rows.append(table_row(at=time_zone.zoned_minute(at), what=cell))
    return rows
