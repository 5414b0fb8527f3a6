"""Decide and close: who decided what on which evidence, what a risk owner accepts until when, and what leaves the room."""

from datetime import UTC, datetime, time, timedelta
from typing import Any

import streamlit as st

from observability.core import formatting
from observability.core.weeks import Week
from observability.dashboard import links, load
from observability.dashboard.drafts import held
from observability.dashboard.review import load_review, review
from observability.dashboard.review.review import Room, say
from observability.dashboard.table import Cell, column, row, table
from observability.review import decision_evidence
from observability.review.agenda_items import same
from observability.store.ingest import record_writer

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
        table("decisions", "Decisions", COLUMNS, [line for each in made for line in as_rows(each)], large=True)
    else:
        st.caption("Nothing is decided yet.")
    undecided = [each for each in room.agenda.items if each.item not in room.ended]
    if undecided:
        st.markdown(
            f"{formatting.status('watch', formatting.plural(len(undecided), 'item'))} on the agenda {'has' if len(undecided) == 1 else 'have'} no outcome yet."
        )
    if room.author is None:
        st.caption("Give your name above to write.")
    else:
        decide(room)
    sign(room)
    if room.author is not None:
        take_back(room, made)
    st.subheader("Take it with you", anchor=False)
    review.downloads(room)


def as_rows(each: dict[str, Any]) -> list[dict[str, Any]]:
    """One decision; each piece that it rests on beyond the first has a line of its own, so that each leads to where it stands."""
    considered = f"Also considered: {'; '.join(each['options'])}. " if each["options"] else ""
    dissent = f"Dissent: {each['dissent']}" if each["dissent"] else ""
    pieces = [rests(written) for written in each["evidence"] or []] or [{"t": formatting.DASH}]
    first = row(
        {
            "what": {"t": each["statement"] or formatting.DASH, "sub": f"{considered}{dissent}" or None},
            "who": {"t": each["decider"] or each["author"], "sub": f"written by {each['author']}" if each["decider"] not in (None, each["author"]) else None},
            "rests": pieces[0],
            "revisit": {"t": each["revisit"][:10] if each["revisit"] else formatting.DASH},
        }
    )  # fmt: skip
    blank = {name: {"t": ""} for name in ("what", "who", "revisit")}
    return [first, *(row({**blank, "rests": piece}) for piece in pieces[1:])]


def rests(written: str) -> Cell:
    """One piece of evidence as a link to the frozen week that holds it; a text of another shape as it is."""
    piece = decision_evidence.read(written)
    if piece.review is None:
        return {"t": piece.title}
    item = {"item": piece.item} if piece.item and piece.step == "agenda" else {}
    return links.link(piece.words, "review", None, review=piece.review, step=piece.step, **item)


