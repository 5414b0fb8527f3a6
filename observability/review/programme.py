"""Compute figures about the review programme by calendar month (UTC): promises kept, alerts that were useful, and the time to detect,
acknowledge and resolve.

A value based on fewer than MIN_ITEMS items is None; only its counts are given.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from statistics import median
from typing import Any, Literal

from observability.alerts.alert_state import Alert, alert_precision, alerts_from_records
from observability.core.formatting import DASH
from observability.core.numerals import hours_in_words, short_percent
from observability.core.time import aware_utc
from observability.review.freeze import frozen_weeks, week_body
from observability.store.engine import Store
from observability.store.types.decision_items import DecisionItem

Measure = Literal["kept", "useful", "detect", "acknowledge", "resolve"]
MEASURES: dict[Measure, str] = {
    "kept": "Actions done by their due date",
    "useful": "Alerts that were useful",
    "detect": "Time to detect, median",
    "acknowledge": "Time to acknowledge, median",
    "resolve": "Time to resolve, median",
}
SHARES: tuple[Measure, ...] = ("kept", "useful")
"""Measures that are shares; all other measures are in hours."""
MIN_ITEMS = 3
"""A month's value needs at least this number of items."""
Onsets = Mapping[str, datetime | None]
"""The onset of every incident in the frozen weeks, by its id; None if the counts did not allow a date."""


@dataclass(frozen=True)
class MonthValue:
    """One measure for one month. value: a share, or a median in hours; None with fewer than MIN_ITEMS items. n: number of items on which
    the value is based. words: value and counts. left: items of the month that are not counted, in words.
    """

    month: datetime
    measure: Measure
    value: float | None
    n: int
    words: str
    left: str = ""


def programme_by_month(
    actions: Iterable[DecisionItem], records: Sequence[Mapping[str, Any]], onsets: Onsets, day: date
) -> list[MonthValue]:
    """Every measure for every month, oldest first, from the first month with an action or an alert to the last. records: records of kind
    `alert`, oldest first. day: actions that are due on this day or later do not count yet, whether they are done or not.
    """
    promises = [promise for action in actions if (promise := promise_of_action(action, day)) is not None]
    alerts = alerts_from_records(records, datetime.combine(day, time.max, UTC))
    first_acknowledged = acknowledged_at(records)
    opened = [alert.opened_at for alert in alerts.values()]
    resolved = [alert for alert in alerts.values() if alert.state == "resolved"]
    found: list[MonthValue] = []
    for month in months_between([*(due for due, _ in promises), *opened, *(alert.changed_at for alert in resolved)]):
        own = [alert for alert in alerts.values() if month_of(alert.opened_at) == month]
        closed = [alert for alert in resolved if month_of(alert.changed_at) == month]
        dated = [alert for alert in own if alert.incident in onsets]
        found += [
            promises_kept(month, [kept for due, kept in promises if month_of(due) == month]),
            alerts_useful(month, closed),
            median_time(month, "detect", dated, lambda alert: hours_between(onsets[alert.incident], alert.opened_at)),
            median_time(month, "acknowledge", own, lambda alert: hours_between(alert.opened_at, first_acknowledged.get(alert.incident))),
            median_time(month, "resolve", own, lambda alert: hours_between(alert.opened_at, resolved_at(alert))),
        ]
    return found


def promise_of_action(action: DecisionItem, day: date) -> tuple[datetime, bool] | None:
    """The first due date of an action, and whether the action was done by then. None if it has no due date, if that day is not over, or if
    the action was cancelled by then. A later due date does not change the promise.
    """
    dues = [entry.fields["due"] for entry in action.entries if entry.fields.get("due")]
    due = aware_utc(dues[0]) if dues else None
    if due is None or due.date() >= day:
        return None
    in_time = [entry.fields["state"] for entry in action.entries if entry.fields.get("state") and aware_utc(entry.at).date() <= due.date()]
    last = in_time[-1] if in_time else "open"
    return None if last == "cancelled" else (due, last in ("done", "verified"))


def promises_kept(month: datetime, kept: Sequence[bool]) -> MonthValue:
    """The share of a month's promises that were kept."""
    return month_share(month, "kept", sum(kept), len(kept))


def alerts_useful(month: datetime, resolved: Sequence[Alert]) -> MonthValue:
    """The share of useful alerts among the rated alerts that were resolved in a month."""
    found = alert_precision(resolved)
    unrated = found.all - found.judged
    return month_share(month, "useful", found.useful, found.judged, f"{unrated:,} not rated" if unrated else "")


def month_share(month: datetime, measure: Measure, hits: int, n: int, left: str = "") -> MonthValue:
    """A share of a month with its counts."""
    value = hits / n if n >= MIN_ITEMS else None
    counts = f"{hits:,} of {n:,}" if n else DASH
    return MonthValue(month, measure, value, n, counts if value is None else f"{short_percent(value)} ({counts})", left)


def median_time(month: datetime, measure: Measure, alerts: Sequence[Alert], hours: Callable[[Alert], float | None]) -> MonthValue:
    """The median time for a month's alerts, over those alerts whose time is known."""
    known = [taken for alert in alerts if (taken := hours(alert)) is not None]
    value = median(known) if len(known) >= MIN_ITEMS else None
    counts = f"{len(known):,} of {len(alerts):,}" if alerts else DASH
    return MonthValue(month, measure, value, len(known), counts if value is None else f"{hours_in_words(value)} ({counts})")


def acknowledged_at(records: Iterable[Mapping[str, Any]]) -> dict[str, datetime]:
    """The first acknowledgement of each alert, by incident."""
    found: dict[str, datetime] = {}
    for record in records:
        if record["says"] == "acknowledged":
            found.setdefault(record["incident"], record["at"])
    return found


def resolved_at(alert: Alert) -> datetime | None:
    """The time at which an alert was last resolved; None while it is open."""
    return alert.changed_at if alert.state == "resolved" else None


def hours_between(start: datetime | None, end: datetime | None) -> float | None:
    """Hours from one point in time to another; None if one of them is unknown, or if they are in the wrong order."""
    return (end - start).total_seconds() / 3600 if start is not None and end is not None and start <= end else None


def month_of(instant: datetime) -> datetime:
    """The first instant of a month (UTC)."""
    return aware_utc(instant).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def months_between(instants: Iterable[datetime]) -> list[datetime]:
    """Every month from the earliest to the latest of some points in time."""
    found = sorted({month_of(instant) for instant in instants})
    if not found:
        return []
    ends = [12 * month.year + month.month - 1 for month in (found[0], found[-1])]
    return [datetime(n // 12, n % 12 + 1, 1, tzinfo=UTC) for n in range(ends[0], ends[1] + 1)]


def frozen_onsets(store: Store, since: datetime) -> dict[str, datetime | None]:
    """The onset of every incident in the frozen weeks that end after `since`. If an incident is in several weeks, its onset in the earliest
    week counts.
    """
    found: dict[str, datetime | None] = {}
    for frozen in reversed(frozen_weeks(store)):
        body = week_body(store, frozen.review) if frozen.week.end > since else None
        for incident in (incident for part in (body or {}).get("models", ()) for incident in part["incidents"]):
            found.setdefault(incident["incident"], aware_utc(datetime.fromisoformat(incident["onset"])) if incident["onset"] else None)
    return found
