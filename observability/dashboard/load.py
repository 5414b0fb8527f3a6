"""Read the store for pages, cached by the store's state.

This is the only module of the pages that asks the store. A change by a person is shown at once; arriving data are shown within seconds. The
clock moves in steps of five minutes, so a window that ends now stays the same between two clicks. Frames and reports are copies.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from observability.core.catalog import Catalog, Model
from observability.core.errors import ObservabilityError
from observability.core.finding import Finding, worst_first
from observability.core.questions import Aggregate, Attributions, EstimatedErrors, Records, Sample
from observability.core.time import aware_utc, end_of_step
from observability.core.window import EPOCH, Environment, Window
from observability.dashboard import background_findings, sign_in
from observability.dashboard.kept_readings import judged_runs_of_window, labels_of_window
from observability.dashboard.scope import DAYS, HOURLY, SERVED, Scope
from observability.dashboard.state_cache import Stamp, cached_by_state, displayed_state, model_stamp, owned_store, store, store_stamp
from observability.incidents.grouping import Incident
from observability.incidents.labelling_causes import causes_first
from observability.monitoring.check import AcknowledgedClaims, CheckReport
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
"""Days of a window that is to hold all records."""


def home() -> Path:
    """The home of the store."""
    return store().home


def page_clock() -> datetime:
    """The end of the current step of five minutes (UTC), so that what has just arrived lies before it."""
    return end_of_step(datetime.now(UTC))


def no_later_than_now(instant: datetime) -> datetime:
    """The instant, or now if it is in the future, so that no silence is assumed for the rest of the current step."""
    return min(instant, datetime.now(UTC))


def catalog() -> Catalog:
    """Every model in the store; `fleet` are those that pages list and count."""
    return store().catalog()


def label_unit(model: str | None) -> str | None:
    """The unit of a model's label, as `minutes`; None if its owner named none, or for no model."""
    known = catalog().by_name.get(model or "")
    return known.settings.unit if known else None


def scope_models(scope: Scope) -> list[str]:
    """The name of the scope's model; if none is chosen, of every model of the fleet."""
    return [scope.model] if scope.model else [model.name for model in catalog().fleet]


def offered_models(chosen: str | None = None) -> list[str]:
    """The model names in a select box: the fleet, then controllers; the product's own controller only if it is chosen."""
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

    A relative window of days ends with the current day; if the newest record is older than 30 days, it ends with the day of that record.
    It consists of whole days, which rollups alone can answer. A window of hours ends in the same way with the hour. The live window always
    ends at the page's clock. The window of everything starts with the day of the first record.
    Raises NotFoundError for an unknown model, UsageError if the window ends before it starts, and ForbiddenError if the slice has too few
    rows for the person's role.
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
    """Start and end of the window of the scope's model; without a chosen model, of the windows of all models."""
    return _window_spans_at(page_clock(), scope)


@cached_by_state(32, computed=False)
def _window_spans_at(clock: datetime, scope: Scope) -> frozenset[tuple[datetime, datetime]]:
    """The answer of `scope_window_spans` at an instant of the page's clock. Models whose records begin and end in the same hours have the
    same window, so it is computed once for all of them.
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
    """Start and end of a page that is not about one model. With a chosen model they are those of its window, else they span the windows of
    all models.

    If there is no model, they are the last days up to now. A span of everything ends no earlier than now.
    """
    spans = scope_window_spans(scope)
    if not spans:
        end = scope.end or page_clock()
        return scope.start or (EPOCH if scope.span == "all" else end - timedelta(days=record_days(scope))), end
    end = max(last for _, last in spans)
    return min(first for first, _ in spans), max(end, page_clock()) if scope.span == "all" else end


def midnight_after(instant: datetime) -> datetime:
    """The end of the instant's day (UTC); a midnight is returned as it is."""
    return instant + (datetime(1970, 1, 1, tzinfo=UTC) - instant) % timedelta(days=1)


