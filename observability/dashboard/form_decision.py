"""Decisions on the form of a served model (such as another precision) or of stored data (such as another encoding): the decisions in force,
and the boxes for the next decision.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import streamlit as st

from observability.core.window import EPOCH, Window
from observability.dashboard import load, person_name
from observability.dashboard.widgets import NOT_SAVED, note_line, save_records
from observability.metrics.form_decisions import FORM_DECISIONS, FormDecision, form_decisions
from observability.records.values import new_record_id

MAX_SHOWN_DECISIONS = 5
"""Maximum number of decisions that are shown."""


@dataclass(frozen=True)
class FormToDecide:
    """The thing for which a decision chooses a form, and the forms to choose from.

    begin: the beginning of the decision's sentence. label: the label of the box of forms. used: the form in use. fields: the fields of the
    decision's record that name the thing. evidence: ids and links.
    """

    begin: str
    label: str
    forms: Sequence[str]
    used: str
    fields: Mapping[str, str]
    evidence: Sequence[str]


def made_form_decisions(about: Callable[[FormDecision], bool]) -> list[FormDecision]:
    """Return the decisions in force on the form of one thing, newest first. about: whether a decision is about the thing."""
    made = form_decisions(load.ask_store(FORM_DECISIONS, Window("", EPOCH, load.page_clock())))
    return [each for each in reversed(made) if about(each)]


def form_decision_section(choice: FormToDecide, made: Sequence[FormDecision], since: Callable[[FormDecision], str] = lambda _: "") -> None:
    """Draw the decisions that were made, and the boxes for the next one. A decision needs a reason and a name.

    made: the decisions, newest first. since: returns the results of a decision in words.
    """
    turn = int(st.session_state.get("form-turn", 0))
    for each in made[:MAX_SHOWN_DECISIONS]:
        told = since(each)
        note_line(each.at, each.author, f"{each.statement} ({told})" if told else each.statement)
    author = person_name.person_name_box("form-author")
    with st.form(f"form-decision-{turn}"):
        index = choice.forms.index(choice.used) if choice.used in choice.forms else 0
        name = st.selectbox(choice.label, choice.forms, index, key=f"form-choice-{turn}")
        reason = st.text_input("Reason", max_chars=400, key=f"form-reason-{turn}").strip()
        if not st.form_submit_button("Save", icon=":material/save:", key=f"form-save-{turn}"):
            return
    author = person_name.decision_author(author, reason)
    if author is None:
        return
    record: dict[str, object] = {"kind": "decision", "decision": new_record_id(), "author": author, **choice.fields}
    record |= {"statement": f"{choice.begin} {name}: {reason}", "form": name, "options": [each for each in choice.forms if each != name]}
    if save_records([record | {"evidence": list(choice.evidence)}], NOT_SAVED):
        st.session_state["form-turn"] = turn + 1
        st.toast("Saved.", icon=":material/check_circle:")
        st.rerun()
