"""Reads the store for pages, cached by the state of the store.

Only this module and the modules named `load_…` query the store for pages. A change by a person is shown at once; arriving data are shown
within seconds. The clock moves in steps of five minutes, so a window that ends now stays the same between two clicks. Frames are copies.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from observability.core.catalog import Catalog, Model
from observability.core.errors import ObservabilityError
from observability.core.questions import Aggregate, Attributions, EstimatedErrors, Records, Sample
from observability.core.time import aware_utc, end_of_step
from observability.core.window import EPOCH, Environment, Window
from observability.dashboard.scope import DAYS, HOURLY, SERVED, Scope
from observability.dashboard.state_cache import cached_by_state, store
from observability.monitoring.check_windows import records_window_end

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.compare.comparison_types import WindowComparison
    from observability.core.analyzer import Analyzer
    from observability.metrics.late_answers import LateAnswers
    from observability.store.types.asked_questions import AskedQuestions
    from observability.store.types.explanations import ExplanationState
    from observability.worker.limited_query import LimitedAnswer

A_LIFETIME = 36_500
"""Length in days of a window that is meant to include all records."""


def home() -> Path:
    """The home of the store."""
    return store().home


def page_clock() -> datetime:
    """The end of the current step of five minutes (UTC). Records that have just arrived lie before it."""
    return end_of_step(datetime.now(UTC))


def no_later_than_now(instant: datetime) -> datetime:
    """Return the given time, or now if it is in the future. Otherwise the rest of the current step would count as time without records."""
    return min(instant, datetime.now(UTC))


def catalog() -> Catalog:
    """Return every model in the store; its `fleet` are the models that pages list and count."""
    return store().catalog()


def label_unit(model: str | None) -> str | None:
    """Return the unit of a model's label, such as `minutes`; None if its owner named none, or for no model."""
    known = catalog().by_name.get(model or "")
    return known.settings.unit if known else None


def scope_models(scope: Scope) -> list[str]:
    """Return the name of the scope's model; if none is chosen, the name of every model of the fleet."""
    return [scope.model] if scope.model else [model.name for model in catalog().fleet]


def offered_models(chosen: str | None = None) -> list[str]:
    """Return the model names in a select box: the fleet, then controllers. The product's own controller is included only if it is
    chosen.
    """
    known = catalog()
    names = [model.name for model in (*known.fleet, *known.controllers)]
    return names if chosen is None or chosen in names else [*names, chosen]


@cached_by_state(8, copied=True, computed=False)
def stream_activity() -> "DataFrame":
    """Number of rows and times of every stream: model, version, environment, rows, first, last, last_arrived (naive UTC)."""
    return store().activity()


@cached_by_state(8, computed=False)
def _activity_of_models() -> "tuple[DataFrame, dict[str, slice]]":
    """The frame of `stream_activity`, and by model the places of its rows in that frame."""
    import numpy as np

    seen = stream_activity()
    names = seen["model"].to_numpy()
    starts = [0, *(np.flatnonzero(names[1:] != names[:-1]) + 1).tolist()] if len(names) else []
    return seen, {names[start]: slice(start, end) for start, end in zip(starts, [*starts[1:], len(names)], strict=True)}


def model_activity(model: str) -> "DataFrame":
    """The rows of `stream_activity` about one model. They are found without a search through the rows of all models."""
    seen, places = _activity_of_models()
    return seen.iloc[places.get(model, slice(0, 0))]


