"""The draft of a week that is not frozen, with what its review would show if it were frozen now. A draft is computed once for everybody
and never stored.

A week is analyzed as of its end, so its draft changes only if settings or earlier decisions of people change.
"""

from datetime import datetime

from observability.core.weeks import Week
from observability.dashboard import load, sign_in, state_cache
from observability.dashboard.background_job import JobSlot, Note, draw_job
from observability.review import freeze
from observability.review.snapshot import Body, week_snapshot
from observability.server.access import may_do_everywhere

DRAFTS = JobSlot("draft", cancelled="Cancelled. No draft was made.", failed="The draft failed", kept=4)
Drafted = tuple[str, int, str]
"""The key of a draft: the home folder, how often its store was rewritten, and the week. A removal rewrites the store, so drafts from before
it are no longer shown.
"""


def may_draft() -> bool:
    """Whether this person may see drafts. Drafts contain every model, and groups of any size."""
    person = sign_in.current_person()
    return person.sees_all and may_do_everywhere(person, "reveal")


def draft_of_week(week: str) -> Body | None:
    """The draft of a week. None if there is none, or if the person may not see it. Read-only, because sessions share it."""
    found: Body | None = DRAFTS.result(_drafted(week)) if may_draft() else None
    return found


def drafted_weeks() -> list[str]:
    """The weeks that have a draft, newest first."""
    known = [each[2] for each in list(DRAFTS.results) if isinstance(each, tuple) and each[:2] == _drafted("")[:2]]
    return sorted(known, reverse=True) if may_draft() else []


def start_draft(week: Week, now: datetime) -> bool:
    """Compute the draft of a week in the background; False if another one is being computed."""
    store = load.store().whole_groups()

    def computed(note: Note) -> Body:
        earlier = freeze.earlier_weeks(store, week, now)
        return week_snapshot(store, week, frozen_at=now, earlier=earlier, progress=note)

    return DRAFTS.start(_drafted(str(week)), f"Draft of {week}", computed)


def draft_progress() -> None:
    """Draw the progress of the draft that is being computed, or why the last draft failed; nothing for people who may not see drafts."""
    if may_draft():
        draw_job(DRAFTS, "draft")


def _drafted(week: str) -> Drafted:
    """The key of a draft of this store."""
    store = state_cache.owned_store()
    return str(store.home), store.rewrites, week
