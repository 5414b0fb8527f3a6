"""Decisions about a collecting device: earlier ones with what came after, and a form for the next.

A decision is a record of kind `action`: it is in the ledger of changes and, while open, among the action items of the weekly review.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import streamlit as st

from observability.core import formatting
from observability.core.finding import Finding
from observability.core.time import naive_utc
from observability.dashboard import person_name, time_zone
from observability.dashboard.case import load_case
from observability.dashboard.cells import first_finding
from observability.dashboard.data.devices import device_words
from observability.dashboard.widgets import NOT_SAVED, save_records, utc_midnight
from observability.records.values import new_record_id
from observability.store.types.decision_items import DecisionItem

WHAT = {
    "Quarantine": "exclude its data until it is repaired",
    "Recalibrate": "recalibrate it, then compare",
    "Keep": "its data are correct; give the reason",
}
DAYS_UNTIL_DUE = 7


def earlier_device_actions(subject: str) -> list[DecisionItem]:
    """The decisions about a device, newest first."""
    begins = [f"{what} {device_words(subject)}" for what in WHAT]

    def is_about(text: str) -> bool:
        return any(text == begin or text.startswith(f"{begin}: ") for begin in begins)

    return [action for action in load_case.case_actions() if is_about(str(action.fields.get("text") or ""))]


def what_came_after(made: datetime, batches: pd.DataFrame, found: Sequence[Finding]) -> str:
    """How the batches that arrived after a decision are judged: `5 batches since, none unusual`. batches: of the device, in the window."""
    later = set(map(str, batches.loc[batches["at"] > naive_utc(made), "batch"]))
    if not later:
        return "no batch since then in these dates"
    unusual = {str(name) for finding in found if finding.needs_action for name in finding.evidence.get("unusual", [])} & later
    return (
        f"{formatting.plural(len(later), 'batch', 'batches')} since, {f'{len(unusual):,} of them unusual' if unusual else 'none unusual'}"
    )


def device_action_form(subject: str, found: Sequence[Finding], batches: pd.DataFrame) -> None:
    """The earlier decisions about a device with what came after, what is proposed, and a form for the next one."""
    for action in earlier_device_actions(subject):
        owner = action.fields.get("owner")
        after = what_came_after(action.first.at, batches, found)
        by = f"by {action.first.author}, {time_zone.named_minute(action.first.at)}"
        words = f"{action.fields['text']} ({', '.join(filter(None, [action.state, f'owner {owner}' if owner else None]))}; {by}): {after}."
        st.markdown(f":material/assignment: {formatting.escape_markdown(words)}")
    bad = first_finding(finding for finding in found if finding.needs_action)
    proposed = str(bad.evidence.get("proposal") or "").capitalize() if bad else ""
    if bad and proposed in WHAT:
        kept = len(bad.evidence.get("unusual", []))
        evidence = f"{formatting.plural(kept, 'unusual batch', 'unusual batches')} in this window"
        st.markdown(formatting.escape_markdown(f"Proposed: {proposed.lower()} {device_words(subject)} ({evidence})."))
    turn = st.session_state.get("device-decided", 0)
    with st.popover(f"Decide about {formatting.escape_markdown(device_words(subject))}", icon=":material/gavel:", key="device-decide"):
        author = person_name.person_name_box("device-author")
        with st.form(f"device-{turn}"):
            first = list(WHAT).index(proposed) if proposed in WHAT else 0
            what = st.radio("Decision", list(WHAT), first, captions=list(WHAT.values()), key=f"device-what-{turn}")
            note = st.text_input("Note", key=f"device-note-{turn}", placeholder="Reason and details", max_chars=2_000).strip()
            owner = st.text_input("Owner", key=f"device-owner-{turn}", max_chars=200).strip()
            later = datetime.now(UTC).date() + timedelta(days=DAYS_UNTIL_DUE)
            due = st.date_input("Due", value=later, key=f"device-due-{turn}", format="YYYY-MM-DD")
            if not st.form_submit_button("Save", icon=":material/save:", key=f"device-submit-{turn}"):
                return
    if not author:
        st.error(person_name.MISSING, icon=":material/person:")
        return
    text = f"{what} {device_words(subject)}" + (f": {note}" if note else "")
    record: dict[str, Any] = {"kind": "action", "action": new_record_id(), "author": author, "do": "other", "text": text}
    record |= {"owner": owner or None, "due": utc_midnight(due), "finding": bad.id if bad else None}
    if save_records([{name: value for name, value in record.items() if value is not None}], NOT_SAVED):
        st.session_state["device-decided"] = turn + 1
        st.toast("Saved.", icon=":material/check_circle:")
        st.rerun()
