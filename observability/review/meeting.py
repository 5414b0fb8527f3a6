"""List what a review meeting agreed on (its actions with owner, due date and stage), for the page and for all exports."""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from observability.core.finding import iso
from observability.core.formatting import format_iso_day, format_minute
from observability.review.action_items import CLOSED, Stage, action_stage, is_overdue
from observability.store.engine import Store
from observability.store.types.decision_items import DecisionItem

Body = dict[str, Any]


def agreed_actions(store: Store, review: str, day: date) -> list[Body]:
    """The actions agreed on in a review, oldest first, in their current state. day: the day by which overdue is judged."""
    found = [action_body(item, day) for item in store.actions() if item.first.fields.get("review") == review]
    return sorted(found, key=lambda action: (action["at"], action["action"]))


def all_actions(store: Store, day: date) -> list[Body]:
    """All actions in their current state: open ones first; within open and closed ones, by due date. day: the day by which overdue is
    judged.
    """
    found = [action_body(item, day) for item in store.actions()]
    return sorted(found, key=lambda action: (action["state"] in CLOSED, action["due"] is None, action["due"] or "", action["action"]))


def action_body(item: DecisionItem, day: date) -> Body:
    """An action in its current state: text, owner, due date, whether it is overdue, stage, state, author and time."""
    fields = item.fields
    return {
        "action": item.id,
        "text": fields.get("text") or fields.get("do") or "Action without text",
        "model": fields.get("model"),
        "owner": fields.get("owner"),
        "due": iso(fields["due"]) if fields.get("due") else None,
        "overdue": is_overdue(fields.get("due"), item.state, day),
        "state": item.state,
        "stage": action_stage(item.state, fields.get("owner")),
        "reason": fields.get("reason"),
        "metric": fields.get("metric"),
        "goal": fields.get("goal"),
        "incident": fields.get("incident"),
        "issue": fields.get("issue"),
        "issue_url": fields.get("issue_url"),
        "review": item.first.fields.get("review"),
        "author": item.first.author,
        "at": iso(item.first.at),
    }


MEETING = "meeting"
"""The item named in the records that close a meeting and reopen it."""


def closed_by(said: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The record that closed a meeting; None if it is open. said: the entries of its review, oldest first."""
    closed: Mapping[str, Any] | None = None
    for entry in said:
        if entry["item"] == MEETING and entry["does"] in ("close", "reopen"):
            closed = entry if entry["does"] == "close" else None
    return closed


def closing_sentence(said: Iterable[Mapping[str, Any]]) -> str:
    """A sentence that says who closed a meeting and when; empty if it is open. said: the entries of its review, oldest first."""
    closed = closed_by(said)
    return f"The meeting was closed by {closed['author']}, {format_minute(closed['at'])}." if closed else ""


def stage_of_action(action: Mapping[str, Any]) -> Stage:
    """The stage of an action in a frozen week (of any format), or in its current state."""
    return action_stage(action["state"], action["owner"], action.get("moved"))


def effect_answer(action: Mapping[str, Any]) -> str | None:
    """Whether the target metric of a frozen action moved after the action was done; None without a target metric. Weeks frozen by an
    earlier version of the program judged this even before the action was done.
    """
    answer = (action["moved"] or {}).get("answer")
    if action["state"] in ("done", "verified") or answer not in ("yes", "no", "cannot tell"):
        return answer
    return "moved before the action" if answer == "yes" else "not done yet"


def who_and_when(action: Mapping[str, Any]) -> str:
    """Owner, due date and stage of an action, as in `bob, due 15 Jul 2013 (overdue), assigned`."""
    due = f"due {format_iso_day(action['due'])}{' (overdue)' if action['overdue'] else ''}" if action["due"] else "no due date"
    stage = stage_of_action(action)
    words = [action["owner"] or "unassigned", due, *([] if stage == "unassigned" else [stage])]
    return ", ".join(words)
