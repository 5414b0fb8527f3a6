"""The part of the page Store about model files: whether this system confines the process that opens them, and, if it does not, who allowed
that process to run.
"""

from datetime import UTC, datetime

import streamlit as st

from observability.core import formatting
from observability.core.errors import ObservabilityError, StoreBrokenError
from observability.dashboard import load, person_name, sign_in, time_zone
from observability.dashboard.table import column, draw_table, table_row
from observability.dashboard.widgets import plain_error, plain_paragraph
from observability.server.audit_log import note_access
from observability.worker.confine import confinement_problems
from observability.worker.permission import confinement_decision, confinement_decisions, decide_unconfined

COLUMNS = (
    column("at", "When (UTC)"),
    column("decision", "Decision", strong=True),
    column("author", "By"),
    column("reason", "Reason"),
)
CONFINED = "Model files run confined: they reach no other file, no network and no other program."


def confinement_section() -> None:
    """Draw whether model files run confined, the form for administrators, and every decision with its author."""
    problems = confinement_problems()
    plain_paragraph("Model files do not run confined. The banner above states the reason." if problems else CONFINED)
    decision = confinement_decision()
    allowed = decision is not None and decision.allowed
    if sign_in.role_allows("settings") and (problems or allowed):
        _decision_form(allowed)
    if made := confinement_decisions(load.home()):
        rows = [
            table_row(
                at=time_zone.zoned_minute(datetime.fromisoformat(each.at)) if each.at else formatting.DASH,
                decision="allowed" if each.allowed else "refused",
                author=each.author or formatting.DASH,
                reason=each.reason,
            )
            for each in reversed(made)
        ]
        draw_table("unconfined", "Who allowed or refused models without confinement", COLUMNS, rows, compact=True)


def _decision_form(allowed: bool) -> None:
    """Draw the form that allows models to run without confinement, or that withdraws this permission."""
    author = person_name.person_name_box("unconfined")
    with st.form("unconfined-models", border=True):
        if not allowed:
            plain_paragraph("A model file, or a query of a page, could then read and change every file that the dashboard can.")
        reason = st.text_input("Reason", max_chars=300, autocomplete="off", key="unconfined-reason")
        words = "Withdraw the permission" if allowed else "Allow models without confinement"
        asked = st.form_submit_button(words, icon=":material/lock:" if allowed else ":material/lock_open:")
    if asked and (who := person_name.decision_author(author, reason)):
        try:
            save_decision(not allowed, who, reason.strip())
        except ObservabilityError as error:
            plain_error(error)
            return
        st.rerun()


def save_decision(allowed: bool, author: str, reason: str) -> None:
    """Store a decision on confinement, and log it as an event. Raises ForbiddenError or StoreBrokenError."""
    sign_in.require_of_person("settings")
    what = "models without confinement"
    note_access(load.home(), author, "changed", what=what)
    try:
        decide_unconfined(load.home(), allowed, author, reason)
    except OSError as error:
        raise StoreBrokenError("the decision cannot be saved", got=error.strerror, attempt="Free some disk space") from error
    text = f"{author} {'allowed' if allowed else 'refused'} {what}: {reason}"
    load.store().write_records([{"kind": "event", "at": datetime.now(UTC), "what": "note", "text": text}])
