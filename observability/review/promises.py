"""What was promised in earlier weeks, by whom, until when, and did the metric it was to move move?

An action belongs to the week of its review, or where it was not taken in one, to the week in which somebody said it: so past weeks can be reviewed
later, week after week.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from observability.errors import ObservabilityError, UsageError
from observability.finding import iso
from observability.review.moved import Target, moved, target_of
from observability.review.week import Week
from observability.store import said

if TYPE_CHECKING:
    from observability.store.database import Store

Body = dict[str, Any]
CLOSED = ("done", "cancelled")
PERFORMANCE = "serving/performance"


def promises(store: "Store", week: Week, earlier: Sequence[Body]) -> list[Body]:
    """Actions of the weeks before this one that are open, or were closed in the last week; the one due first comes first.

    Each has its fields, `since` (its week), `overdue`, `entries` (who said what when), and `moved` (None where it names no metric, with `why`).
    """
    found = []
    for item in said.actions(store):
        fields, since = item.fields, week_of(item)
        if since >= week or (item.state in CLOSED and since < week.back()):
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
        found.append(body | answer(store, target_of(body, frozen_findings(earlier, body["review"])), since, week))
    return sorted(found, key=lambda each: (each["due"] is None, each["due"] or "", each["action"]))


def answer(store: "Store", target: Target | None, since: Week, week: Week) -> Body:
    """`moved`, or `why` it cannot be asked. A model that is gone or a broken question costs this action's answer only."""
    if target is None:
        return {"moved": None, "why": "It names no metric that it should move."}
    try:
        return {"moved": moved(store, target, since, week).to_json(), "why": None}
    except ObservabilityError as error:
        return {"moved": None, "why": error.what}


def week_of(item: said.Item) -> Week:
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