def window(scope: Scope, model: str) -> Window:
    """The window of a model in the scope.

    A relative window of days ends with the current day; if the newest record is older than 30 days, it ends with the day of that record. It
    consists of whole days, which rollups alone can answer. A window of hours ends in the same way with the hour. The live window always
    ends at the page's clock. The window of everything starts with the day of the first record. Raises NotFoundError if the model is
    unknown, UsageError if the window ends before it starts, and ForbiddenError if the slice has too few rows for the person's role.
    """
    from observability.monitoring import check_windows

    seen = model_activity(model)
    known = catalog().model(model)
    same = scope.model == model
    environment = scope.environment if same and scope.environment else "production"
    dates: dict[str, Any] = {"start": scope.start, "end": scope.end, "as_of": None, "now": page_clock()}
    found, _ = check_windows.model_check_window(known, seen, **dates, environment=environment)
    if scope.span in DAYS:
        end = page_clock() if scope.span == "live" else midnight_after(found.end)
        end = hour_after(_last_hour(known, found)) if scope.span in HOURLY else end
        found = replace(found, start=end - timedelta(days=DAYS[scope.span]), end=end)
    elif scope.span == "all":
        first = first_record(seen, model, environment)
        found = replace(found, start=first, end=midnight_after(found.end)) if first and first < found.end else found
    chosen = replace(found, version=scope.version if same else None, slice=scope.slice if same else None)
    store().require_shown_slice(chosen)
    return chosen


def scope_window_spans(scope: Scope) -> frozenset[tuple[datetime, datetime]]:
    """Return start and end of the window of the scope's model; if no model is chosen, of the windows of all models."""
    return _window_spans_at(page_clock(), scope)


@cached_by_state(32, computed=False)
def _window_spans_at(clock: datetime, scope: Scope) -> frozenset[tuple[datetime, datetime]]:
    """Return the answer of `scope_window_spans` at a time of the page's clock. Models whose records begin and end in the same hours have
    the same window, so it is computed once for all of them.
    """
    del clock
    if scope.model:
        names = [scope.model]
    else:
        seen = stream_activity()
        hours = seen[seen["environment"] == "production"].groupby("model").agg({"last": "max", "first": "min"})
        if scope.span != "all":
            hours = hours[["last"]]
        alike = dict(zip(hours.index, hours.itertuples(index=False, name=None), strict=True))
        names = list({alike.get(name): name for name in scope_models(scope)}.values())
    return frozenset((found.start, found.end) for found in (window(scope, name) for name in names))


def scope_dates(scope: Scope) -> tuple[datetime, datetime]:
    """Return start and end of a page that is not about one model. If a model is chosen they are those of its window, else they span the
    windows of all models.

    If there is no model, they are the last days up to now. A span of everything does not end before now.
    """
    spans = scope_window_spans(scope)
    if not spans:
        end = scope.end or page_clock()
        return scope.start or (EPOCH if scope.span == "all" else end - timedelta(days=record_days(scope))), end
    end = max(last for _, last in spans)
    return min(first for first, _ in spans), max(end, page_clock()) if scope.span == "all" else end


def midnight_after(instant: datetime) -> datetime:
    """Return the end of the day (UTC) of a point in time; a midnight is returned unchanged."""
    return instant + (datetime(1970, 1, 1, tzinfo=UTC) - instant) % timedelta(days=1)


def hour_after(instant: datetime) -> datetime:
    """Return the end of the hour (UTC) of a point in time; a full hour is returned unchanged."""
    return instant + (datetime(1970, 1, 1, tzinfo=UTC) - instant) % timedelta(hours=1)


def _last_hour(model: Model, window: Window) -> datetime:
    """Return the end of a window of hours: the end of the given window, or the end of the newest record's hour if that record is older than
    30 days.
    """
    from observability.monitoring import check_windows

    newest = check_windows.newest_prediction(model, model_activity(model.name), window.environment)
    if newest is None or page_clock() - newest < timedelta(days=check_windows.LIVE_DAYS):
        return window.end
    return newest.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)


def first_record(seen: "DataFrame", model: str, environment: Environment = "production") -> datetime | None:
    """Midnight of the day of a model's first prediction in an environment; None if there is none."""
    rows = seen[(seen["model"] == model) & (seen["environment"] == environment)]
    if rows.empty:
        return None
    return rows["first"].min().to_pydatetime().replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=UTC)