def hour_after(instant: datetime) -> datetime:
    """The end of the instant's hour (UTC); a full hour is returned as it is."""
    return instant + (datetime(1970, 1, 1, tzinfo=UTC) - instant) % timedelta(hours=1)


def _last_hour(model: Model, window: Window) -> datetime:
    """The end of a window of hours: the given window's end, or the end of the newest record's hour if that record is older than 30 days."""
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
    """Event time of the newest prediction in the scope; None if there is none. It is exact if the prediction lies in the scope's window,
    else it is the start of its hour. Without a chosen model, the model with the newest hour is asked.
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
    """Event time of the newest prediction of a window; None if it has none."""
    found = store().search(asked, (), 1, "-at")["at"]
    return aware_utc(found.iloc[0].to_pydatetime()) if len(found) else None


def environments(model: str) -> list[Environment]:
    """The environments in which a model has predictions, production first."""
    seen = model_activity(model)
    named = set(seen.loc[seen["model"] == model, "environment"])
    return [each for each in SERVED if each in named]


def moved_window_note(scope: Scope, model: str) -> str | None:
    """A sentence where the window was moved because the model's records are old; else None."""
    from observability.monitoring import check_windows

    if scope.span == "live":
        return None
    dates: dict[str, Any] = {"start": scope.start, "end": scope.end, "as_of": None, "now": page_clock()}
    return check_windows.model_check_window(
        catalog().model(model), model_activity(model), **dates, environment=scope.environment or "production"
    )[1]


def findings_in_window(window: Window, *, wait: bool = False) -> list[Finding]:
    """Findings of every analyzer about a model in a window, worst first.

    Analyzers that read samples of raw rows run in the background; their findings are in the list once they are known. wait: compute them
    now, for the pages about them.
    """
    return findings_and_incidents(window, wait=wait)[0]


def findings_and_incidents(window: Window, *, wait: bool = False) -> tuple[list[Finding], tuple[Incident, ...]]:
    """Findings of a model in a window, each with its incident, and the incidents. Both are worst first, and both come from counts and from
    samples.
    """
    counted = counted_findings(window)
    sampled = store().shown_findings(background_findings.sampled_findings(owned_store(), window, page_clock(), wait=wait))
    acknowledged = acknowledged_claims() if window.environment == "production" else frozenset()
    found, formed = _findings_with_incidents(model_stamp(window.model), SameFindings((*counted, *sampled)), acknowledged)
    return list(found), formed


class SameFindings:
    """Findings as a cache key, compared by identity: kept findings are the same objects until their model changes."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        self.findings = findings
        self.claims = hash(tuple(finding.id for finding in findings))

    def __hash__(self) -> int:
        return self.claims

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SameFindings) and self.findings == other.findings


@lru_cache(maxsize=8)
def _findings_with_incidents(
    _stamp: Stamp, found: SameFindings, acknowledged: AcknowledgedClaims
) -> tuple[list[Finding], tuple[Incident, ...]]:
    """Findings of a model with their incidents, grouped once for all pages."""
    from observability.monitoring import check

    return check.findings_with_incidents(catalog(), list(found.findings), acknowledged)


@lru_cache(maxsize=2)
def _report_of_findings(_stamp: Stamp, found: SameFindings, acknowledged: AcknowledgedClaims) -> CheckReport:
    """The report of a scope's findings, grouped once for all its pages."""
    from observability.monitoring import check

    marked, formed = check.findings_with_incidents(catalog(), list(found.findings), acknowledged)
    return CheckReport(tuple(marked), formed)


@cached_by_state(4, computed=False)
def acknowledged_claims() -> AcknowledgedClaims:
    """The claims that a person has acknowledged or snoozed."""
    from observability.alerts import alert_log

    return alert_log.acknowledged_claims(store(), datetime.now(UTC))


