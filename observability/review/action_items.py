"""What was promised in earlier weeks, by whom, until when, and did the metric it was to move move?

An action belongs to the week of its review, or where it was not taken in one, to the week in which somebody said it: so past weeks can be reviewed
later, week after week.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from observability.core.errors import ObservabilityError, UsageError
from observability.core.finding import iso
from observability.core.weeks import Week
from observability.review.agenda import UNDECIDED
from observability.review.metric_movement import Target, moved, target_of
from observability.store.query import decision_log

if TYPE_CHECKING:
    from observability.store.db.database import Store

Body = dict[str, Any]
CLOSED = ("done", "cancelled")
SHOWN_CLOSED = 2
"""Reviews that show an action after it was closed."""
DASHBOARD = "the dashboard"
"""Who speaks where nobody does."""
PERFORMANCE = "serving/performance"


def promises(store: "Store", week: Week, earlier: Sequence[Body], known: datetime) -> list[Body]:
    """Actions of the weeks before this one that are open, or were closed lately; the one due first comes first. known: what was said until then.

    A closed one stays for two reviews, however old it is, so that people see whether it worked.

    Each has its fields, `since` (its week), `overdue`, `entries` (who said what when), `moved` (None where it names no metric, with `why`), `weeks` (how
    many reviews running nobody could tell whether it moved, this one included; 0 where it can be told), and `escalated`.
    """
    found = []
    for whole in decision_log.actions(store):
        item = as_of(whole, known)
        if item is None:
            continue
        fields, since = item.fields, week_of(item)
        if since >= week or settled(item, week, earlier):
            continue
        due = fields.get("due")
        body: Body = {
            "action": item.id,
            "text": fields.get("text") or fields.get("do") or "An action without words",
            "state": item.state,
            "owner": fields.get("owner"),
            "due": iso(due) if due else None,
            "since": str(since),
            "overdue": bool(due and due < week.end and item.state not in CLOSED),
            "reason": fields.get("reason"),
            **{
                name: fields.get(name) for name in ("model", "metric", "goal", "slice", "incident", "finding", "review", "prediction", "do")
            },
            "entries": [{"at": iso(each.at), "author": each.author, "said": sorted(each.fields)} for each in item.entries],
        }
        body |= answer(store, target_of(body, frozen_findings(earlier, body["review"])), since, week)
        weeks = waited(body, earlier)
        found.append(body | {"weeks": weeks, "escalated": escalated(body, weeks, week.end)})
    return sorted(found, key=lambda each: (each["due"] is None, each["due"] or "", each["action"]))


def settled(item: decision_log.Item, week: Week, earlier: Sequence[Body]) -> bool:
    """Whether an action was closed before the last week began, or two reviews have shown it closed: past weeks may be reviewed long after."""
    if item.state not in CLOSED:
        return False
    closed = item.said("state")
    shown = sum(any(one["action"] == item.id and one["state"] in CLOSED for one in body["promises"]) for body in earlier)
    return shown >= SHOWN_CLOSED or (closed is not None and closed.at < week.back().start)


def as_of(item: decision_log.Item, known: datetime) -> decision_log.Item | None:
    """An action or a decision as it was known at an instant: None where it was not. What the dashboard says when a week is frozen is known from then on."""
    entries = tuple(each for each in item.entries if each.at < known or (each.at == known and each.author != DASHBOARD))
    return replace(item, entries=entries) if entries else None


def waited(promise: Body, earlier: Sequence[Body]) -> int:
    """How many reviews running it could not be told whether the action worked, this one included. earlier: newest first."""
    if told(promise):
        return 0
    weeks = 1
    for body in earlier:
        then = next((each for each in body["promises"] if each["action"] == promise["action"]), None)
        if then is None or told(then):
            break
        weeks += 1
    return weeks


def told(promise: Body) -> bool:
    """Whether it is known if the action worked, or nobody asks any more."""
    return promise["state"] in CLOSED or (promise["moved"] or {}).get("answer") in ("yes", "no")


def escalated(promise: Body, weeks: int, by: datetime) -> bool:
    """Whether it has waited too long: undecided so many times running, and not put off until a later day."""
    return weeks >= UNDECIDED and (promise["due"] is None or promise["due"] <= iso(by))


def answer(store: "Store", target: Target | None, since: Week, week: Week) -> Body:
    """`moved`, or `why` it cannot be asked. A model that is gone or a broken question costs this action's answer only."""
    if target is None:
        return {"moved": None, "why": "It names no metric that it should move."}
    try:
        return {"moved": moved(store, target, since, week).to_json(), "why": None}
    except ObservabilityError as error:
        return {"moved": None, "why": error.what}


def week_of(item: decision_log.Item) -> Week:
    """The week that an action belongs to."""
    review = item.fields.get("review")
    if review:
        try:
            return Week.parse(str(review))
        except UsageError:
            pass
    return Week.of(item.first.at)


def frozen_findings(earlier: Sequence[Body], review: str | None) -> list[Body]:
    """The findings of an earlier frozen week."""
    body = next((each for each in earlier if each["review"] == review), None)
    return [one for part in body["models"] for one in part["findings"]] + body["records"] if body else []


def is_due(promise: Body, by: datetime) -> bool:
    """Whether an open promise is due by an instant."""
    return promise["due"] is not None and promise["state"] not in CLOSED and promise["due"] < iso(by)