def newest_record(model: str, environment: Environment = "production") -> datetime | None:
    """Event time of a model's newest prediction in an environment; None if there is none."""
    from observability.monitoring import check_windows

    return check_windows.newest_prediction(catalog().model(model), model_activity(model), environment)


def newest_live_record(scope: Scope) -> datetime | None:
    """Return the event time of the newest prediction in the scope; None if there is none. It is exact if the prediction lies in the scope's
    window, else it is the start of its hour. If no model is chosen, the model with the newest hour is used.
    """
    environment = scope.environment or "production"
    from observability.monitoring import check_windows

    seen = stream_activity() if scope.model is None else model_activity(scope.model)
    hours = check_windows.newest_predictions(seen, environment)
    if not hours:
        return None
    newest = max(hours, key=lambda name: hours[name])
    return _newest_prediction_in(replace(window(replace(scope, slice=None), newest), version=None)) or hours[newest]


@cached_by_state(8, by_model=lambda asked: asked.model, computed=False)
def _newest_prediction_in(asked: Window) -> datetime | None:
    """Return the event time of the newest prediction of a window; None if the window has none."""
    found = store().search(asked, (), 1, "-at")["at"]
    return aware_utc(found.iloc[0].to_pydatetime()) if len(found) else None


def environments(model: str) -> list[Environment]:
    """The environments in which a model has predictions, production first."""
    seen = model_activity(model)
    named = set(seen.loc[seen["model"] == model, "environment"])
    return [each for each in SERVED if each in named]


def moved_window_note(scope: Scope, model: str) -> str | None:
    """Return a sentence that the window was moved because the model's records are old; None if it was not moved."""
    from observability.monitoring import check_windows

    if scope.span == "live":
        return None
    dates: dict[str, Any] = {"start": scope.start, "end": scope.end, "as_of": None, "now": page_clock()}
    return check_windows.model_check_window(
        catalog().model(model), model_activity(model), **dates, environment=scope.environment or "production"
    )[1]


def window_of_records(scope: Scope, analyzer: "Analyzer", last: datetime | None = None) -> Window:
    """The window of an analyzer's records in the scope: the window of the command `check`, or the chosen number of days up to its end.

    last: the time of the newest record that the page is about, if it differs from the newest record of the analyzer.
    """
    from observability.monitoring import check_windows

    end = records_window_end(last, page_clock()) if last is not None and scope.end is None else scope.end
    found = check_windows.record_check_window(store(), analyzer, scope.model, scope.start, end, None, page_clock(), record_days(scope))
    if scope.span in DAYS:
        return replace(found, start=found.end - timedelta(days=DAYS[scope.span]))
    return replace(found, start=EPOCH) if scope.span == "all" else found


def record_days(scope: Scope) -> float:
    """How many days a window of records goes back if no start is chosen."""
    return DAYS.get(scope.span, A_LIFETIME if scope.span == "all" else DAYS["7d"])


def previous_window(window: Window) -> Window:
    """The window of the same length that ends where this one starts."""
    return window.past(window.days or 1)


def ask_store(question: Aggregate | Sample | EstimatedErrors | Records | Attributions, window: Window) -> "DataFrame":
    """The answer of the store to a question."""
    if isinstance(question, Aggregate):
        return _aggregate(question, window)
    if isinstance(question, Records):
        return _records(question, window)
    return _rows(question, window) if isinstance(question, Sample) else _computed_values(question, window)


def read_records(question: Records, window: Window) -> "DataFrame":
    """Return the answer of the store to a question about records, without caching. It is for functions that cache their own result computed
    from many rows.
    """
    return store().ask(question, window)


@cached_by_state(512, copied=True, by_model=lambda question, window: window.model, computed=False)
def _aggregate(question: Aggregate, window: Window) -> "DataFrame":
    """The answer of the store to a question about counts and sums, cached by the state of the store."""
    return store().ask(question, window)


