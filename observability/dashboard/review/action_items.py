"""Action items of earlier reviews: state, effect on their metric, and the form to close, extend or escalate one."""

from datetime import datetime, timedelta
from typing import Any

import streamlit as st

from observability.core import formatting
from observability.core.weeks import Week
from observability.dashboard import empty_states, person_name
from observability.dashboard.drafts import draft_arguments
from observability.dashboard.review import load_review
from observability.dashboard.review.review import ReviewPage, form_turn, next_form_turn
from observability.dashboard.table import Cell, column, draw_table, table_row
from observability.dashboard.widgets import note_line, save_records, utc_midnight
from observability.store.types.decision_items import DecisionItem

ANSWERS = {"yes": "ok", "no": "act", "cannot tell": "unknown"}
"""Answers as severities."""
WORDS = {"done": "Done", "extended": "Extend", "escalated": "Escalate", "cancelled": "Cancel"}
"""Outcomes of an action item."""


def action_items_step(room: ReviewPage) -> None:
    """The open action items: owner, due date, and whether the target metric moved."""
    found = room.body["promises"]
    if not found:
        empty_states.empty_state(
            "No open action items.", "Actions of a review are listed here a week later, with their effect on the metric."
        )
        return
    columns = (
        column("what", "Action item", width="34%", wide=True),
        column("who", "Owner", width="8rem"),
        column("due", "Due", width="8rem"),
        column("moved", "Metric moved?", wide=True),
    )
    rows = []
    for item in found:
        moved, overdue = item["moved"], {"s": "act", "sub": "overdue"} if item["overdue"] else {}
        since = f"{item['model'] or 'no model'}, from {item['since']}, {item['state']}. {_change_since_freeze(room, item) or ''}".strip()
        effect = f"{_escalation_note(item)}{moved['sentence'] if moved else item['why']}"
        answer: Cell = {"s": ANSWERS[moved["answer"]], "t": moved["answer"].capitalize()} if moved else {"t": formatting.DASH}
        cells: dict[str, Cell] = {
            "what": {"t": item["text"], "sub": since},
            "who": {"t": item["owner"] or formatting.DASH},
            "due": {"t": item["due"][:10] if item["due"] else formatting.DASH, **overdue},
            "moved": answer | {"sub": effect},
        }
        rows.append(table_row(cells))
    draw_table("promises", "Action items", columns, rows, large=True)
    _edit_action_item(room)


def _escalation_note(item: dict[str, Any]) -> str:
    """That an item is undecided for too long; empty where it is not."""
    return f"Escalated: undecided for {item['weeks']} weeks. " if item.get("escalated") else ""


def _edit_action_item(room: ReviewPage) -> None:
    """One item with its history, and the form to close, extend or escalate it."""
    found = {item["action"]: item for item in room.body["promises"]}
    words, box = "Update an action item", draft_arguments("promise", among=list(found))
    chosen = st.selectbox(
        words, list(found), index=None, format_func=lambda key: found[key]["text"][:100], placeholder="Choose an item", **box
    )
    item = load_review.actions_by_id().get(chosen or "")
    if item is None:
        return
    with st.container(border=True):
        st.subheader(formatting.escape_markdown(found[item.id]["text"]), anchor=False)
        _action_history(item)
        if room.author is None:
            st.caption(person_name.MISSING)
            return
        _close_action_item(room, item)


def _action_history(item: DecisionItem) -> None:
    """Every entry of an item with author and time."""
    for entry in item.entries:
        due = entry.fields.get("due")
        words = [str(entry.fields.get("state") or "open").capitalize()]
        words += [f"due {due:%Y-%m-%d}"] if due else []
        words += [str(entry.fields[name]) for name in ("reason", "text") if entry.fields.get(name)]
        note_line(entry.at, entry.author, ": ".join(words))


def _close_action_item(room: ReviewPage, item: DecisionItem) -> None:
    """The form. An extension needs a later date, and all but done a reason."""
    turn = form_turn(f"promise-{item.id}")
    key = f"{item.id}-{turn}"
    does = st.segmented_control("Outcome", list(WORDS), format_func=WORDS.__getitem__, **draft_arguments(f"promise-does-{key}"))
    if does is None:
        return
    reason = st.text_input("Result" if does == "done" else "Reason", max_chars=1000, **draft_arguments(f"promise-reason-{key}"))
    due, owner = None, None
    if does == "extended":
        later = Week.parse(room.body["week"]).end + timedelta(days=14)
        due = st.date_input("Due", **draft_arguments(f"promise-due-{key}", later.date()))
    if does == "escalated":
        owner = st.text_input("To", max_chars=80, **draft_arguments(f"promise-owner-{key}")).strip() or None
    if st.button("Save", icon=":material/save:", key=f"promise-keep-{key}"):
        if does != "done" and not reason.strip():
            st.warning("Enter a reason.")
            return
        record = {"kind": "action", "action": item.id, "author": room.author, "state": does, "reason": reason.strip(), "owner": owner}
        if save_records([record | {"due": utc_midnight(due)}]):
            next_form_turn(f"promise-{item.id}")
            st.rerun()


def _change_since_freeze(room: ReviewPage, promise: dict[str, Any]) -> str | None:
    """The change of an item after the week was frozen; None without one."""
    item = load_review.actions_by_id().get(promise["action"])
    frozen = datetime.fromisoformat(room.body["frozen_at"])
    if item is None or item.last.at <= frozen or item.state == promise["state"]:
        return None
    why = f": {item.fields['reason']}" if item.last.fields.get("reason") else ""
    return f"Since: {item.state} by {item.last.author}{why}"