def decide(room: Room) -> None:
    """The boxes of a decision. It needs one piece of evidence."""
    items = evidence_of(room)
    names = [each["model"] for each in room.body["models"]]
    form = f"decision-{room.review}"
    turn = review.turn_of(form)
    with st.container(border=True):
        st.markdown("**Write a decision down**")
        statement = st.text_input("What was decided?", max_chars=400, **held(f"{form}-statement-{turn}"))
        rests_on = st.multiselect("It rests on", list(items), format_func=lambda key: items[key][:90], **held(f"{form}-evidence-{turn}"))
        left, middle, right = st.columns(3)
        decider = left.text_input("Who decided?", max_chars=80, **held(f"{form}-decider-{turn}", room.author or ""))
        model = middle.selectbox("Model", names, index=None, placeholder="None in particular", **held(f"{form}-model-{turn}", among=names))
        choice = right.selectbox(
            "About a version",
            list(CHOICES),
            index=None,
            format_func=lambda key: CHOICES[key],
            placeholder="Not about one",
            **held(f"{form}-choice-{turn}"),
        )
        version = st.text_input("Which version?", max_chars=200, placeholder="Only where it is about one", **held(f"{form}-version-{turn}"))
        options = st.text_input("What else was considered? (separate with ;)", max_chars=800, **held(f"{form}-options-{turn}"))
        dissent = st.text_input("Who disagreed, and why?", max_chars=800, **held(f"{form}-dissent-{turn}"))
        week = Week.parse(room.body["week"])
        again = st.date_input("Look at it again on", value=None, min_value=week.start.date(), **held(f"{form}-revisit-{turn}"))
        if st.button("Write down", icon=":material/gavel:", key=f"{form}-keep-{turn}"):
            if not statement.strip() or not rests_on:
                st.warning("A decision needs a sentence and at least one item that it rests on.")
                return
            if choice and not (model and version.strip()):
                st.warning("Promote, hold or reject: say the model and its version.")
                return
            record = {
                "kind": "decision", "decision": record_writer.new_id(), "author": room.author, "statement": statement.strip(), "decider": decider.strip(),
                "evidence": [str(decision_evidence.Evidence(items[key], room.review, key)) for key in rests_on], "model": model, "choice": choice,
                "options": [each.strip() for each in options.split(";") if each.strip()] or None, "dissent": dissent.strip(), "review": room.review,
                "version": version.strip(),
                "revisit": datetime.combine(again, time(), tzinfo=UTC) if again else None, "item": rests_on[0],
            }  # fmt: skip
            if say(room, [record]):
                review.next_turn(form)
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
    """A risk owner accepts a state until a date, fairness above all; what is accepted stands above the boxes."""
    signed()
    if room.author is None:
        st.caption("A risk owner can accept a state until a date: give your name above to sign.")
        return
    names = [each["model"] for each in room.body["models"]]
    form = f"sign-{room.review}"
    turn = review.turn_of(form)
    with st.expander("Accept a state until a date (risk owner)", icon=":material/draw:"):
        left, middle, right = st.columns(3)
        model = left.selectbox("Model", names, index=None, placeholder="Choose a model", **held(f"{form}-model-{turn}", among=names))
        subject = middle.selectbox(
            "What is accepted?", subjects(room, model), index=None, placeholder="Choose, or type another", accept_new_options=True,
            **held(f"{form}-subject-{turn}"),
        )  # fmt: skip
        until = right.date_input("Until", **held(f"{form}-until-{turn}", (Week.parse(room.body["week"]).end + timedelta(days=90)).date()))
        note = st.text_input("Why?", max_chars=800, **held(f"{form}-note-{turn}"))
        if st.button("Sign", icon=":material/draw:", key=f"{form}-keep-{turn}"):
            if not (subject or "").strip() or not model or not until:
                st.warning("Say of which model what is accepted, and until when.")
                return
            record = {
                "kind": "signature", "author": room.author, "model": model, "subject": known_as(str(subject), model), "note": note.strip(),
                "review": room.review, "until": datetime.combine(until, time(), tzinfo=UTC),
            }  # fmt: skip
            if say(room, [record]):
                review.next_turn(form)
                st.toast("Signed. It comes back on the agenda before it lapses.", icon=":material/draw:")
                st.rerun()


def signed() -> None:
    """What risk owners accept, and until when: the newest signature of each state."""
    found = load_review.signatures()
    if not found:
        return
    columns = (column("what", "Accepted", wide=True), column("model", "Model", width="9rem"), column("until", "Until", width="8rem"), column("who", "By", width="9rem"))  # fmt: skip
    rows = [
        row(
            {
                "what": {"t": each["subject"], "sub": each["note"]},
                "model": {"t": each["model"]},
                "until": {
                    "t": f"{each['until']:%Y-%m-%d}",
                    **({"s": "watch", "sub": "lapsed"} if each["until"] < load_review.today() else {}),
                },
                "who": {"t": each["author"]},
            }
        )
        for each in sorted(found, key=lambda one: one["until"])
    ]
    table("signed", "Accepted by a risk owner", columns, rows, compact=True)


def subjects(room: Room, model: str | None) -> list[str]:
    """What can be accepted of a model: what was before, fairness of each attribute that groups people, calibration, performance."""
    before = [each["subject"] for each in load_review.signatures() if each["model"] == model]
    part = room.model(model)
    groups = {each["subject"].partition("=")[0] for each in (part or {}).get("findings", ()) if each["analyzer"] == "trust/fairness"}
    groups |= {each.name for each in load.catalog().model(model).columns if each.sensitive} if model and part else set()
    fair = [f"fairness of {name}" for name in sorted(groups - {"model"})]
    known: dict[str, str] = {}
    for each in (*before, *fair, "calibration", "performance"):
        known.setdefault(same(each), each)
    return list(known.values())


def known_as(subject: str, model: str) -> str:
    """A subject as it was signed before, however it is typed now; else as it is typed."""
    return next(
        (each["subject"] for each in load_review.signatures() if each["model"] == model and same(each["subject"]) == same(subject)),
        " ".join(subject.split()),
    )


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
