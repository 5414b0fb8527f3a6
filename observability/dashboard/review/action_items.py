"""Action items of a review: owner, due date, stage, and their effect on the target metric."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import streamlit as st

from observability.core import formatting
from observability.core.weeks import Week
from observability.dashboard import empty_states, links, person_name
from observability.dashboard.review import action_update, load_review, shared_meeting
from observability.dashboard.review.review import ReviewPage
from observability.dashboard.scope import Scope
from observability.dashboard.table import Cell, column, columns_on_phone, draw_table, table_row
from observability.dashboard.widgets import link_button
from observability.review import meeting

ANSWERS = {"yes": "ok", "no": "act"}
"""Severity for each answer to "Metric moved?"; any other answer is unknown."""
STAGES = {"done": "ok", "verified": "ok", "unassigned": "watch"}
"""Stages that are shown with the icon of a severity."""
LIST_COLUMNS = columns_on_phone(
    "what stage",
    column("what", "Action", wide=True),
    column("who", "Owner", width="9rem"),
    column("due", "Due", width="8rem"),
    column(
        "stage", "State", width="8rem", help="Assigned, done, verified: the target metric improved after it was done, or somebody checked"
    ),
)


def action_items_step(room: ReviewPage) -> None:
    """Draw the actions of this review and of earlier ones: owner, due date, stage, and whether the target metric moved after they were
    done.
    """
    shared_meeting.shared_part(room, "promises", _action_tables)
    _edit_action_item(room, [*room.body["promises"], *load_review.agreed_actions(room.review)])


def _action_tables(room: ReviewPage) -> None:
    """Draw the actions of this review and of earlier ones."""
    if agreed := load_review.agreed_actions(room.review):
        actions_table("agreed", "Agreed in this review", agreed)
    if room.body["promises"]:
        _earlier_actions(room, room.body["promises"])
    else:
        empty_states.empty_state(
            "No action items of earlier weeks.", "Actions of a review are listed here a week later, with their effect on the metric."
        )


def stage_counts(actions: Sequence[dict[str, Any]]) -> dict[str, int]:
    """The number of actions in each stage, in the order of the stages; stages without actions are left out."""
    stages = ("unassigned", "assigned", "done", "verified", "cancelled")
    counts = {stage: sum(action["stage"] == stage for action in actions) for stage in stages}
    return {stage: n for stage, n in counts.items() if n}


def overdue_link() -> None:
    """Draw a link to the actions if some are overdue today; otherwise nothing."""
    late = sum(action["overdue"] for action in load_review.all_actions())
    if late:
        words = f"{formatting.plural(late, 'action item')} overdue"
        link_button(words, links.link_cell(words, "actions"), key="overdue-actions", icon="task_alt")


def actions_table(key: str, caption: str, actions: Sequence[dict[str, Any]], *, sort: bool = False) -> None:
    """Draw actions in their current state. sort: link each action to its review, and let the reader sort and filter the table."""
    rows = []
    for action in actions:
        agreed = f"agreed in {action['review']}" if action["review"] else None
        due = _due_cell(action)
        cells: dict[str, Cell] = {
            "what": {
                **action_link(action, sort),
                "sub": " · ".join(filter(None, (action["model"], agreed, action["reason"]))) or None,
                "phone": _owner_and_due(action, due),
            },
            "who": {"t": action["owner"] or "unassigned"},
            "due": due,
            "stage": stage_cell(action),
            "issue": issue_cell(action),
        }
        rows.append(table_row(cells))
    columns = (
        (*LIST_COLUMNS, column("issue", "Issue", width="9rem", phone=False)) if any(action["issue"] for action in actions) else LIST_COLUMNS
    )
    draw_table(key, caption, columns, rows, compact=True, sort=sort)


def _owner_and_due(action: Mapping[str, Any], due: Cell) -> str:
    """The owner and the due date of an action, as a line for a phone. due: from `_due_cell`."""
    date = f"due {due['t']}" if action["due"] else due["t"]
    return ", ".join(filter(None, (action["owner"] or "unassigned", date, due.get("sub"))))


def _due_cell(action: dict[str, Any]) -> Cell:
    """The due date of an action, marked if it is overdue."""
    due: Cell = {"t": formatting.format_iso_day(action["due"]), "k": action["due"]} if action["due"] else {"t": "no due date"}
    return {**due, "s": "act", "sub": "overdue"} if action["overdue"] else due


def issue_cell(action: dict[str, Any]) -> Cell:
    """The issue of an action in an issue tracker, as a link to the tracker; a dash if the action has no issue."""
    address = str(action["issue_url"] or "")
    return {"t": action["issue"] or formatting.DASH, **({"href": address} if address.startswith(("https://", "http://")) else {})}


def action_link(action: dict[str, Any], linked: bool) -> Cell:
    """The text of an action as a link. linked: link to the review in which the action was agreed; otherwise the link goes to its incident,
    if it has one.
    """
    if linked and action["review"]:
        return links.link_cell(action["text"], "review", None, review=action["review"], step="promises")
    if linked and action["incident"]:
        return links.link_cell(action["text"], "incident", Scope(model=action["model"]), id=action["incident"])
    return {"t": action["text"]}


def stage_cell(action: dict[str, Any]) -> Cell:
    """The stage of an action. A second line says if it was extended or escalated."""
    stage = meeting.stage_of_action(action)
    cell: Cell = {"t": stage, "sub": action["state"] if action["state"] in ("extended", "escalated") else None}
    return {**cell, "s": STAGES[stage]} if stage in STAGES else cell


def _earlier_actions(room: ReviewPage, found: Sequence[dict[str, Any]]) -> None:
    """Draw the actions of earlier weeks, as frozen."""
    columns = columns_on_phone(
        "what moved",
        column("what", "Action item", width="34%", wide=True),
        column("who", "Owner", width="8rem"),
        column("due", "Due", width="8rem"),
        column("stage", "State", width="8rem"),
        column("moved", "Metric moved?", wide=True),
    )
    rows = []
    for item in found:
        moved = item["moved"]
        since = f"{item['model'] or 'no model'}, from {item['since']}. {_change_since_freeze(room, item) or ''}".strip()
        effect = f"{_escalation_note(item)}{moved['sentence'] if moved else item['why']}"
        told, due, stage = meeting.effect_answer(item), _due_cell(item), stage_cell(item)
        answer: Cell = {"s": ANSWERS.get(told, "unknown"), "t": told.capitalize()} if told else {"t": formatting.DASH}
        cells: dict[str, Cell] = {
            "what": {"t": item["text"], "sub": since, "phone": f"{_owner_and_due(item, due)}, {stage['t']}"},
            "who": {"t": item["owner"] or "unassigned"},
            "due": due,
            "stage": stage,
            "moved": answer | {"sub": effect},
        }
        rows.append(table_row(cells))
    draw_table("promises", "Action items", columns, rows, large=True)


def _escalation_note(item: dict[str, Any]) -> str:
    """A note that an item was escalated because it has been open too long; empty if it was not escalated."""
    return f"Escalated: not done for {item['weeks']} weeks. " if item.get("escalated") else ""


def _edit_action_item(room: ReviewPage, actions: Sequence[dict[str, Any]]) -> None:
    """Draw one item with its history, and the form that updates it. The new entry is saved under the week of this review."""
    item = action_update.choose_action(actions)
    if item is None:
        return
    with st.container(border=True):
        st.subheader(formatting.escape_markdown(action_update.action_text(item)), anchor=False)
        shared_meeting.shared_part(room, "action", lambda now: _action_history(now, item.id))
        if room.author is None:
            st.caption(person_name.why_not_saved())
            return
        action_update.update_form(item, room.author, room.review, Week.parse(room.body["week"]).end)


def _action_history(room: ReviewPage, action: str) -> None:
    """Draw every entry of an item with author and time, and who else has it open."""
    action_update.action_history(load_review.actions_by_id()[action])
    shared_meeting.open_now_line(room, action)


def _change_since_freeze(room: ReviewPage, promise: dict[str, Any]) -> str | None:
    """The change of an item since the week was frozen, in words; None if nothing changed."""
    item = load_review.actions_by_id().get(promise["action"])
    frozen = datetime.fromisoformat(room.body["frozen_at"])
    if item is None or item.last.at <= frozen or item.state == promise["state"]:
        return None
    why = f": {item.fields['reason']}" if item.last.fields.get("reason") else ""
    return f"Since: {item.state} by {item.last.author}{why}"
