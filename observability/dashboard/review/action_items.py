"""Did what we promised work, and what becomes of it: closed, put off with a reason, passed up?"""

from datetime import UTC, datetime, time, timedelta
from typing import Any

import streamlit as st

from observability.core import formatting
from observability.core.weeks import Week
from observability.dashboard import empty_states
from observability.dashboard.drafts import held
from observability.dashboard.review import load_review
from observability.dashboard.review.review import Room, next_turn, say, turn_of
from observability.dashboard.table import column, row, table
from observability.store.query.decision_log import Item

ANSWERS = {"yes": "ok", "no": "act", "cannot tell": "unknown"}
"""Answers as severities."""
STATES = {"open": "open", "done": "done", "cancelled": "given up", "extended": "put off", "escalated": "passed up"}
WORDS = {"done": "Done", "extended": "Put off", "escalated": "Pass up", "cancelled": "Give up"}
"""What somebody can do with a promise."""


def promises(room: Room) -> None:
    """Last week's promises: owner, day, and whether the metric moved."""
    found = room.body["promises"]
    if not found:
        empty_states.nothing(
            "No action of an earlier week is open.",
            "Actions that a review ends in stand here a week later, with whether their metric moved.",
        )
        return
    columns = (
        column("what", "What", width="34%", wide=True),
        column("who", "Owner", width="8rem"),
        column("due", "Until", width="8rem"),
        column("moved", "Did it move?", wide=True),
    )
    rows = []
    for each in found:
        moved = each["moved"]
        rows.append(
            row(
                {
                    "what": {"t": each["text"], "sub": f"{each['model'] or 'no model'}, promised in {each['since']}, {STATES[each['state']]}. {standing(room, each) or ''}".strip()},
                    "who": {"t": each["owner"] or formatting.DASH},
                    "due": {"t": each["due"][:10] if each["due"] else formatting.DASH, **({"s": "act", "sub": "overdue"} if each["overdue"] else {})},
                    "moved": {"s": ANSWERS[moved["answer"]], "t": moved["answer"].capitalize(), "sub": f"{passed_up(each)}{moved['sentence']}"} if moved else {"t": formatting.DASH, "sub": f"{passed_up(each)}{each['why']}"},
                }
            )
        )  # fmt: skip
    table("promises", "What was promised", columns, rows, large=True)
    work_on(room)


def passed_up(promise: dict[str, Any]) -> str:
    """That it has waited for too long, where it has."""
    return f"Escalated: undecided {promise['weeks']} weeks running. " if promise.get("escalated") else ""


def work_on(room: Room) -> None:
    """One promise with what was said about it since, and the form that ends it, puts it off, or passes it up."""
    found = {each["action"]: each for each in room.body["promises"]}
    chosen = st.selectbox(
        "Work on a promise", list(found), index=None, format_func=lambda key: found[key]["text"][:100], placeholder="Choose a promise",
        **held("promise", among=list(found)),
    )  # fmt: skip
    item = load_review.actions().get(chosen or "")
    if item is None:
        return
    with st.container(border=True):
        st.subheader(formatting.plain(found[item.id]["text"]), anchor=False)
        history(item)
        if room.author is None:
            st.caption("Give your name above to write.")
            return
        close(room, item)


def history(item: Item) -> None:
    """Everything that was said about an action, each with author and time."""
    for each in item.entries:
        due = each.fields.get("due")
        words = [STATES[str(each.fields.get("state") or "open")].capitalize()]
        words += [f"until {due:%Y-%m-%d}"] if due else []
        words += [str(each.fields[name]) for name in ("reason", "text") if each.fields.get(name)]
        st.markdown(
            f":gray[{formatting.plain(formatting.minute(each.at))} {formatting.plain(each.author)}] {formatting.plain(': '.join(words))}"
        )


def close(room: Room, item: Item) -> None:
    """What becomes of it. Putting off needs a later day, and all but done a reason."""
    turn = turn_of(f"promise-{item.id}")
    does = st.segmented_control(
        "What becomes of it?", list(WORDS), format_func=lambda key: WORDS[key], **held(f"promise-does-{item.id}-{turn}")
    )
    if does is None:
        return
    reason = st.text_input("What was learned?" if does == "done" else "Why?", max_chars=1000, **held(f"promise-reason-{item.id}-{turn}"))
    due, later = None, Week.parse(room.body["week"]).end + timedelta(days=14)
    if does == "extended":
        due = st.date_input("Until", **held(f"promise-due-{item.id}-{turn}", later.date()))
    owner = None
    if does == "escalated":
        owner = st.text_input("To whom?", max_chars=80, **held(f"promise-owner-{item.id}-{turn}")).strip() or None
    if st.button("Keep", icon=":material/check:", key=f"promise-keep-{item.id}-{turn}"):
        if does != "done" and not reason.strip():
            st.warning("Say why: who reads it in a month will ask.")
            return
        record = {
            "kind": "action", "action": item.id, "author": room.author, "state": does, "reason": reason.strip(), "owner": owner,
            "due": datetime.combine(due, time(), tzinfo=UTC) if due else None,
        }  # fmt: skip
        if say(room, [record]):
            next_turn(f"promise-{item.id}")
            st.rerun()


def standing(room: Room, promise: dict[str, Any]) -> str | None:
    """What was said about a promise after the week was frozen; None where nothing was."""
    item = load_review.actions().get(promise["action"])
    frozen = datetime.fromisoformat(room.body["frozen_at"])
    if item is None or item.last.at <= frozen or item.state == promise["state"]:
        return None
    why = f": {item.fields['reason']}" if item.last.fields.get("reason") else ""
    return f"Since: {STATES[item.state]} by {item.last.author}{why}"
