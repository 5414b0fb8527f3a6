"""The last step of a review: decisions with their evidence, risk acceptances, and downloads."""

from datetime import timedelta
from typing import Any

import streamlit as st

from observability.core import formatting
from observability.core.time import naive_utc
from observability.core.weeks import Week
from observability.dashboard import links, load, person_name
from observability.dashboard.drafts import draft_arguments
from observability.dashboard.review import load_review, review, risk_owners, shared_meeting
from observability.dashboard.review.review import ReviewPage
from observability.dashboard.table import Cell, column, draw_table, table_row
from observability.dashboard.widgets import save_records, utc_midnight
from observability.records import values
from observability.review import decision_evidence, meeting
from observability.review.agenda_items import normalized_subject
from observability.review.change_log import decision_event

CHOICES = {"promote": "Promote", "hold": "Hold", "reject": "Reject"}
COLUMNS = (
    column("what", "Decision", wide=True),
    column("who", "Decided by", width="11rem"),
    column("rests", "Evidence", wide=True),
    column("revisit", "Revisit", width="8rem"),
)
ACCEPTED = (
    column("what", "Accepted", wide=True),
    column("model", "Model", width="9rem"),
    column("until", "Until", width="8rem"),
    column("who", "By", width="9rem"),
)


def decisions_step(room: ReviewPage) -> None:
    """Draw the decisions, the forms and the downloads."""
    made = load_review.standing_decisions(room.review)
    shared_meeting.shared_part(room, "decisions", _standing_decisions_table)
    if room.author is None:
        st.caption(room.read_only_words)
    else:
        _decision_form(room)
    risk_acceptance_form(room)
    if room.author is not None and made:
        _withdraw_decision(room, made)
    _close_meeting(room)
    st.subheader("Downloads", anchor=False)
    review.review_downloads(room)


def _standing_decisions_table(room: ReviewPage) -> None:
    """Draw the decisions so far, and how many agenda items have no outcome."""
    made = load_review.standing_decisions(room.review)
    if made:
        draw_table("decisions", "Decisions", COLUMNS, [line for decision in made for line in _decision_rows(decision)], large=True)
    else:
        st.caption("No decision yet.")
    undecided = sum(item.item not in room.ended for item in room.agenda.items)
    if undecided:
        st.markdown(f"{formatting.status_label('watch', formatting.plural(undecided, 'agenda item'))} without an outcome.")


def _close_meeting(room: ReviewPage) -> None:
    """Draw the button that closes the meeting, so that nothing is written by accident, or opens it again."""
    closed = meeting.closed_by(room.said)
    author = person_name.known_author()
    if closed:
        if st.button("Open the meeting again", icon=":material/lock_open:", key="reopen-meeting", disabled=author is None):
            _save_meeting(room, author, "reopen")
    elif st.button("Close the meeting", icon=":material/lock:", key="close-meeting", disabled=author is None):
        _save_meeting(room, author, "close")


def _save_meeting(room: ReviewPage, author: str | None, does: str) -> None:
    """Save that the meeting was closed or opened again."""
    if save_records([{**review.agenda_record(room, meeting.MEETING, does), "author": author}]):
        st.rerun()


