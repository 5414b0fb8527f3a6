"""The open tasks on the first page: one line per incident and per unregistered version, and the dialog in which to act on an incident."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import streamlit as st

from observability.alerts.alert_state import Alert, alert_precision
from observability.core import formatting
from observability.dashboard import links, read_incidents, sign_in
from observability.dashboard.cells import severity_cell
from observability.dashboard.overview import incident_actions, incidents
from observability.dashboard.overview.model_status import ModelStatus
from observability.dashboard.scope import Scope
from observability.dashboard.table import draw_table, table_row
from observability.dashboard.widgets import plain_caption
from observability.incidents.action_counts import CountedIncident, counted_incidents
from observability.incidents.grouping import Incident, most_urgent_first

MAX_TASKS, MAX_TAKEN = 5, 3
ASKED = "incident-asked"
"""The session key of the incidents and the action that the table asked for."""
BULK = {
    **{name: incident_actions.ACTIONS[name] for name in ("assign", "acknowledge", "snooze", "mute", "resolve")},
    "merge": "Merge",
    "read": "Mark read",
    "unread": "Mark unread",
}
"""Actions that apply to all incidents that the reader selected."""


def open_tasks_table(statuses: Sequence[ModelStatus], counted: Sequence[CountedIncident], scope: Scope) -> None:
    """Draw the open tasks; incidents that are snoozed or resolved are folded. counted: the incidents of the models and of other records."""
    read_incidents.write_marks()
    alerts, now = incident_actions.alerts_here(), datetime.now(UTC)
    listed, settled = incident_inbox_rows(counted, scope, alerts, now)
    rows = [*listed, *itertools.islice(unregistered_version_rows(statuses), MAX_TASKS)]
    asks = acting_options([each.lead for each in counted], marks=True) | {"remembers": "incidents"}
    if rows:
        shown = first_inbox_rows(rows)
        draw_table("tasks", "Incidents, most urgent first", incidents.INBOX, shown, compact=True, sort=True, bulk=BULK, **asks)
        incidents.show_all_button("tasks", min(len(shown), len(listed)), len(listed), scope)
    elif not settled:
        unknown = sum(status.severity == "unknown" for status in statuses)
        if unknown:
            words = f"nothing needs action, but {unknown} of {formatting.plural(len(statuses), 'model')} cannot be judged"
            st.markdown(f"{formatting.status_label('unknown')}: {words}.")
        else:
            st.markdown(f"{formatting.status_label('ok')}: nothing needs action.")
    if settled:
        with st.expander(f"{formatting.plural(len(settled), 'incident')} snoozed or resolved", icon=":material/unfold_more:"):
            draw_table("settled", "Incidents that are snoozed or resolved", incidents.INBOX, settled, compact=True, **asks)
    if alert_precision(list(alerts.values())).judged:
        plain_caption(precision_words(list(alerts.values())))


def acting_options(leads: Sequence[Incident], *, marks: bool = False) -> dict[str, Any]:
    """Return the options of a table whose rows stand for incidents: the actions of its buttons and keys. leads: the incidents of its rows.
    marks: whether its rows show which incidents are unread; a key then marks them.
    """
    known = {incident.id: incident for incident in leads}

    def ask(named: Sequence[str], does: str) -> None:
        if (read := read_incidents.asked_marks(does, named, known)) is None:
            ask_for_action(named, does)
        else:
            read_incidents.mark_incidents([known[name] for name in named if name in known], read=read)

    return {"on_act": ask, "keys": {**incident_actions.KEYS, **({read_incidents.KEY: "turn"} if marks else {})}}


def precision_words(alerts: Sequence[Alert]) -> str:
    """The precision of alerts from ratings and reasons, and how often each reason was given."""
    given = incident_actions.reason_counts(alerts)
    return f"{alert_precision(alerts).sentence}{f' Resolved: {given}.' if given else ''}"


def ask_for_action(found: Sequence[str], does: str) -> None:
    """Store the incidents and the action that the table asked for; the page then draws the dialog."""
    st.session_state[ASKED] = (list(found), does)


def first_inbox_rows(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first MAX_TASKS rows of the list of incidents, and at most MAX_TAKEN later rows on which somebody works. A person therefore
    finds an incident that they took, and others see that it is taken.
    """
    taken = [
        row for row in rows[MAX_TASKS:] if str(row["cells"].get("state", {}).get("t")).startswith(incident_actions.STATES["acknowledged"])
    ]
    return [*rows[:MAX_TASKS], *taken[:MAX_TAKEN]]


