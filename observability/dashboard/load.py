"""What does a page read, and what is kept between reruns?

The only module of the pages that asks the store, and the only one that caches. Everything is kept by the store's generation, which grows with
each commit: what a person changed shows at once, what arrives by itself within FRESH seconds, so that a busy store is not judged anew at every click; the clock moves in steps of five minutes, so a window that ends now stays the same
between two clicks. Frames and reports come back as copies.
"""

import time
import weakref
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from observability.core.catalog import Catalog
from observability.core.errors import StoreBusyError
from observability.core.finding import Finding, needs_action, worst_first
from observability.core.questions import Aggregate, Attributions, EstimatedErrors, Records, Sample
from observability.core.window import EPOCH, Window
from observability.dashboard import background_findings
from observability.dashboard.scope import DAYS, Scope
from observability.incidents.grouping import Incident
from observability.monitoring.check import Report

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.analyzers.training.runs import Judged
    from observability.compare.comparison_types import Comparison
    from observability.core.analyzer import Analyzer
    from observability.store.db.database import Store
    from observability.store.query.attributions import State

CLOCK_STEP = timedelta(minutes=5)
FRESH = 5.0
A_LIFETIME = 36_500
"""Days: everything."""
Stamp = tuple[str, int]
"""Which state of which store: its home and its generation."""


def store() -> "Store":
    """The store that this process owns."""
    from observability.server import process_lock

    return process_lock.current_store()


def home() -> Path:
    """The home of the store."""
    return store().home


@dataclass
class Shown:
    """Which generation of a store the pages show, how many of its commits somebody waited for, and when it last changed (monotonic seconds)."""

    generation: int
    awaited: int
    at: float


SHOWN: "weakref.WeakKeyDictionary[Store, Shown]" = weakref.WeakKeyDictionary()


def stamp() -> Stamp:
    """The state of the store that is read now: the newest, or one that is at most FRESH seconds old and lacks nothing that a person did."""
    current, instant = store(), time.monotonic()
    generation = current.generation
    awaited = generation - current.unhurried
    shown = SHOWN.get(current)
    if shown is None:
        shown = SHOWN[current] = Shown(generation, awaited, instant - FRESH)
    elif shown.generation != generation and (shown.awaited != awaited or instant - shown.at >= FRESH):
        shown = SHOWN[current] = Shown(generation, awaited, instant)
    return str(current.home), shown.generation


def now() -> datetime:
    """The clock, in steps of five minutes, UTC: the end of the step under way, so that what has just come lies before it."""
    instant = datetime.now(UTC)
    return instant - (instant - datetime(1970, 1, 1, tzinfo=UTC)) % CLOCK_STEP + CLOCK_STEP


def catalog() -> Catalog:
    """Every model that the store has seen."""
    return store().catalog()


def activity() -> "DataFrame":
    """Model, version, environment, rows, first, last, last_arrived (naive UTC)."""
    return cached_activity(stamp())


def window(scope: Scope, model: str) -> Window:
    """The window of a model that the scope stands for.

    A relative window ends with the day under way, or with the last record's day where the newest is older than 30 days: whole days are
    answered from the rollups alone. Everything is from the day of the first record to there. Raises NotFoundError for an unknown model, UsageError where it ends before it starts.
    """
    from observability.monitoring import check

    seen = activity()
    known = catalog().model(model)
    found, _ = check.window_of(known, seen, start=scope.start, end=scope.end, as_of=None, now=now())
    if scope.span in DAYS:
        end = midnight_after(found.end)
        found = replace(found, start=end - timedelta(days=DAYS[scope.span]), end=end)
    elif scope.span == "all":
        first = first_record(seen, model)
        found = replace(found, start=first, end=midnight_after(found.end)) if first and first < found.end else found
    same = scope.model == model
    return replace(found, version=scope.version if same else None, slice=scope.slice if same else None)


def span_of(scope: Scope) -> tuple[datetime, datetime]:
    """The dates of a scope that is about no single model: those of its model, else from the first to the last of all models' windows (of no
    model: the last days up to now); everything goes up to now.
    """
    windows = [window(scope, each.name) for each in catalog().models if scope.model in (None, each.name)]
    if not windows:
        end = scope.end or now()
        return scope.start or (EPOCH if scope.span == "all" else end - timedelta(days=record_days(scope))), end
    end = max(each.end for each in windows)
    return min(each.start for each in windows), max(end, now()) if scope.span == "all" else end


def midnight_after(instant: datetime) -> datetime:
    """The end of a day (UTC): the instant itself where it is a midnight."""
    return instant + (datetime(1970, 1, 1, tzinfo=UTC) - instant) % timedelta(days=1)


def first_record(seen: "DataFrame", model: str) -> datetime | None:
    """Midnight of the day of a model's first production prediction; None where there is none."""
    rows = seen[(seen["model"] == model) & (seen["environment"] == "production")]
    if rows.empty:
        return None
    return rows["first"].min().to_pydatetime().replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=UTC)