def counted_findings(window: Window) -> tuple[Finding, ...]:
    """Findings from counts, worst first, kept until the model or the hour of the evaluation changes. Findings that need explanations or
    estimates are kept separately: their background computation makes only them out of date.

    Raises NotFoundError if the person who is signed in may not see the model.
    """
    from observability.monitoring import analyzer_runs, check_windows
    from observability.monitoring.kept_findings import Asked, asked_generation, evaluated_hour, kept_findings_of

    instant, models = page_clock(), catalog()
    at = evaluated_hour(
        check_windows.evaluation_time(models.model(window.model), model_activity(window.model), window, no_later_than_now(instant)), window
    )
    kept, found = kept_findings_of(owned_store(), len(owned_store().catalog().models)), list[Finding]()
    for reads in analyzer_runs.PARTS["counts"]:
        compute = partial(background_findings.window_findings, owned_store(), window, no_later_than_now(instant), reads)
        asked = Asked(window, reads, at)
        found += kept.find_or_compute(asked, asked_generation(displayed_state().models, asked), compute)
    return _findings_worst_first(SameFindings(tuple(store().shown_findings(found))))


@lru_cache(maxsize=8)
def _findings_worst_first(found: SameFindings) -> tuple[Finding, ...]:
    """The findings in their order, sorted once."""
    return tuple(worst_first(list(found.findings)))


def findings_pending(window: Window) -> bool:
    """Whether the analyzers that read samples have not analyzed a window yet."""
    return background_findings.sampled_findings_pending(owned_store(), window)


def watched_reports() -> "Mapping[str, CheckReport]":
    """The result of the watcher's last check of each live model, by name; empty if it does not run."""
    from observability.server import process_lock

    watching = process_lock.current_owner().watching
    return {} if watching is None else dict(watching.reports)


def check_times() -> dict[str, datetime]:
    """When the watcher last checked each live model, by name; empty if it does not run."""
    from observability.server import process_lock

    watching = process_lock.current_owner().watching
    return {} if watching is None else {name: judged.at for name, judged in dict(watching.judged).items()}


def acknowledged_report(
    model: Model, report: CheckReport, acknowledged: AcknowledgedClaims
) -> tuple[tuple[Finding, ...], tuple[Incident, ...]]:
    """Findings and incidents of a model's check, without those about records other than predictions. Acknowledged claims are marked."""
    from observability.monitoring import analyzer_runs, check

    about_records = analyzer_runs.record_analyzers()
    own = frozenset(claim for claim in acknowledged if claim[0] == model.name)
    known = [finding for finding in report.findings if finding.analyzer not in about_records]
    findings = store().shown_findings(known)
    if not own and findings == known:
        return tuple(findings), tuple(each for each in report.incidents if each.lead.analyzer not in about_records)
    marked, formed = check.findings_with_incidents(Catalog((model,)), findings, own)
    return tuple(marked), formed


def scope_report(scope: Scope) -> CheckReport:
    """Findings and incidents of the scope, worst first: about its model (else all models, each in its own window), and about records."""
    acknowledged = frozenset[Any]() if scope.environment else acknowledged_claims()
    found = [finding for model in scope_models(scope) for finding in findings_in_window(window(scope, model))]
    same = SameFindings((*found, *scope_record_findings(scope, beside=True)))
    return _report_of_findings(store_stamp(computed=False), same, acknowledged)


def incidents_of_findings(findings: Sequence[Finding], models: Sequence[Model]) -> tuple[Incident, ...]:
    """The incidents that findings form, worst first. models: the models of the findings."""
    from observability.monitoring import check

    return check.findings_with_incidents(Catalog(tuple(models)), list(findings), acknowledged_claims())[1]