def incident_inbox_rows(
    counted: Sequence[CountedIncident], scope: Scope, alerts: Mapping[str, Alert], now: datetime
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of incidents in their order: open ones, and snoozed or resolved ones."""
    listed: list[dict[str, Any]] = []
    settled: list[dict[str, Any]] = []
    for each in counted:
        alert = incident_actions.alert_of_incident(each.lead, alerts, now)
        owner, state = incident_actions.incident_owner(each.lead, alert), incident_actions.incident_state_words(alert)
        kept = settled if incident_actions.is_settled(alert) else listed
        said = None if state == incident_actions.STATES["open"] else state  # the column shows only actions of people
        unread = kept is listed and not read_incidents.is_read(each.lead)
        kept.append(incidents.counted_incident_row(each, scope, owner, said, unread))
    return listed, settled


def asked_dialog(found: Sequence[Incident]) -> None:
    """Draw the dialog of the action that the table asked for. found: the incidents of the page."""
    names, does = st.session_state.pop(ASKED, ((), ""))
    chosen = most_urgent_first(incident for incident in found if incident.id in names)
    if chosen:
        _incident_dialog(chosen, equal_incidents(chosen, found), does)


def equal_incidents(chosen: Sequence[Incident], found: Sequence[Incident]) -> list[Incident]:
    """The incidents of other models that share a row with one of the chosen incidents."""
    ids = {incident.id for incident in chosen}
    rows = [each.incidents for each in counted_incidents(found) if any(incident.id in ids for incident in each.incidents)]
    return [incident for row in rows for incident in row if incident.id not in ids]


@st.dialog("Incident", width="medium")
def _incident_dialog(chosen: Sequence[Incident], equal: Sequence[Incident], does: str) -> None:
    """Draw the forms for the chosen incidents, worst first. equal: the equal incidents of other models. does: the action whose form is open
    at first. Incidents of models about which the person may not write are left out; the dialog gives their number.
    """
    alerts, now = incident_actions.alerts_here(), datetime.now(UTC)
    for incident in chosen:
        words = formatting.sentence_markdown(incidents.incident_headline(incident))
        st.markdown(f"{formatting.status_label(incident.shown_severity)} {words}")
    every = [*chosen, *equal]
    # if the person may write about none of them, the form gives the reason
    own = [each for each in every if sign_in.role_allows("write", each.model)] or every
    if left := len(every) - len(own):
        st.caption(f"Without {formatting.plural(left, 'incident')} of models that your role only reads.")
    key = f"inbox-{chosen[0].id}-{len(chosen)}"
    (first, alert), *others = [(each, incident_actions.alert_of_incident(each, alerts, now)) for each in own]
    if does == "merge":
        incident_actions.merge_form((first, alert), others, incidents.incident_headline(first), key)
    else:
        incident_actions.incident_forms(first, alert, key, "acknowledge" if does == "act" else does, others)


def unregistered_version_rows(statuses: Sequence[ModelStatus]) -> Iterator[dict[str, Any]]:
    """Yield one row per serving version that is not registered. Rows are made only when they are used."""
    for status in statuses:
        served = {finding.version for finding in status.findings}
        for version in status.model.versions:
            if not version.registered and version.name in served:
                words = f"Register version {version.name}: drift needs its reference"
                target = links.link_cell(words, "add_model")
                yield table_row(severity=severity_cell("watch"), model=status.model.name, what=target)
