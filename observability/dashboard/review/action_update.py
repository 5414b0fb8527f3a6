"""Update one action item, in a review or on the page of all actions: its history, and a form to assign, close, verify, extend, escalate or
cancel it.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import streamlit as st

from observability.core import formatting
from observability.dashboard import load
from observability.dashboard.drafts import draft_arguments
from observability.dashboard.review import load_review
from observability.dashboard.review.review import form_turn, next_form_turn
from observability.dashboard.widgets import note_line, save_records, utc_midnight
from observability.store.types.decision_items import DecisionItem

WORDS = {"open": "Assign", "done": "Done", "verified": "Verified", "extended": "Extend", "escalated": "Escalate", "cancelled": "Cancel"}
"""The states that the form can set for an action item, with the words of their buttons."""
WITHOUT_REASON = ("open", "done")
WITH_OWNER = ("open", "escalated")


def choose_action(actions: Sequence[dict[str, Any]]) -> DecisionItem | None:
    """Draw the box in which one of the actions is chosen. Returns the chosen action in its current state; None if none is chosen."""
    found = {action["action"]: action for action in actions}
    if not found:
        return None
    words, box = "Update an action item", draft_arguments("promise", among=list(found))
    chosen = st.selectbox(
        words, list(found), index=None, format_func=lambda key: found[key]["text"][:100], placeholder="Choose an item", **box
    )
    return load_review.actions_by_id().get(chosen or "")


def action_text(item: DecisionItem) -> str:
    """The task of an action item in words."""
    return str(item.fields.get("text") or item.fields.get("do") or "Action without text")


def action_history(item: DecisionItem) -> None:
    """Draw every entry of an action item with author and time: state, due date, owner and reason."""
    for entry in item.entries:
        due, owner = entry.fields.get("due"), entry.fields.get("owner")
        words = [str(entry.fields.get("state") or "open").capitalize()]
        words += [f"due {formatting.format_day(due)}"] if due else []
        words += [f"owner {owner}"] if owner else []
        words += [str(entry.fields[name]) for name in ("reason", "text") if entry.fields.get(name)]
        note_line(entry.at, entry.author, ": ".join(words))


def update_form(item: DecisionItem, author: str, review: str | None, not_before: datetime) -> None:
    """Draw the form that updates an action item. Assigning needs an owner, extending needs a later date, and every outcome except assigned
    and done needs a reason.

    review: the review under which the entry is saved; None outside a review. not_before: the date proposed for an extension is later than
    this (aware UTC).
    """
    turn = form_turn(f"promise-{item.id}")
    key = f"{item.id}-{turn}"
    does = st.segmented_control("Outcome", list(WORDS), format_func=WORDS.__getitem__, **draft_arguments(f"promise-does-{key}"))
    if does is None:
        return
    due, owner = None, None
    if does in WITH_OWNER:
        owner = st.text_input("To", max_chars=80, **draft_arguments(f"promise-owner-{key}")).strip() or None
    reason = st.text_input(
        "Result" if does == "done" else "Note" if does == "open" else "Reason", max_chars=1000, **draft_arguments(f"promise-reason-{key}")
    ).strip()
    if does == "extended":
        later = max(not_before, load.page_clock()) + timedelta(days=14)
        due = st.date_input("Due", **draft_arguments(f"promise-due-{key}", later.date()))
    if st.button("Save", icon=":material/save:", key=f"promise-keep-{key}"):
        if does == "open" and owner is None:
            st.warning("Enter an owner.")
            return
        if does not in WITHOUT_REASON and not reason:
            st.warning("Enter a reason.")
            return
        record = {"kind": "action", "action": item.id, "author": author, "state": does, "reason": reason, "owner": owner}
        if save_records([record | {"due": utc_midnight(due), "review": review}]):
            next_form_turn(f"promise-{item.id}")
            st.rerun()