def newest_record(model: str) -> datetime | None:
    """Event time of a model's newest production prediction; None where there is none."""
    from observability.monitoring import check

    return check.newest(catalog().model(model), activity())


def note(scope: Scope, model: str) -> str | None:
    """A sentence where the window was moved for the model, because its records are old."""
    from observability.monitoring import check

    return check.window_of(catalog().model(model), activity(), start=scope.start, end=scope.end, as_of=None, now=now())[1]


def findings(asked: Window, *, wait: bool = False) -> list[Finding]:
    """What every analyzer says about a model in a window, worst first.

    Analyzers that read samples of raw rows do their work in the background: what they say is in the list once they have said it. wait: have it now,
    for the pages that are about it.
    """
    return together(asked, wait=wait)[0]


def incidents(asked: Window, *, wait: bool = False) -> tuple[Incident, ...]:
    """The incidents that those findings form, worst first."""
    return together(asked, wait=wait)[1]


def together(asked: Window, *, wait: bool = False) -> tuple[list[Finding], tuple[Incident, ...]]:
    """Findings of a model in a window, those of one fault marked with its incident, and the incidents: joined over what counts and samples say."""
    from observability.monitoring import check

    counted = cached_report(stamp(), asked, now())
    sampled = background_findings.findings(store(), asked, now(), wait=wait)
    if not sampled:
        return list(counted.findings), counted.incidents
    return check.gathered(catalog(), [*counted.findings, *sampled])


def looking(asked: Window) -> bool:
    """Whether the analyzers that read samples still have to say something about a window for the first time."""
    return background_findings.looking(store(), asked)


def report(scope: Scope) -> Report:
    """Findings and incidents of the scope: of its model, or of every model in its own window, and about records of other kinds; worst first."""
    from observability.monitoring import check

    models = [scope.model] if scope.model else [each.name for each in catalog().models]
    found, formed = check.gathered(
        catalog(), [*(each for model in models for each in findings(window(scope, model))), *record_findings(scope, beside=True)]
    )
    return Report(tuple(found), formed)


def record_incidents(scope: Scope) -> tuple[Incident, ...]:
    """The incidents that findings about training runs, datasets and other records form, worst first."""
    from observability.monitoring import check

    return check.gathered(catalog(), record_findings(scope))[1]


def record_findings(scope: Scope, *, beside: bool = False) -> list[Finding]:
    """Findings about training runs, datasets and other records of the scope's model, or of all: in the chosen dates, else in the last days that
    have some. beside: what names no model is judged in the dates of the scope's model.
    """
    if scope.slice or scope.version:
        return []
    own = window(scope, scope.model) if beside and scope.model else None
    return list(cached_record_findings(stamp(), scope.model, scope.start, scope.end, record_days(scope), now(), own))


def window_of_records(scope: Scope, analyzer: "Analyzer") -> Window:
    """The window of records that a scope stands for, of those that an analyzer asks for: as `check` takes it, or the days up to its end."""
    from observability.monitoring import check

    found = check.record_window(store(), analyzer, scope.model, scope.start, scope.end, None, now(), record_days(scope))
    if scope.span in DAYS:
        return replace(found, start=found.end - timedelta(days=DAYS[scope.span]))
    return replace(found, start=EPOCH) if scope.span == "all" else found


def record_days(scope: Scope) -> float:
    """How many days a window of records goes back where no start is chosen."""
    return DAYS.get(scope.span, A_LIFETIME if scope.span == "all" else DAYS["7d"])


def new_findings(asked: Window) -> list[Finding]:
    """Watch and act findings from counts of a window that the same length of time before it did not have (what samples say may not be said yet)."""
    earlier, current = (cached_report(stamp(), each, now()).findings for each in (asked.past(max(round(asked.days), 1)), asked))
    before = {claim(each) for each in earlier if needs_action(each.severity)}
    return [each for each in current if needs_action(each.severity) and claim(each) not in before]


def claim(finding: Finding) -> tuple[str | None, ...]:
    """What a finding is about, whatever the window and the version."""
    return finding.analyzer, finding.model, finding.subject, finding.metric, finding.slice


def frame(aggregate: Aggregate, asked: Window) -> "DataFrame":
    """The answer of the store to an aggregate."""
    return cached_frame(stamp(), aggregate, asked)


def answer(question: Sample | EstimatedErrors, asked: Window) -> "DataFrame":
    """A bounded sample of rows, or what is estimated of the errors of rows without labels."""
    return cached_answer(stamp(), question, asked)


def records(question: Records, asked: Window) -> "DataFrame":
    """Records of the other kinds: training runs, prices and the rest."""
    return cached_records(stamp(), question, asked)


def training_runs(model: str | None) -> "tuple[Judged, ...]":
    """Every training run of a model, or of all, with its curves and what is claimed about it, newest first. Read-only: sessions share them."""
    return cached_training_runs(stamp(), model, now())


def comparison(a: Window, b: Window) -> "Comparison":
    """How two windows of one model differ."""
    return cached_comparison(stamp(), a, b)