def scope_record_findings(scope: Scope, *analyzers: str, beside: bool = False) -> list[Finding]:
    """Findings about training runs, datasets and other records of the scope's model, or of all, worst first, causes before effects.

    They are about the chosen dates, else about the last days with records. analyzers: the only analyzers to run, so that a page does not
    wait for others. beside: whether records that name no model are analyzed in the window of the scope's model.
    """
    from observability.monitoring import analyzer_runs

    if scope.slice or scope.version or scope.environment:
        return []
    own = window(scope, scope.model) if beside and scope.model else None
    dates = (scope.start, scope.end, record_days(scope), page_clock(), own)
    names = analyzers or sorted(analyzer_runs.record_analyzers())
    return causes_first(worst_first([each for name in names for each in _record_findings(name, scope.model, *dates)]))


def known_record_findings(scope: Scope, *analyzers: str) -> tuple[list[Finding] | None, bool]:
    """The findings of `scope_record_findings` (None if none are ready soon), and whether newer ones are being computed."""
    if not sign_in.current_person().sees_all:
        return scope_record_findings(scope, *analyzers), False
    state, compute = (owned_store().generation, page_clock()), partial(scope_record_findings, scope, *analyzers)
    found, pending = background_findings.record_findings_within(owned_store(), (scope, analyzers), state, compute)
    return None if found is None else list(store().shown_findings(found)), pending


def record_findings_pending(scope: Scope, *analyzers: str) -> bool:
    """Whether findings of these analyzers of records are being computed."""
    return background_findings.record_findings_pending(owned_store(), (scope, analyzers))


def fleet_record_findings(scope: Scope) -> list[Finding]:
    """The findings of `scope_record_findings` about all models, whichever model is chosen; so a choice does not change the dates of other
    models. If a version, slice or environment is chosen, the findings about the chosen model are left out.
    """
    part = scope.slice or scope.version or scope.environment
    return [each for each in scope_record_findings(scope.about(None)) if not part or each.model != scope.model]


@cached_by_state(512, copied=True, computed=False)
def _record_findings(
    name: str, model: str | None, start: datetime | None, end: datetime | None, days: float, instant: datetime, beside: Window | None
) -> list[Finding]:
    """The findings of one analyzer for `scope_record_findings`; kept with the watcher's for people who may see every model."""
    from observability.analyzers.training.runs import JUDGED
    from observability.metrics.labelled_window import LABELLED
    from observability.monitoring import check
    from observability.monitoring.kept_findings import keeper_of_records

    restricted = not sign_in.current_person().sees_all
    keep = None if restricted else keeper_of_records(owned_store(), displayed_state().models)
    dates: dict[str, Any] = {"start": start, "end": end, "days": days, "now": instant, "evaluated": no_later_than_now(instant)}
    shared = {JUDGED: judged_runs_of_window, LABELLED: labels_of_window}
    found = check.record_findings(store().whole_groups(), model, only=(name,), **dates, beside=beside, keep=keep, shared=shared)
    return list(store().shown_findings(found))


