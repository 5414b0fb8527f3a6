"""Actions about an annotator: earlier ones, and a form for the next.

An action is a record of kind `action`: it is in the ledger of changes and, while open, among the action items of the weekly review.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import streamlit as st

from observability.core import formatting
from observability.core.finding import Finding
from observability.dashboard import person_name, time_zone
from observability.dashboard.case import load_case
from observability.dashboard.widgets import NOT_SAVED, save_records, utc_midnight
from observability.records.values import new_record_id
from observability.store.types.decision_items import DecisionItem

WHAT = {"Train": "review their errors with them", "Pause": "assign no new items for now", "Praise": "give positive feedback"}
DAYS_UNTIL_DUE = 7


def _action_subject(project: str, who: str) -> str:
    """The subject of the texts of actions about an annotator, after the verb."""
    return f"annotator {who} of {project}"


def _earlier_actions(project: str, who: str) -> list[DecisionItem]:
    """The actions about an annotator, newest first."""
    begins = [f"{what} {_action_subject(project, who)}" for what in WHAT]

    def is_about(text: str) -> bool:
        return any(text == begin or text.startswith(f"{begin}: ") for begin in begins)

    return [action for action in load_case.case_actions() if is_about(str(action.fields.get("text") or ""))]


def annotator_action_form(project: str, who: str, found: Sequence[Finding]) -> None:
    """The earlier actions about an annotator, and a form for the next one."""
    for action in _earlier_actions(project, who):
        due, owner = action.fields.get("due"), action.fields.get("owner")
        parts = [action.state, f"owner {owner}" if owner else None, f"due {formatting.format_day(due)}" if due else None]
        by = f"by {action.first.author}, {time_zone.named_minute(action.first.at)}"
        words = f"{action.fields['text']} ({', '.join(filter(None, parts))}; {by})"
        st.markdown(f":material/assignment: {formatting.escape_markdown(words)}")
    turn = st.session_state.get("person-written", 0)
    with st.popover(f"Add an action for {formatting.escape_markdown(who)}", icon=":material/gavel:", key="person-decide"):
        author = person_name.person_name_box("person-author")
        with st.form(f"person-{turn}"):
            what = st.radio("Action", list(WHAT), captions=list(WHAT.values()), key=f"person-what-{turn}")
            note = st.text_input("Note", key=f"person-note-{turn}", placeholder="Reason and details", max_chars=2_000).strip()
            owner = st.text_input("Owner", key=f"person-owner-{turn}", max_chars=200).strip()
            later = datetime.now(UTC).date() + timedelta(days=DAYS_UNTIL_DUE)
            due = st.date_input("Due", value=later, key=f"person-due-{turn}", format="YYYY-MM-DD")
            if not st.form_submit_button("Save", icon=":material/save:", key=f"person-submit-{turn}"):
                return
    if not author:
        st.error(person_name.MISSING, icon=":material/person:")
        return
    about = f"project:{project}/annotator:{who}"
    cause = next((finding.id for finding in found if finding.subject == about and finding.needs_action), None)
    text = f"{what} {_action_subject(project, who)}" + (f": {note}" if note else "")
    record: dict[str, Any] = {"kind": "action", "action": new_record_id(), "author": author, "do": "other", "text": text}
    record |= {"owner": owner or None, "due": utc_midnight(due), "finding": cause}
    if save_records([{name: value for name, value in record.items() if value is not None}], NOT_SAVED):
        st.session_state["person-written"] = turn + 1
        st.toast("Saved.", icon=":material/check_circle:")
        st.rerun()
