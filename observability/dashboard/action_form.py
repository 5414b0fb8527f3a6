"""The earlier actions about a device, an annotator, a rule, a study or a host, and the form for the next action.

An action is a record of kind `action`. The ledger of changes lists it. While it is open, the weekly review lists it as an action item.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import streamlit as st

from observability.core import formatting
from observability.dashboard import person_name, time_zone
from observability.dashboard.case import load_case
from observability.dashboard.widgets import NOT_SAVED, save_records, utc_midnight
from observability.records.values import new_record_id
from observability.store.types.decision_items import DecisionItem

DAYS_UNTIL_DUE = 7


@dataclass(frozen=True, kw_only=True)
class ActionChoices:
    """The possible actions about a thing. key: prefix of the widgets' keys; thing: its name, which follows the verb in the text of an
    action; verbs: the verbs with their meanings; button: label of the button that opens the form; proposed: the verb that is selected at
    first; cause: id of the finding that suggests the action.
    """

    key: str
    thing: str
    verbs: Mapping[str, str]
    button: str
    proposed: str | None = None
    cause: str | None = None

    def text(self, verb: str, note: str = "") -> str:
        """The text of an action, such as `Quarantine device d7 of greenhouse: drifted`."""
        return f"{verb} {self.thing}" + (f": {note}" if note else "")

    def earlier(self) -> list[DecisionItem]:
        """The actions about the thing, newest first."""
        begins = [self.text(verb) for verb in self.verbs]

        def is_about(text: str) -> bool:
            return any(text == begin or text.startswith(f"{begin}: ") for begin in begins)

        return [action for action in load_case.case_actions() if is_about(str(action.fields.get("text") or ""))]


def action_form(choices: ActionChoices, came_after: Callable[[datetime], str] | None = None) -> None:
    """Draw the earlier actions about a thing, and a form for the next one. came_after: a function that describes the records that arrived
    after a time (aware UTC).
    """
    for action in choices.earlier():
        line = f"{_action_words(action)}: {came_after(action.first.at)}." if came_after else _action_words(action)
        st.markdown(f":material/assignment: {formatting.escape_markdown(line)}")
    key, turn = choices.key, st.session_state.get(f"{choices.key}-decided", 0)
    with st.popover(formatting.escape_markdown(choices.button), icon=":material/gavel:", key=f"{key}-decide"):
        author = person_name.person_name_box(f"{key}-author")
        with st.form(f"{key}-{turn}"):
            verbs = list(choices.verbs)
            first = verbs.index(choices.proposed) if choices.proposed in verbs else 0
            verb = st.radio("Action", verbs, first, captions=list(choices.verbs.values()), key=f"{key}-what-{turn}")
            note = st.text_input("Note", key=f"{key}-note-{turn}", placeholder="Reason and details", max_chars=2_000).strip()
            owner = st.text_input("Owner", key=f"{key}-owner-{turn}", max_chars=200).strip()
            later = datetime.now(UTC).date() + timedelta(days=DAYS_UNTIL_DUE)
            due = st.date_input("Due", value=later, key=f"{key}-due-{turn}", format="YYYY-MM-DD")
            if not st.form_submit_button("Save", icon=":material/save:", key=f"{key}-submit-{turn}"):
                return
    if not author:
        st.error(person_name.why_not_saved(), icon=":material/person:")
        return
    record: dict[str, Any] = {
        "kind": "action",
        "action": new_record_id(),
        "author": author,
        "do": "other",
        "text": choices.text(verb, note),
    }
    record |= {"owner": owner or None, "due": utc_midnight(due), "finding": choices.cause}
    if save_records([{name: value for name, value in record.items() if value is not None}], NOT_SAVED):
        st.session_state[f"{key}-decided"] = turn + 1
        st.toast("Saved.", icon=":material/check_circle:")
        st.rerun()


def _action_words(action: DecisionItem) -> str:
    """An action as text: what is to be done, its state, owner and due date, and who entered it and when."""
    owner, due = action.fields.get("owner"), action.fields.get("due")
    parts = [action.state, f"owner {owner}" if owner else None, f"due {formatting.format_day(due)}" if due else None]
    by = f"by {action.first.author}, {time_zone.named_minute(action.first.at)}"
    return f"{action.fields['text']} ({', '.join(filter(None, parts))}; {by})"
