"""Action items: owner, due date, stage (assigned, done, verified), and whether the target metric improved after the action was done.

An entry belongs to the week of its review; if it was written outside a review, to the week of its time. An action belongs to the week of
its first entry, and it is done in the week of the entry that closed it. Past weeks can therefore be reviewed later, one after another.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any, Literal

from observability.core.errors import ObservabilityError, UsageError
from observability.core.finding import iso
from observability.core.weeks import Week
from observability.review.agenda import UNDECIDED
from observability.review.metric_movement import Target, movement_of_action, target_of
from observability.store.engine import Store
from observability.store.types import decision_items

Body = dict[str, Any]
CLOSED = ("done", "verified", "cancelled")
Stage = Literal["unassigned", "assigned", "done", "verified", "cancelled"]
SHOWN_CLOSED = 2
"""Number of reviews that show an action after it was closed."""
DASHBOARD = "the dashboard"
"""Author of the records that the dashboard itself writes."""
COPIED_FIELDS = ("model", "metric", "goal", "slice", "incident", "finding", "review", "prediction", "do")


def promised_actions(store: Store, week: Week, earlier: Sequence[Body], known: datetime) -> list[Body]:
    """Action items of earlier weeks that are open or were closed recently, earliest due date first. known: only records up to this instant
    count.

    A closed action is shown in two reviews, so that readers can see its effect.

    Each item has its fields, `since` (its week), `stage`, `overdue`, `entries` (author and changed fields by time), `moved` (None without a
    target metric; `why` then states the reason), `weeks` (number of consecutive reviews, including this one, in which it was not done; 0 if
    it is done), and `escalated`.
    """
    found = []
    for whole in store.actions():
        item = as_of(whole, known)
        if item is None:
            continue
        fields, since = item.fields, week_of(item)
        if since >= week or is_settled_action(item, week, earlier):
            continue
        due = fields.get("due")
        body: Body = {
            "action": item.id,
            "text": fields.get("text") or fields.get("do") or "Action without text",
            "state": item.state,
            "owner": fields.get("owner"),
            "due": iso(due) if due else None,
            "since": str(since),
            "overdue": is_overdue(due, item.state, week.end.date()),
            "reason": fields.get("reason"),
            **{name: fields.get(name) for name in COPIED_FIELDS},
            "review": item.first.fields.get("review"),
            "entries": [{"at": iso(entry.at), "author": entry.author, "said": sorted(entry.fields)} for entry in item.entries],
        }
        if item.state == "cancelled":
            body |= {"moved": None, "why": "Cancelled: its effect is not judged."}
        else:
            body |= action_answer(store, target_of(body, frozen_findings(earlier, body["review"])), since, done_week(item), week)
        body["stage"] = action_stage(body["state"], body["owner"], body["moved"])
        weeks = reviews_waited(body, earlier)
        found.append(body | {"weeks": weeks, "escalated": is_escalated(body, weeks, week.end)})
    return sorted(found, key=lambda body: (body["due"] is None, body["due"] or "", body["action"]))


def is_settled_action(item: decision_items.DecisionItem, week: Week, earlier: Sequence[Body]) -> bool:
    """Whether an action was closed before last week began, or two reviews have shown it as closed. A review in which it was too early to
    judge the effect does not count.
    """
    if item.state not in CLOSED:
        return False
    closed = item.said("state")
    shown = sum(any(action["action"] == item.id and is_closed_and_judged(action) for action in body["promises"]) for body in earlier)
    return shown >= SHOWN_CLOSED or (closed is not None and closed.at < week.back().start)


def is_closed_and_judged(action: Body) -> bool:
    """Whether a review showed an action as closed and could judge its effect."""
    return action["state"] in CLOSED and (action.get("moved") or {}).get("answer") != "too early"


def action_stage(state: str, owner: str | None, moved: Body | None = None) -> Stage:
    """The stage of an action: assigned (without an owner: unassigned), done, verified (somebody confirmed it, or the target metric improved
    after it was done) or cancelled.
    """
    if state == "cancelled":
        return "cancelled"
    if state == "verified" or (state == "done" and (moved or {}).get("answer") == "yes"):
        return "verified"
    return "done" if state == "done" else "assigned" if owner else "unassigned"


def is_overdue(due: datetime | None, state: str, day: date) -> bool:
    """Whether an action is still open although it was due before a day (UTC)."""
    return due is not None and due.date() < day and state not in CLOSED


def done_week(item: decision_items.DecisionItem) -> Week | None:
    """The week in which an action was done; None if it is not done."""
    if item.state not in ("done", "verified"):
        return None
    done = [entry for entry in item.entries if entry.fields.get("state") == "done"] or [item.last]
    return entry_week(done[-1])


def as_of(item: decision_items.DecisionItem, known: datetime) -> decision_items.DecisionItem | None:
    """An action or decision as it was known at a certain time; None before its first entry. Entries that the dashboard made at exactly that
    time are excluded.
    """
    entries = tuple(entry for entry in item.entries if entry.at < known or (entry.at == known and entry.author != DASHBOARD))
    return replace(item, entries=entries) if entries else None


def reviews_waited(action: Body, earlier: Sequence[Body]) -> int:
    """Number of consecutive reviews, including this one, in which an action was not done. earlier: newest first."""
    if is_action_settled(action):
        return 0
    weeks = 1
    for body in earlier:
        then = next((other for other in body["promises"] if other["action"] == action["action"]), None)
        if then is None or is_action_settled(then):
            break
        weeks += 1
    return weeks


def is_action_settled(action: Body) -> bool:
    """Whether an action is closed. Earlier versions of the program also judged the effect of open actions. In weeks frozen by them, an
    action whose effect was judged therefore counts as closed.
    """
    return action["state"] in CLOSED or (action["moved"] or {}).get("answer") in ("yes", "no")


def is_escalated(action: Body, weeks: int, by: datetime) -> bool:
    """Whether the action has not been done for UNDECIDED reviews, and its due date is not after `by`."""
    return weeks >= UNDECIDED and (action["due"] is None or action["due"] <= iso(by))


def action_answer(store: Store, target: Target | None, since: Week, done: Week | None, week: Week) -> Body:
    """How the target metric moved (`moved`), or `why` this is unknown. done: the week in which the action was done, or None. An error
    affects only this action.
    """
    if target is None:
        return {"moved": None, "why": "No target metric is set."}
    try:
        return {"moved": movement_of_action(store, target, since, done, week).to_json(), "why": None}
    except ObservabilityError as error:
        return {"moved": None, "why": error.what}


def week_of(item: decision_items.DecisionItem) -> Week:
    """The week to which an action belongs."""
    return entry_week(item.first)


def entry_week(entry: decision_items.DecisionEntry) -> Week:
    """The week of the review in which an entry was written; without a review, the week of its time."""
    review = entry.fields.get("review")
    if review:
        try:
            return Week.parse(str(review))
        except UsageError:
            pass
    return Week.of(entry.at)


def frozen_findings(earlier: Sequence[Body], review: str | None) -> list[Body]:
    """The findings of an earlier frozen week; empty if the week is not in `earlier`."""
    body = next((week for week in earlier if week["review"] == review), None)
    return [finding for part in body["models"] for finding in part["findings"]] + body["records"] if body else []
