"""Choose the window that a check analyzes, and the time at which it is evaluated."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from observability.core.analyzer import EVERY_MODEL, NO_VERSION, Analyzer, Ask, Context
from observability.core.catalog import Model
from observability.core.errors import UsageError
from observability.core.finding import iso
from observability.core.formatting import format_day
from observability.core.questions import Records, record_kind
from observability.core.time import aware_utc
from observability.core.window import Environment, Window
from observability.records.kinds import KINDS

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.store.engine import Engine

DEFAULT_DAYS = 7
LIVE_DAYS = 30


def record_check_window(
    engine: "Engine",
    analyzer: Analyzer,
    model: str | None,
    start: datetime | None,
    end: datetime | None,
    as_of: datetime | None,
    limit: datetime,
    days: float = DEFAULT_DAYS,
) -> Window:
    """The window in which an analyzer of records runs."""
    if end is None:
        kinds = _record_kinds(analyzer, Window(model or "", limit, limit))
        end = records_window_end(engine.newest_record(sorted(kinds), model or "", limit, as_of), limit)
    if start is None:
        start = end - timedelta(days=days)
    return Window(model or "", min(start, end), end, as_of=as_of)


def records_window_end(last: datetime | None, limit: datetime) -> datetime:
    """The end of a window of records: `limit`, or the end of the day of the newest record if that is older than 30 days."""
    if last is None or limit - last < timedelta(days=LIVE_DAYS):
        return limit
    return min(limit, last.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1))


def _record_kinds(analyzer: Analyzer, window: Window) -> set[str]:
    """The kinds of records whose dates determine an analyzer's window.

    Prices never do. Datasets and decisions do only if no other kind is read; otherwise they count at any age.
    """
    asked = analyzer.needs(Context(EVERY_MODEL, NO_VERSION, window, window.end)).values()
    kinds = {each.aggregate.kind for each in asked if isinstance(each.aggregate, Records)} - {"price"}
    return kinds - {"dataset", "decision"} or kinds


def records_name_a_model(analyzer: Analyzer, window: Window) -> bool:
    """Whether the records that an analyzer asks for name their model, directly or through their run or project."""
    return any({"model", "run", "project"} & set(KINDS[record_kind(kind)].fields) for kind in _record_kinds(analyzer, window))


def model_check_window(
    model: Model,
    activity: "DataFrame",
    *,
    start: datetime | None,
    end: datetime | None,
    as_of: datetime | None,
    now: datetime,
    environment: Environment = "production",
) -> tuple[Window, str | None]:
    """The window of a model in an environment, and a note if this is not the requested window."""
    note = None
    if end is None:
        limit = min(as_of, now) if as_of else now
        last = newest_prediction(model, activity, environment)
        if last is None or limit - last < timedelta(days=LIVE_DAYS):
            end = limit
            if start is None and last is not None and limit - last > timedelta(days=DEFAULT_DAYS):
                note = f"{model.name}: no records in this window, the newest is from {format_day(last)}; choose earlier dates."
        else:
            end = min(limit, last.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1))
            note = f"{model.name}: the newest record is from {format_day(last)}, so the window ends there."
        if start is not None and end <= start:
            raise UsageError("the window ends before it starts", got=f"{iso(start)} to {iso(end)}", attempt="Give --to as well")
    if start is None:
        start = end - timedelta(days=DEFAULT_DAYS)
    return Window(model.name, start, end, as_of=as_of, environment=environment), note


def evaluation_time(model: Model, activity: "DataFrame", window: Window, now: datetime) -> datetime:
    """The time at which a window is evaluated: its end, now, or its as_of, whichever is earliest.

    For a model whose newest record is older than 30 days, its last window is evaluated in the hour in which that record arrived. Silence
    after a model's end is therefore not a finding. A default window ends with that day.
    """
    limit = min(filter(None, (now, window.as_of)))
    at = min(limit, window.end)
    last = newest_prediction(model, activity, window.environment)
    if last is None or limit - last < timedelta(days=LIVE_DAYS) or not timedelta(0) <= at - last <= timedelta(days=1):
        return at
    return min(at, last.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1))


def newest_prediction(model: Model, activity: "DataFrame", environment: Environment = "production") -> datetime | None:
    """Event time of the newest prediction of a model in an environment; None if there is none."""
    rows = activity[(activity["model"] == model.name) & (activity["environment"] == environment)]
    return None if rows.empty else aware_utc(rows["last"].max().to_pydatetime())


def newest_predictions(activity: "DataFrame", environment: Environment = "production") -> dict[str, datetime]:
    """The result of `newest_prediction` for each model with predictions, by name; the activity of all models is read only once."""
    last = activity[activity["environment"] == environment].groupby("model")["last"].max()
    return {str(name): aware_utc(at.to_pydatetime()) for name, at in last.items()}


def question_window(wanted: Ask, context: Context) -> Window:
    """The window to which an Ask refers."""
    window = context.window if wanted.scope == "version" else replace(context.window, version=None)
    if wanted.environment is not None:
        window = replace(window, environment=wanted.environment)
    if wanted.span == "reference":
        return window.reference()
    if wanted.earlier:
        back = timedelta(days=wanted.earlier)
        known = min(window.as_of or context.now, context.now).replace(minute=0, second=0, microsecond=0)
        window = replace(window, start=window.start - back, end=window.end - back, as_of=known - back)
    return window.past(wanted.days) if wanted.span == "past" else window