def window_of_records(scope: Scope, analyzer: "Analyzer", last: datetime | None = None) -> Window:
    """The window of an analyzer's records in the scope: the window of the command `check`, or the chosen number of days up to its end.

    last: the newest record that the page is about, if that is not the analyzer's newest record.
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


def new_findings(window: Window) -> list[Finding]:
    """Findings from counts that need action now and did not in the previous window of the same length."""
    before, now = ([finding for finding in found if finding.needs_action] for found in (findings_before(window), counted_findings(window)))
    known = {_claim_key(finding) for finding in before}
    return [finding for finding in now if _claim_key(finding) not in known]


def previous_window(window: Window) -> Window:
    """The window of the same length that ends where this one starts."""
    return window.past(window.days or 1)


def findings_before(window: Window) -> list[Finding]:
    """Findings from counts of the previous window of the same length; none if the model had no record by its end."""
    first, previous = first_record(model_activity(window.model), window.model, window.environment), previous_window(window)
    return list(counted_findings(previous)) if first is not None and first < previous.end else []


def same_claim_before(window: Window, finding: Finding) -> Finding | None:
    """The finding of the previous window of the same length about the same claim; None if it had none."""
    return next((each for each in findings_before(window) if _claim_key(each) == _claim_key(finding)), None)


def _claim_key(finding: Finding) -> tuple[str | None, ...]:
    """The subject of a finding, whatever the window and the version."""
    return finding.analyzer, finding.model, finding.subject, finding.metric, finding.slice


def ask_store(question: Aggregate | Sample | EstimatedErrors | Records | Attributions, window: Window) -> "DataFrame":
    """The answer of the store to a question."""
    if isinstance(question, Aggregate):
        return _aggregate(question, window)
    if isinstance(question, Records):
        return _records(question, window)
    return _rows(question, window) if isinstance(question, Sample) else _computed_values(question, window)


def read_records(question: Records, window: Window) -> "DataFrame":
    """The answer of the store to a question about records, without caching: for functions that cache their own result of many rows."""
    return store().ask(question, window)


@cached_by_state(512, copied=True, by_model=lambda question, window: window.model, computed=False)
def _aggregate(question: Aggregate, window: Window) -> "DataFrame":
    """Counts and sums."""
    return store().ask(question, window)


@cached_by_state(64, copied=True, computed=False)
def _records(question: Records, window: Window) -> "DataFrame":
    """Records of other kinds: training runs, prices and the rest."""
    return store().ask(question, window)


@cached_by_state(32, copied=True, by_model=lambda question, window: window.model)
def _computed_values(question: Attributions | EstimatedErrors, window: Window) -> "DataFrame":
    """Stored attributions, or estimated errors of rows without labels."""
    return store().ask(question, window)


@cached_by_state(16, copied=True, by_model=lambda question, window: window.model, computed=False)
def _rows(question: Sample, window: Window) -> "DataFrame":
    """A bounded sample of rows."""
    return store().ask(question, window)


@cached_by_state(64, by_model=lambda window: window.model, computed=False)
def late_answers_in(window: Window) -> "LateAnswers | None":
    """The late answers of devices in a window by day; None if no answer of a small sample says when it was sent."""
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
    """The state of a version's explanations: method, background, the last failure; None if nobody tried to explain it."""
    return store().explanation_state(model, version)


@cached_by_state(64, copied=True, computed=False)
def model_events(model: str | None, start: datetime, end: datetime) -> "DataFrame":
    """Deploys and other events: at (naive UTC), model, what, text."""
    return store().events(model, start, end)


@cached_by_state(2, copied=True, ttl=5)
def store_summary() -> dict[str, Any]:
    """The store itself: sizes, backlog, rejected counts, versions; cached for five seconds, since landing files arrive without a commit."""
    from observability.server import health

    return health.store_status(store())


def answer_query(query: str) -> "LimitedAnswer":
    """The first rows of a person's SQL query over the views, from the confined process; not cached.

    Raises UsageError if the query is wrong or needs more than its limits, ForbiddenError if the person may not query.
    """
    from observability.worker.limited_query import answer_in_worker, query_worker

    return answer_in_worker(query_worker(), store(), query)


def live_sample_note(model: str | None) -> str | None:
    """A note that times of the sample were moved to today; None if it is not live, or the chosen model is not part of it."""
    from observability.cli.live_sample import read_live_sample, sample_note

    try:
        state = read_live_sample(home())
    except ObservabilityError as error:
        return str(error)
    own = model is not None and any(each.name == model and not each.sample for each in catalog().models)
    return None if state is None or own else sample_note(state, model, page_clock())


def store_problems() -> list[str]:
    """Problems of the loader and the store, as sentences; not cached, because it is one small query."""
    from observability.server import health

    return health.all_problems(store())


@cached_by_state(8, copied=True)
def rejected_lines_frame(limit: int, model: str | None = None) -> "DataFrame":
    """The newest rejected lines."""
    return store().rejected_lines(limit, model)
