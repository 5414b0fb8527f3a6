"""Decide and close: who decided what on which evidence, what a risk owner accepts until when, and what leaves the room."""

from datetime import UTC, datetime, time, timedelta
from typing import Any

import streamlit as st

from observability.review.week import Week
from observability.store import written
from observability.views import load_review, review, text
from observability.views.review import Room, say
from observability.views.table import column, row, table

CHOICES = {"promote": "Promote", "hold": "Hold", "reject": "Reject"}
COLUMNS = (
    column("what", "Decision", wide=True),
    column("who", "Decided by", width="11rem"),
    column("rests", "Rests on", wide=True),
    column("revisit", "Look again", width="8rem"),
)


def draw(room: Room) -> None:
    """The decisions so far, the forms, the files."""
    made = load_review.decided(room.review)
    if made:
        table("decisions", "Decisions", COLUMNS, [as_row(each) for each in made], large=True)
    else:
        st.caption("Nothing is decided yet.")
    undecided = [each for each in room.agenda.items if each.item not in room.ended]
    if undecided:
        st.markdown(
            f"{text.status('watch', text.plural(len(undecided), 'item'))} on the agenda {'has' if len(undecided) == 1 else 'have'} no outcome yet."
        )
    if room.author is None:
        st.caption("Give your name above to write.")
    else:
        decide(room)
        sign(room)
        take_back(room, made)
    st.subheader("Take it with you", anchor=False)
    review.downloads(room)


def as_row(each: dict[str, Any]) -> dict[str, Any]:
    """One decision."""
    considered = f"Also considered: {'; '.join(each['options'])}. " if each["options"] else ""
    dissent = f"Dissent: {each['dissent']}" if each["dissent"] else ""
    return row(
        {
            "what": {"t": each["statement"] or text.DASH, "sub": f"{considered}{dissent}" or None},
            "who": {"t": each["decider"] or each["author"], "sub": f"written by {each['author']}" if each["decider"] not in (None, each["author"]) else None},
            "rests": {"t": "; ".join(each["evidence"] or []) or text.DASH},
            "revisit": {"t": each["revisit"][:10] if each["revisit"] else text.DASH},
        }
    )  # fmt: skip


def decide(room: Room) -> None:
    """The form of a decision. It needs one piece of evidence."""
    items = evidence_of(room)
    week = Week.parse(room.body["week"])
    turn = review.turn_of("decision")
    with st.form(f"decide-{turn}"):
        st.markdown("**Write a decision down**")
        statement = st.text_input("What was decided?", max_chars=400, key=f"decision-statement-{turn}")
        evidence = st.multiselect("It rests on", list(items), format_func=lambda key: items[key][:90], key=f"decision-evidence-{turn}")
        left, middle, right = st.columns(3)
        decider = left.text_input("Who decided?", value=room.author or "", max_chars=80, key=f"decision-decider-{turn}")
        model = middle.selectbox("Model", [each["model"] for each in room.body["models"]], index=None, placeholder="None in particular", key=f"decision-model-{turn}")  # fmt: skip
        choice = right.selectbox(
            "About a version",
            list(CHOICES),
            index=None,
            format_func=lambda key: CHOICES[key],
            placeholder="Not about one",
            key=f"decision-choice-{turn}",
        )
        version = st.text_input("Which version?", max_chars=200, placeholder="Only where it is about one", key=f"decision-version-{turn}")
        options = st.text_input("What else was considered? (separate with ;)", max_chars=800, key=f"decision-options-{turn}")
        dissent = st.text_input("Who disagreed, and why?", max_chars=800, key=f"decision-dissent-{turn}")
        again = st.date_input("Look at it again on", value=None, min_value=week.start.date(), key=f"decision-revisit-{turn}")
        if st.form_submit_button("Write down", icon=":material/gavel:"):
            if not statement.strip() or not evidence:
                st.warning("A decision needs a sentence and at least one item that it rests on.")
                return
            if choice and not (model and version.strip()):
                st.warning("Promote, hold or reject: say the model and its version.")
                return
            record = {
                "kind": "decision", "decision": written.new_id(), "author": room.author, "statement": statement.strip(), "decider": decider.strip(),
                "evidence": [f"{room.review}: {items[key]}" for key in evidence], "model": model, "choice": choice,
                "options": [each.strip() for each in options.split(";") if each.strip()] or None, "dissent": dissent.strip(), "review": room.review,
                "version": version.strip(),
                "revisit": datetime.combine(again, time(), tzinfo=UTC) if again else None, "item": evidence[0],
            }  # fmt: skip
            if say(room, [record]):
                review.next_turn("decision")
                st.rerun()


def evidence_of(room: Room) -> dict[str, str]:
    """What a decision of this week can rest on, by id: items of the agenda, promises with what moved, versions that ask to be promoted."""
    found = {each.item: each.title for each in (*room.agenda.items, *room.agenda.folded)}
    for each in room.body["promises"]:
        found.setdefault(f"action:{each['action']}", f"{each['text']} Did it move? {(each['moved'] or {}).get('answer', 'not asked')}")
    for each in room.body.get("challengers", []):
        found[f"challenger:{each['model']}:{each['version']}"] = (
            f"{each['model']}: version {each['version']} beside version {each['serves']}"
        )
    return {key: words.replace("`", "") for key, words in found.items()}


def sign(room: Room) -> None:
    """A risk owner accepts a state until a date: fairness above all."""
    week = Week.parse(room.body["week"])
    turn = review.turn_of("sign")
    with (
        st.expander("Accept a state until a date (risk owner)", icon=":material/draw:"),
        st.form(f"sign-{turn}", border=False),
    ):
        left, middle, right = st.columns(3)
        model = left.selectbox("Model", [each["model"] for each in room.body["models"]], key=f"sign-model-{turn}")
        subject = middle.text_input("What is accepted?", placeholder="fairness of sex", max_chars=200, key=f"sign-subject-{turn}")
        until = right.date_input("Until", value=(week.end + timedelta(days=90)).date(), key=f"sign-until-{turn}")
        note = st.text_input("Why?", max_chars=800, key=f"sign-note-{turn}")
        if st.form_submit_button("Sign", icon=":material/draw:"):
            if not subject.strip() or not model or not until:
                st.warning("Say what is accepted, and until when.")
                return
            record = {
                "kind": "signature", "author": room.author, "model": model, "subject": subject.strip(), "note": note.strip(), "review": room.review,
                "until": datetime.combine(until, time(), tzinfo=UTC),
            }  # fmt: skip
            if say(room, [record]):
                review.next_turn("sign")
                st.toast("Signed. It comes back on the agenda before it lapses.", icon=":material/draw:")


def take_back(room: Room, made: list[dict[str, Any]]) -> None:
    """Withdraw a decision that was written down by mistake; the record of it stays."""
    if not made:
        return
    with st.expander("Take a decision back", icon=":material/undo:"):
        chosen = st.selectbox("Decision", made, index=None, format_func=lambda each: str(each["statement"])[:90], key="withdraw-choice")
        if st.button("Take back", icon=":material/undo:", disabled=chosen is None, key="withdraw") and chosen:
            _ = (
                say(room, [{"kind": "decision", "decision": chosen["decision"], "author": room.author, "state": "withdrawn"}])
                and st.rerun()
            )