def _decision_rows(decision: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of one decision: one for each piece of evidence, so that each is a link."""
    considered = f"Also considered: {'; '.join(decision['options'])}. " if decision["options"] else ""
    dissent = f"Dissent: {decision['dissent']}" if decision["dissent"] else ""
    pieces = [_evidence_cell(written) for written in decision["evidence"] or []] or [{"t": formatting.DASH}]
    author, decider = decision["author"], decision["decider"] or decision["author"]
    first: dict[str, Cell] = {
        "what": {"t": decision["statement"] or formatting.DASH, "sub": f"{considered}{dissent}" or None},
        "who": {"t": decider, "sub": f"written by {author}" if decider != author else None},
        "revisit": {"t": formatting.format_iso_day(decision["revisit"]) if decision["revisit"] else formatting.DASH},
    }
    return [table_row(dict.fromkeys(first, "") if place else first, rests=piece) for place, piece in enumerate(pieces)]


def _evidence_cell(written: str) -> Cell:
    """One piece of evidence as a link to its frozen week; other texts as they are."""
    piece = decision_evidence.read_evidence(written)
    if piece.review is None:
        return {"t": piece.title}
    item = {"item": piece.item} if piece.item and piece.step == "agenda" else {}
    return links.link_cell(piece.words, "review", None, review=piece.review, step=piece.step, **item)


def _decision_form(room: ReviewPage) -> None:
    """Draw the boxes of a decision, which needs at least one piece of evidence."""
    items = _decision_evidence(room)
    names = [part["model"] for part in room.body["models"]]
    form = f"decision-{room.review}"
    turn = review.form_turn(form)

    def box(name: str, *more: Any, **arguments: Any) -> dict[str, Any]:
        return draft_arguments(f"{form}-{name}-{turn}", *more, **arguments)

    with st.container(border=True):
        st.markdown("**New decision**")
        statement = st.text_input("Decision", max_chars=400, **box("statement"))
        evidence = st.multiselect("Evidence", list(items), format_func=lambda key: items[key][:90], **box("evidence"))
        left, middle, right = st.columns(3)
        decider = left.text_input("Decided by", max_chars=80, **box("decider", room.author or ""))
        model = middle.selectbox("Model", names, index=None, placeholder="None", **box("model", among=names))
        choices = list(CHOICES)
        choice = right.selectbox("On a version", choices, None, CHOICES.__getitem__, placeholder="None", **box("choice"))
        version = st.text_input("Version", max_chars=200, placeholder="Only for a decision on a version", **box("version"))
        options = st.text_input("Alternatives considered (separate with ;)", max_chars=800, **box("options"))
        dissent = st.text_input("Dissent", max_chars=800, placeholder="Who, and why", **box("dissent"))
        week = Week.parse(room.body["week"])
        revisit = st.date_input("Revisit on", value=None, min_value=week.start.date(), **box("revisit"))
        if st.button("Save", icon=":material/save:", key=f"{form}-keep-{turn}"):
            if not statement.strip() or not evidence:
                st.warning("A decision needs a statement and at least one piece of evidence.")
                return
            if choice and not (model and version.strip()):
                st.warning("Promote, hold or reject needs a model and a version.")
                return
            record: dict[str, Any] = {"kind": "decision", "decision": values.new_record_id(), "author": room.author}
            record |= {"statement": statement.strip(), "decider": decider.strip(), "dissent": dissent.strip(), "item": evidence[0]}
            record |= {"evidence": [str(decision_evidence.Evidence(items[key], room.review, key)) for key in evidence]}
            record |= {"options": [option.strip() for option in options.split(";") if option.strip()] or None}
            record |= {
                "model": model,
                "choice": choice,
                "version": version.strip(),
                "revisit": utc_midnight(revisit),
                "review": room.review,
            }
            if save_records([record, decision_event(record)] if choice else [record]):
                review.next_form_turn(form)
                st.rerun()


def _decision_evidence(room: ReviewPage) -> dict[str, str]:
    """Possible evidence of a decision of this week by id: agenda items, action items with their effect, challengers."""
    found = {item.item: item.title for item in (*room.agenda.items, *room.agenda.folded)}
    for action in room.body["promises"]:
        moved = meeting.effect_answer(action) or "not measured"
        found.setdefault(f"action:{action['action']}", f"{action['text']} Metric moved: {moved}")
    for each in room.body.get("challengers", []):
        words = f"{each['model']}: version {each['version']} compared with version {each['serves']}"
        found[f"challenger:{each['model']}:{each['version']}"] = words
    return {key: words.replace("`", "") for key, words in found.items()}


def risk_acceptance_form(room: ReviewPage) -> None:
    """Draw the accepted states, and the form in which a risk owner accepts one until a date."""
    _accepted_risks(room)
    if room.author is None:
        if room.step != "decide":  # the step `decide` has drawn it already
            st.caption(room.read_only_words)
        return
    names = [part["model"] for part in room.body["models"]]
    form = f"sign-{room.review}"
    turn = review.form_turn(form)

    def box(name: str, *more: Any, **arguments: Any) -> dict[str, Any]:
        return draft_arguments(f"{form}-{name}-{turn}", *more, **arguments)

    with st.expander("Accept a state until a date (risk owner)", icon=":material/draw:"):
        left, middle, right = st.columns(3)
        model = left.selectbox("Model", names, index=None, placeholder="Choose a model", **box("model", among=names))
        known, hint = _acceptable_subjects(room, model), "Choose, or type another"
        subject = middle.selectbox("State", known, index=None, placeholder=hint, accept_new_options=True, **box("subject"))
        later = Week.parse(room.body["week"]).end + timedelta(days=90)
        until = right.date_input("Until", **box("until", later.date()))
        note = st.text_input("Reason", max_chars=800, **box("note"))
        if st.button("Sign", icon=":material/draw:", key=f"{form}-keep-{turn}"):
            if not (subject or "").strip() or not model or not until:
                st.warning("Choose a model, a state and a date.")
                return
            if risk_owners.refuses_signature(model, room.author):
                return
            text = _known_subject(str(subject), model)
            record = {"kind": "signature", "author": room.author, "model": model, "subject": text, "note": note.strip()}
            if save_records([record | {"review": room.review, "until": utc_midnight(until)}]):
                review.next_form_turn(form)
                st.toast("Signed. It returns to the agenda before it expires.", icon=":material/draw:")
                st.rerun()


def _accepted_risks(room: ReviewPage) -> None:
    """Draw the newest signature of each accepted state. Whether it has expired is judged at the end of the reviewed week, or now if the
    week has not ended.
    """
    found = load_review.risk_acceptances()
    if not found:
        return
    end = min(naive_utc(Week.parse(room.body["week"]).end), load_review.today_naive_utc())
    rows = []
    for signature in sorted(found, key=lambda signature: signature["until"]):
        expired = {"s": "watch", "sub": "expired"} if signature["until"] <= end else {}
        cells: dict[str, Cell] = {
            "what": {"t": signature["subject"], "sub": signature["note"]},
            "model": {"t": signature["model"]},
            "until": {"t": f"{formatting.format_day(signature['until'])}", **expired},
            "who": risk_owners.signer_cell(signature["model"], signature["author"]),
        }
        rows.append(table_row(cells))
    draw_table("signed", "Accepted by a risk owner", ACCEPTED, rows, compact=True)


def _acceptable_subjects(room: ReviewPage, model: str | None) -> list[str]:
    """States of a model that can be accepted: earlier ones, fairness of each sensitive attribute, calibration, performance."""
    before = [signature["subject"] for signature in load_review.risk_acceptances() if signature["model"] == model]
    part = room.model(model)
    findings = (part or {}).get("findings", ())
    groups = {finding["subject"].partition("=")[0] for finding in findings if finding["analyzer"] == "trust/fairness"}
    groups |= {column.name for column in load.catalog().model(model).columns if column.sensitive} if model and part else set()
    fair = [f"fairness of {name}" for name in sorted(groups - {"model"})]
    known: dict[str, str] = {}
    for subject in (*before, *fair, "calibration", "performance"):
        known.setdefault(normalized_subject(subject), subject)
    return list(known.values())


def _known_subject(subject: str, model: str) -> str:
    """A subject in the spelling of an earlier signature; else as typed."""
    earlier = (signature["subject"] for signature in load_review.risk_acceptances() if signature["model"] == model)
    return next((known for known in earlier if normalized_subject(known) == normalized_subject(subject)), " ".join(subject.split()))


def _withdraw_decision(room: ReviewPage, made: list[dict[str, Any]]) -> None:
    """Draw the form to withdraw a decision; its record stays."""
    with st.expander("Withdraw a decision", icon=":material/undo:"):
        chosen = st.selectbox("Decision", made, None, lambda decision: str(decision["statement"])[:90], key="withdraw-choice")
        if st.button("Withdraw", icon=":material/undo:", disabled=chosen is None, key="withdraw") and chosen:
            about = {"decision": chosen["decision"], "model": chosen["model"]}
            record = {"kind": "decision", **about, "author": room.author, "state": "withdrawn"}
            if save_records([record]):
                st.rerun()
