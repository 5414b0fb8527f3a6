"""What is to be done about a person who labels, and what was decided about them before?

A decision is a record of kind `action`: it stands in the ledger of changes and, while it is open, among the promises of the weekly review.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import streamlit as st

from observability.core import formatting
from observability.core.errors import ObservabilityError
from observability.core.finding import Finding, needs_action
from observability.dashboard.case import case_decisions, load_case
from observability.store.ingest.record_writer import new_id
from observability.store.query.decision_log import Item

WHAT = {"Train": "go through what they got wrong", "Pause": "give them nothing new for now", "Praise": "tell them that they do well"}
DAYS = 7
"""Days until it is due, where nobody says otherwise."""


def about(project: str, who: str) -> str:
    """How actions about a person begin, after what is to be done."""
    return f"annotator {who} of {project}"


def earlier(project: str, who: str) -> list[Item]:
    """The actions about a person, the newest first."""
    begins = tuple(f"{what} {about(project, who)}" for what in WHAT)
    found = [(each, str(each.fields.get("text") or "")) for each in load_case.actions()]
    return [each for each, words in found if words in begins or words.startswith(tuple(f"{begin}: " for begin in begins))]


def decide(project: str, who: str, found: Sequence[Finding]) -> None:
    """What was decided about a person, and a form for the next step."""
    for each in earlier(project, who):
        due, owner = each.fields.get("due"), each.fields.get("owner")
        parts = [each.state, f"by {owner}" if owner else None, f"until {formatting.day(due)}" if due else None]
        said = (
            f"{each.fields['text']} ({', '.join(filter(None, parts))}; said by {each.first.author}, {formatting.minute(each.first.at)} UTC)"
        )
        st.markdown(f":material/assignment: {formatting.plain(said)}")
    written = st.session_state.get("person-written", 0)
    with st.popover(f"Decide about {formatting.plain(who)}", icon=":material/gavel:", key="person-decide"), st.form(f"person-{written}"):
        what = st.radio("What is to be done?", list(WHAT), captions=list(WHAT.values()), key=f"person-what-{written}")
        note = st.text_input("Note", key=f"person-note-{written}", placeholder="Why, and what exactly", max_chars=2_000).strip()
        owner = st.text_input("Who does it", key=f"person-owner-{written}", max_chars=200).strip()
        due = st.date_input(
            "Until", value=datetime.now(UTC).date() + timedelta(days=DAYS), key=f"person-due-{written}", format="YYYY-MM-DD"
        )
        author = case_decisions.author_box(f"person-author-{written}")
        if not st.form_submit_button("Write it down", icon=":material/gavel:", key=f"person-submit-{written}"):
            return
    if not author:
        st.error("Say who you are: what people write carries their name.", icon=":material/person:")
        return
    cause = next((each.id for each in found if each.subject == f"project:{project}/annotator:{who}" and needs_action(each.severity)), None)
    until = datetime(due.year, due.month, due.day, tzinfo=UTC) if due else None
    record = {
        "kind": "action", "action": new_id(), "author": author, "do": "other", "text": f"{what} {about(project, who)}" + (f": {note}" if note else ""),
        "owner": owner or None, "due": until, "finding": cause,
    }  # fmt: skip
    try:
        load_case.write([{name: value for name, value in record.items() if value is not None}])
    except ObservabilityError as error:
        st.error(formatting.plain(str(error)), title="Nothing was written; your text is still in the form", icon=":material/error:")
        return
    st.session_state.update({case_decisions.SAID: author, "person-written": written + 1})
    st.toast("Written down.", icon=":material/check_circle:")
    st.rerun()