@cached_by_state(64, copied=True, computed=False)
def _records(question: Records, window: Window) -> "DataFrame":
    """The records of one kind other than predictions, such as training runs and prices."""
    return store().ask(question, window)


@cached_by_state(32, copied=True, by_model=lambda question, window: window.model)
def _computed_values(question: Attributions | EstimatedErrors, window: Window) -> "DataFrame":
    """Stored attributions, or estimated errors of rows without labels."""
    return store().ask(question, window)


@cached_by_state(16, copied=True, by_model=lambda question, window: window.model, computed=False)
def _rows(question: Sample, window: Window) -> "DataFrame":
    """Return a sample of rows of limited size."""
    return store().ask(question, window)


@cached_by_state(64, by_model=lambda window: window.model, computed=False)
def late_answers_in(window: Window) -> "LateAnswers | None":
    """Return the late answers of devices in a window by day; None if no answer in a small sample contains the time at which it was sent."""
    from observability.metrics.late_answers import ANSWERS_WITH_EXTRA, FIRST_ROWS, late_answers

    if late_answers(store().ask(replace(ANSWERS_WITH_EXTRA, rows=FIRST_ROWS), window)) is None:
        return None
    return late_answers(store().ask(ANSWERS_WITH_EXTRA, window))


@cached_by_state(8, by_model=lambda a, b: a.model, computed=False)
def window_comparison_of(a: Window, b: Window) -> "WindowComparison":
    """The comparison of two windows of one model."""
    from observability.compare import comparison as compare

    return compare.compare_windows(store().ask, catalog().model(a.model), a, b)


@cached_by_state(8, copied=True, computed=False)
def column_storage(model: str) -> "DataFrame":
    """Bytes and codecs of the columns of a model's predictions in the database."""
    return store().column_storage(model)


def asked_questions(model: str) -> "AskedQuestions":
    """The questions that were asked about a model since the store was opened, with their measurements; not cached."""
    return store().asked_questions(model)


@cached_by_state(24, copied=True)
def explanation_state(model: str, version: str) -> "ExplanationState | None":
    """Return the state of a version's explanations: method, background, the last failure; None if nobody has tried to explain it."""
    return store().explanation_state(model, version)


@cached_by_state(64, copied=True, computed=False)
def model_events(model: str | None, start: datetime, end: datetime, as_of: datetime | None = None) -> "DataFrame":
    """Deploys and other events: at (naive UTC), model, what, text. as_of: only what had arrived by then."""
    return store().events(model, start, end, as_of)


@cached_by_state(2, copied=True, ttl=5)
def store_summary() -> dict[str, Any]:
    """Return the state of the store itself: sizes, backlog, rejected counts, versions. It is cached for five seconds, because landing files
    arrive without a commit.
    """
    from observability.server import health

    return health.store_status(store())


def answer_query(query: str) -> "LimitedAnswer":
    """The first rows of a person's SQL query over the views, from the confined process; not cached.

    Raises UsageError if the query is wrong or exceeds its limits, and ForbiddenError if the person may not query.
    """
    from observability.worker.limited_query import answer_in_worker, query_worker

    return answer_in_worker(query_worker(), store(), query)


def live_sample_note(model: str | None) -> str | None:
    """Return a note that the times of the sample were moved to today; None if they were not, or if the chosen model is not part of the
    sample.
    """
    from observability.cli.live_sample import read_live_sample, sample_note

    try:
        state = read_live_sample(home())
    except ObservabilityError as error:
        return str(error)
    own = model is not None and any(each.name == model and not each.sample for each in catalog().models)
    return None if state is None or own else sample_note(state, model, page_clock())


def store_problems() -> list[str]:
    """Return the problems of the loader and the store as sentences; not cached, because this is one small query."""
    from observability.server import health

    return health.all_problems(store())


@cached_by_state(8, copied=True)
def rejected_lines_frame(limit: int, model: str | None = None) -> "DataFrame":
    """Return the newest rejected lines of one model or of all, at most `limit`."""
    return store().rejected_lines(limit, model)