def attributions(question: Attributions, asked: Window) -> "DataFrame":
    """Why predictions got their scores: the stored attributions of a window."""
    return cached_attributions(stamp(), question, asked)


def explanation_state(model: str, version: str) -> "State | None":
    """How a version is explained: method, background, the last failure; None where that was never tried."""
    return cached_explanation_state(stamp(), model, version)


def events(model: str | None, start: datetime, end: datetime) -> "DataFrame":
    """Deploys and other events: at (naive UTC), model, what, text."""
    return cached_events(stamp(), model, start, end)


def status() -> dict[str, Any]:
    """The store itself: sizes, backlog, rejected counts, versions; kept for five seconds, since landing files arrive without a commit."""
    return cached_status(stamp())


def loader_failure() -> str | None:
    """Why the loader thread last failed, None where it is fine (or where no loader runs in this process)."""
    from observability.server import process_lock

    try:
        return process_lock.current().loader.failure
    except StoreBusyError:
        return None


def rejected(limit: int, model: str | None = None) -> "DataFrame":
    """The newest rejected lines."""
    return cached_rejected(stamp(), limit, model)


@st.cache_data(max_entries=8, show_spinner=False)
def cached_activity(key: Stamp) -> "DataFrame":
    """See `activity`."""
    from observability.store.query import listing

    return listing.activity(store())


@st.cache_data(max_entries=256, show_spinner=False)
def cached_report(key: Stamp, asked: Window, instant: datetime) -> Report:
    """See `findings`."""
    from observability.monitoring import check

    return check.check(
        store(),
        model=asked.model,
        version=asked.version,
        start=asked.start,
        end=asked.end,
        as_of=asked.as_of,
        slice=asked.slice,
        now=instant,
        with_records=False,
        reads="counts",
    )


@st.cache_data(max_entries=64, show_spinner=False)
def cached_record_findings(
    key: Stamp,
    model: str | None,
    start: datetime | None,
    end: datetime | None,
    days: float,
    instant: datetime,
    beside: Window | None = None,
) -> list[Finding]:
    """See `record_findings`."""
    from observability.monitoring import check

    return worst_first(check.record_findings(store(), model, start=start, end=end, days=days, now=instant, beside=beside))


@st.cache_data(max_entries=512, show_spinner=False)
def cached_frame(key: Stamp, aggregate: Aggregate, asked: Window) -> "DataFrame":
    """See `frame`."""
    from observability.store.query import aggregates

    return aggregates.ask(store(), aggregate, asked)


@st.cache_data(max_entries=16, show_spinner=False)
def cached_answer(key: Stamp, question: Sample | EstimatedErrors, asked: Window) -> "DataFrame":
    """See `answer`."""
    from observability.monitoring import check

    return check.put(store(), question, asked)


@st.cache_data(max_entries=64, show_spinner=False)
def cached_records(key: Stamp, question: Records, asked: Window) -> "DataFrame":
    """See `records`."""
    return stored_records(question, asked)


@st.cache_resource(max_entries=4, show_spinner=False)
def cached_training_runs(key: Stamp, model: str | None, instant: datetime) -> "tuple[Judged, ...]":
    """See `training_runs`."""
    from observability.analyzers.training import runs

    return runs.everything(stored_records, model or "", instant)


def stored_records(question: Records, asked: Window) -> "DataFrame":
    """Records as the store has them now, not kept."""
    from observability.store.query import records as stored

    return stored.fetch(store(), question, asked)


@st.cache_data(max_entries=32, show_spinner=False)
def cached_comparison(key: Stamp, a: Window, b: Window) -> "Comparison":
    """See `comparison`."""
    from observability.compare import comparison as compare

    return compare.compare(compare.asker(store()), catalog().model(a.model), a, b)


@st.cache_data(max_entries=24, show_spinner=False)
def cached_attributions(key: Stamp, question: Attributions, asked: Window) -> "DataFrame":
    """See `attributions`."""
    from observability.store.query import attributions as stored

    return stored.fetch(store(), question, asked)


@st.cache_data(max_entries=24, show_spinner=False)
def cached_explanation_state(key: Stamp, model: str, version: str) -> "State | None":
    """See `explanation_state`."""
    from observability.store.query import attributions as stored

    return stored.state_of(store(), model, version)


@st.cache_data(max_entries=64, show_spinner=False)
def cached_events(key: Stamp, model: str | None, start: datetime, end: datetime) -> "DataFrame":
    """See `events`."""
    from observability.store.query import listing

    return listing.events(store(), model, start, end)


@st.cache_data(max_entries=2, ttl=5, show_spinner=False)
def cached_status(key: Stamp) -> dict[str, Any]:
    """See `status`."""
    from observability.store.registry import admin

    return admin.status(store())


@st.cache_data(max_entries=8, show_spinner=False)
def cached_rejected(key: Stamp, limit: int, model: str | None) -> "DataFrame":
    """See `rejected`."""
    from observability.store.registry import admin

    return admin.rejected(store(), limit, model)
