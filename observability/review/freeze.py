"""Freeze review weeks, and read frozen weeks.

A frozen week is stored as records of kind `review`. Its numbers never change: a week is frozen only once. The effect of labels that arrive
later is shown separately, as restated figures.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from observability.core.errors import NotFoundError, UsageError
from observability.core.questions import Records
from observability.core.time import aware_utc
from observability.core.weeks import Week
from observability.core.window import Window
from observability.records.values import AFTER_LAST, FIRST
from observability.review import meeting
from observability.review.agenda import OUTCOMES
from observability.review.escalation import pass_up
from observability.review.snapshot import Body, Progress, week_snapshot
from observability.store.engine import Store

EVER = Window("", FIRST, AFTER_LAST)
EARLIER = 8
"""Maximum number of earlier frozen weeks that are read when a week is frozen."""


@dataclass(frozen=True)
class FrozenWeek:
    """One frozen week without its numbers."""

    review: str
    week: Week
    frozen_at: datetime
    author: str


def freeze(store: Store, week: Week, *, author: str, now: datetime, progress: Progress | None = None) -> Body:
    """The frozen week. If it is not stored yet, it is computed now and stored. Raises UsageError if the week is not over."""
    if week.end > now:
        raise UsageError(f"week {week} is not over", got=f"it ends {week.end:%Y-%m-%d} 00:00 UTC", attempt=f"Freeze {week.back()}, or wait")
    if (found := week_body(store, str(week))) is not None:
        return found
    body = week_snapshot(store, week, frozen_at=now, earlier=earlier_weeks(store, week, now), progress=progress)
    head = {"kind": "review", "review": str(week), "week": str(week), "at": now, "author": author}
    parts = [{**head, "model": part["model"], "body": part} for part in body["models"]]
    store.write_records([{**head, "body": {**body, "models": []}}, *parts])
    kept = week_body(store, str(week))
    assert kept is not None
    pass_up(store, kept, now)
    return kept


def frozen_weeks(store: Store) -> list[FrozenWeek]:
    """All frozen weeks, newest first. If two processes froze a week at the same time, the first one counts."""
    frame = store.ask(Records("review", ("review", "week", "at", "author", "model"), ever=True), EVER)
    found: dict[str, FrozenWeek] = {}
    for row in frame[frame["model"].isna()].to_dict("records"):
        frozen = FrozenWeek(row["review"], Week.parse(row["week"]), aware_utc(row["at"].to_pydatetime()), row["author"])
        found.setdefault(frozen.review, frozen)
    return sorted(found.values(), key=lambda frozen: frozen.week, reverse=True)


def is_frozen(store: Store, review: str) -> bool:
    """Whether a week is frozen, without reading its numbers."""
    return not store.ask(Records("review", ("review",), ever=True, rows=1, only=(("review", review),)), EVER).empty


def week_body(store: Store, review: str) -> Body | None:
    """The numbers of a frozen week; None if it is not frozen. If it was frozen twice, the first time counts. Models that were removed since
    then are missing.
    """
    frame = store.ask(Records("review", ("at", "author", "model", "body"), ever=True, only=(("review", review),)), EVER)
    heads = frame[frame["model"].isna()]
    if heads.empty:
        return None
    first = heads.iloc[0]
    own = frame[(frame["at"] == first["at"]) & (frame["author"] == first["author"]) & frame["model"].notna()]
    return {**first["body"], "models": sorted(own["body"], key=lambda part: part["model"])}


def stored_week(store: Store, review: str) -> Body:
    """The numbers of a frozen week. Raises NotFoundError, which names the weeks that exist."""
    body = week_body(store, review)
    if body is None:
        known = ", ".join(frozen.review for frozen in frozen_weeks(store)[:5]) or "none yet"
        raise NotFoundError(
            f"week {review} is not frozen", attempt=f"Frozen: {known}; python -m observability review --week {review} freezes it"
        )
    return body


def earlier_weeks(store: Store, week: Week, known: datetime) -> list[Body]:
    """The frozen weeks before a week, newest first, each with `outcomes` by item. known: only records up to this time count."""
    bodies = []
    for frozen in [frozen for frozen in frozen_weeks(store) if frozen.week < week and frozen.frozen_at <= known][:EARLIER]:
        body = week_body(store, frozen.review)
        if body is not None:
            bodies.append(
                {**body, "outcomes": item_outcomes([change for change in said_about(store, frozen.review) if change["at"] <= known])}
            )
    return bodies


def said_about(store: Store, review: str) -> list[dict[str, Any]]:
    """The changes that people made to the items of a review (records of kind `agenda`), oldest first."""
    frame = store.ask(Records("agenda", ever=True, only=(("review", review),)), EVER)
    rows = [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]
    return [row | {"at": aware_utc(row["at"].to_pydatetime())} for row in rows]


def meetings_closed(store: Store) -> dict[str, bool]:
    """For each review with entries by people (records of kind `agenda`), whether its meeting is closed."""
    frame = store.ask(Records("agenda", ("at", "review", "item", "does"), ever=True), EVER)
    said: dict[str, list[dict[str, Any]]] = {}
    for entry in frame.to_dict("records"):
        said.setdefault(entry["review"], []).append({str(name): value for name, value in entry.items()})
    return {review: meeting.closed_by(entries) is not None for review, entries in said.items()}


def item_outcomes(said: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The outcome of each item: its last change that is accept, watch or act, unless the item was reopened afterwards."""
    ended: dict[str, dict[str, Any]] = {}
    for change in said:
        if change["does"] in OUTCOMES:
            ended[change["item"]] = dict(change)
        elif change["does"] == "reopen":
            ended.pop(change["item"], None)
    return ended


def canonical_week(body: Body) -> bytes:
    """A frozen week as canonical JSON bytes, which can be compared."""
    return json.dumps(body, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
