"""How is a week frozen, found again, and held against what is known since?

A frozen week is one record of kind `review`. Its numbers never change: a week that is frozen is not frozen again, and what labels say later stands
apart, as restated.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from observability.core.errors import NotFoundError, UsageError
from observability.core.questions import Records
from observability.core.time import aware_utc
from observability.core.weeks import Week
from observability.core.window import Window
from observability.records.values import AFTER_LAST, FIRST
from observability.review.escalation import pass_up
from observability.review.snapshot import Body, Progress, snapshot
from observability.store.ingest import record_writer
from observability.store.query import records

if TYPE_CHECKING:
    from observability.store.db.database import Store

EVER = Window("", FIRST, AFTER_LAST)
EARLIER = 8
"""Frozen weeks that a new one looks back on."""
OUTCOMES = ("accept", "watch", "act")
"""What ends an item."""


@dataclass(frozen=True)
class Frozen:
    """One frozen week, without its numbers."""

    review: str
    week: Week
    frozen_at: datetime
    author: str


def freeze(store: "Store", week: Week, *, author: str, now: datetime, progress: Progress | None = None) -> Body:
    """The frozen week: the one that is there, else made now and kept. Raises UsageError for a week that is not over."""
    if week.end > now:
        raise UsageError(f"week {week} is not over", got=f"it ends {week.end:%Y-%m-%d} 00:00 UTC", attempt=f"Freeze {week.back()}, or wait")
    if (found := body_of(store, str(week))) is not None:
        return found
    body = snapshot(store, week, frozen_at=now, earlier=before(store, week, now), progress=progress)
    head = {"kind": "review", "review": str(week), "week": str(week), "at": now, "author": author}
    parts = [{**head, "model": part["model"], "body": part} for part in body["models"]]
    record_writer.write(store, [{**head, "body": {**body, "models": []}}, *parts])
    kept = body_of(store, str(week))
    assert kept is not None
    pass_up(store, kept, now)
    return kept


def frozen_weeks(store: "Store") -> list[Frozen]:
    """Every frozen week, the newest week first. Of a week that was frozen twice at once, the first."""
    frame = records.fetch(store, Records("review", ("review", "week", "at", "author", "model"), ever=True), EVER)
    found: dict[str, Frozen] = {}
    for row in frame[frame["model"].isna()].to_dict("records"):
        one = Frozen(row["review"], Week.parse(row["week"]), aware_utc(row["at"].to_pydatetime()), row["author"])
        found.setdefault(one.review, one)
    return sorted(found.values(), key=lambda each: each.week, reverse=True)


def is_frozen(store: "Store", review: str) -> bool:
    """Whether a week is frozen; cheaper than reading it."""
    return not records.fetch(store, Records("review", ("review",), ever=True, rows=1, only=(("review", review),)), EVER).empty


def body_of(store: "Store", review: str) -> Body | None:
    """The numbers of a frozen week; None where it is not frozen. The first freezing counts; a model that was removed since is not in it."""
    frame = records.fetch(store, Records("review", ("at", "author", "model", "body"), ever=True, only=(("review", review),)), EVER)
    heads = frame[frame["model"].isna()]
    if heads.empty:
        return None
    first = heads.iloc[0]
    own = frame[(frame["at"] == first["at"]) & (frame["author"] == first["author"]) & frame["model"].notna()]
    return {**first["body"], "models": sorted(own["body"], key=lambda part: part["model"])}


def found(store: "Store", review: str) -> Body:
    """The same; raises NotFoundError with the weeks that there are."""
    body = body_of(store, review)
    if body is None:
        known = ", ".join(each.review for each in frozen_weeks(store)[:5]) or "none yet"
        raise NotFoundError(
            f"week {review} is not frozen", attempt=f"There is {known}; python -m observability review --week {review} freezes it"
        )
    return body


def before(store: "Store", week: Week, known: datetime) -> list[Body]:
    """The frozen weeks before one, newest first, each with `outcomes`: what its items ended in, by item. known: what was frozen and said until then."""
    bodies = []
    for each in [one for one in frozen_weeks(store) if one.week < week and one.frozen_at <= known][:EARLIER]:
        body = body_of(store, each.review)
        if body is not None:
            bodies.append({**body, "outcomes": outcomes([one for one in said_about(store, each.review) if one["at"] <= known])})
    return bodies


def said_about(store: "Store", review: str) -> list[dict[str, Any]]:
    """What people said about the items of a review, oldest first: records of kind `agenda`."""
    frame = records.fetch(store, Records("agenda", ever=True, only=(("review", review),)), EVER)
    rows = [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]
    return [row | {"at": aware_utc(row["at"].to_pydatetime())} for row in rows]


def outcomes(said: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """What each item ended in: the last word of accept, watch or act, unless it was reopened after it."""
    ended: dict[str, dict[str, Any]] = {}
    for each in said:
        if each["does"] in OUTCOMES:
            ended[each["item"]] = dict(each)
        elif each["does"] == "reopen":
            ended.pop(each["item"], None)
    return ended


def canonical(body: Body) -> bytes:
    """The frozen week as bytes that are equal where its numbers are."""
    return json.dumps(body, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
