"""Run the analyzers over a model's window and collect their findings and incidents.

A check chooses the windows, requests the frames that each analyzer needs from an engine, runs the analyzers and groups their findings. This
module knows no metric.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from observability.analyzers import discover
from observability.core.analyzer import EVERY_MODEL, NO_VERSION, Analyzer, Context
from observability.core.catalog import Catalog, Model, Version, natural_order
from observability.core.errors import NotFoundError
from observability.core.finding import SEVERITIES, Finding, acknowledged_finding, needs_action
from observability.core.formatting import format_day, plural
from observability.core.questions import Aggregate, By
from observability.core.window import Environment, Slice, Window
from observability.incidents.grouping import Incident, group_findings
from observability.metrics.cost import call_spending
from observability.metrics.energy import consumption_question, served_question
from observability.metrics.prices import NO_CURRENCY, PRICES, PriceScope
from observability.metrics.token_prices import (
    CallFrames,
    DailyCallCosts,
    call_sample,
    cost_columns,
    currency_question,
    logged_currencies,
    logs_tokens,
)
from observability.monitoring.analyzer_runs import (
    EXPORTS,
    PARTS,
    KnownAnswers,
    Reads,
    RunAnalyzer,
    analyzer_reads,
    run_analyzer,
    run_and_recover,
)
from observability.monitoring.began_with_serving import began_with_serving
from observability.monitoring.check_windows import (
    DEFAULT_DAYS,
    evaluation_time,
    model_check_window,
    question_window,
    record_check_window,
    records_name_a_model,
)
from observability.monitoring.finding_events import EVENT_DAYS, dated_finding, with_nearest_event
from observability.monitoring.late_labels import newest_labelled_window, with_analyzed_dates
from observability.stats.multiple_testing import fdr_per_look

if TYPE_CHECKING:
    from observability.store.engine import BoundQuestion, Engine

LOG = logging.getLogger(__name__)
AcknowledgedClaims = frozenset[tuple[str | None, str]]
"""(model, claim) of the leading findings of those incidents on which a person has acted; see `Finding.claim`."""
KeepFindings = Callable[[Analyzer, Window, Callable[[], list[Finding]]], Iterable[Finding]]
"""A function that returns the findings of an analyzer in a window: stored findings, or else the result of the given function."""
KeepModelFindings = Callable[[Window, Reads, datetime, Callable[[], list[Finding]]], Iterable[Finding]]
"""A function that does the same for all analyzers of one kind (`Reads`) in a model's window, evaluated at a given time."""
WEEKLY_FALSE_DISCOVERIES = 0.1
RUNS_A_WEEK = 7
"""A model has a weekly budget of false discoveries. It is divided equally among the daily checks, the model's versions and the
analyzers.
"""


@dataclass(frozen=True)
class CheckReport:
    """The result of a check: incidents, most urgent first, and the findings in the same order; the window of each model; and a note for
    each window that was chosen automatically.
    """

    findings: tuple[Finding, ...] = ()
    incidents: tuple[Incident, ...] = ()
    windows: dict[str, Window] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def findings_by_severity(self) -> list[Finding]:
        """The findings in the order of the contract: worst severity first; among equals, those of the most urgent incident first."""
        return sorted(self.findings, key=lambda finding: SEVERITIES.index(finding.severity))

    def worst(self, model: str) -> Finding | None:
        """The first finding of a model whose severity is `act` or `watch`; None if there is none."""
        return next((each for each in self.findings if each.model == model and needs_action(each.severity)), None)


def check(
    engine: "Engine",
    *,
    model: str | None = None,
    version: str | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    as_of: datetime | None = None,
    slice: Slice | None = None,  # noqa: A002 - the contract's word
    environment: Environment = "production",
    now: datetime | None = None,
    only: tuple[str, ...] = (),
    with_records: bool = True,
    reads: Reads = "all",
    acknowledged: AcknowledgedClaims = frozenset(),
    progress: Callable[[str, int, int, str], object] | None = None,
    keep: tuple[KeepModelFindings, KeepFindings] | None = None,
) -> CheckReport:
    """Run all analyzers (or only those named in `only`) over a window whose end is excluded, for one model or for all.

    Without start and end, each model gets its last 7 days. They end now if its newest record is younger than 30 days, otherwise at the end
    (UTC midnight) of the day of its last record. With as_of, only records that had arrived by then count. with_records: analyze training
    runs, datasets and labelling projects as well (not for a slice or a single version). reads: run only analyzers that read this kind of
    data (`analyzer_reads`); "counts" means every analyzer that reads no rows. acknowledged: claims on which a person has acted. progress:
    called before each model with a text that names it, the number of models done, the number of all models, and "models". keep: called for
    the findings of each model and of each analyzer of records, unless `only` restricts the analyzers.

    Raises NotFoundError for an unknown model, version or slice column, and UsageError if the window ends before it starts. In a check of
    all models, models without the column are left out instead, and a note says so.
    """
    now = (now or datetime.now(UTC)).astimezone(UTC)
    shown, engine = engine, engine.whole_groups()
    catalog = engine.catalog()
    models = [catalog.model(model)] if model else list(catalog.fleet)
    activity = engine.activity(as_of, model)
    findings: list[Finding] = []
    windows: dict[str, Window] = {}
    notes: list[str] = []
    for place, each in enumerate(models):
        if progress is not None:
            progress(f"checking {each.name}", place, len(models), "models")
        if version is not None and each.version(version) is None:
            known = ", ".join(one.name for one in each.versions)
            raise NotFoundError(f"version {version!r} of {each.name} is not in the store", attempt=f"There is {known}")
        if slice and (missing := _missing_slice_column(each, slice)):
            if model:
                raise missing
            notes.append(f"{each.name} is left out: {missing.what}.")
            continue
        window, note = model_check_window(each, activity, start=start, end=end, as_of=as_of, now=now, environment=environment)
        window = replace(window, version=version, slice=slice)
        shown.require_shown_slice(window)
        windows[each.name] = window
        notes += [note] if note else []
        if each.rows_from is not None and window.start < each.rows_from:
            told = "come from the lake" if engine.lake_holds(each.name) else "are not kept, so analyses of single rows begin there"
            if unread := [day for day in engine.unread_days(each.name) if day != "all"]:
                told += f", which cannot be read for {plural(len(unread), 'day')}: {', '.join(unread[:3])}"
            notes.append(f"Rows of {each.name} before {format_day(each.rows_from)} {told}.")
        until, at = min(filter(None, (now, window.as_of, window.end))), evaluation_time(each, activity, window, now)
        compute = partial(model_findings, engine, each, window, at, only, reads, until=until)
        findings += keep[0](window, reads, at, compute) if keep and not only else compute()
    if with_records and slice is None and version is None:
        if progress is not None:
            progress("checking other records", len(models), len(models), "models")
        dates: dict[str, Any] = {"start": start, "end": end, "as_of": as_of, "now": now, "beside": windows.get(model or "")}
        findings += record_findings(engine, model, only=only, keep=keep[1] if keep and not only else None, **dates)
    settled, incidents = findings_with_incidents(catalog, shown.shown_findings(unique_findings(findings)), acknowledged)
    return CheckReport(tuple(settled), incidents, windows, tuple(notes))


def findings_with_incidents(
    catalog: Catalog, findings: list[Finding], acknowledged: AcknowledgedClaims = frozenset()
) -> tuple[list[Finding], tuple[Incident, ...]]:
    """The findings, each marked with its incident, and the incidents, most urgent first.

    acknowledged: an incident whose leading finding is among these claims is only watched. Its critical findings stay critical, but no
    longer need action.
    """
    known_models = catalog.by_name
    importance = {name: known_models[name].settings.importance for name in {each.model for each in findings} if name in known_models}
    marked, incidents = group_findings(findings, importance)
    known = {incident.id for incident in incidents if (incident.model, incident.lead.claim) in acknowledged}
    if not known:
        return marked, incidents
    return group_findings([acknowledged_finding(each) if each.incident in known else each for each in marked], importance)


def record_findings(
    engine: "Engine",
    model: str | None,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    as_of: datetime | None = None,
    now: datetime,
    only: tuple[str, ...] = (),
    days: float = DEFAULT_DAYS,
    beside: Window | None = None,
    evaluated: datetime | None = None,
    keep: KeepFindings | None = None,
    shared: Mapping[str, Callable[[Window], Any]] | None = None,
    tried: Model | None = None,
) -> list[Finding]:
    """Findings of the analyzers of records (training runs, datasets, labelling projects), for one model. Without `model`: for all models
    and for records that name no model.

    Without start and end, each analyzer gets the last `days`. They end now if the newest record of its kinds is younger than 30 days,
    otherwise at the end of that record's day. beside: the window of one model. Records that name no model (batches, cleanings) are analyzed
    in this window too, because older ones say nothing about that model. evaluated: the time at which silence is evaluated, if before `now`.
    keep: called for each analyzer whose window has ended by `now`. shared: data that analyzers and pages share (judged training runs,
    labels by project); for each name of a counter, a function that returns them for a window. tried: a model with other settings, which
    replaces the one in the catalog.
    """
    findings: list[Finding] = []
    limit = min(as_of, now) if as_of else now
    latest = min(limit, evaluated) if evaluated else limit
    with engine.snapshot():
        for analyzer in discover():
            if analyzer.about != "records" or (only and analyzer.name not in only):
                continue
            window = record_check_window(engine, analyzer, None if analyzer.name == EXPORTS else model, start, end, as_of, limit, days)
            if beside is not None and not records_name_a_model(analyzer, window):
                window = replace(window, start=beside.start, end=beside.end)
            budget = WEEKLY_FALSE_DISCOVERIES / RUNS_A_WEEK
            counters: dict[str, Any] = {
                "model_projects": model_projects(engine.catalog()),
                "budgets": model_budgets(engine.catalog()),
                "call_costs": partial(production_costs, engine, window),
                "models": {each.name: each for each in (*engine.catalog().models, *filter(None, (tried,)))},
            }
            if shared is not None and as_of is None:
                counters |= {name: partial(read, window) for name, read in shared.items()}
            if analyzer.name == EXPORTS:
                counters["canary_sightings"] = engine.canary_sightings(window).to_dict("records")
            context = Context(EVERY_MODEL, NO_VERSION, window, min(latest, window.end), budget, counters)
            compute = partial(_findings_about_records, engine, analyzer, context)
            found = keep(analyzer, window, compute) if keep and window.end <= limit else compute()
            findings += [each for each in found if analyzer.name != EXPORTS or model in (None, each.model)]
    return findings


def _findings_about_records(engine: "Engine", analyzer: Analyzer, context: Context) -> list[Finding]:
    """Findings of one analyzer of records, each with the event that came before it."""
    found, window = [dated_finding(each) for each in run_and_recover(engine, analyzer, context)], context.window
    if not any(needs_action(each.severity) for each in found):
        return found
    marks = engine.events(window.model or None, window.start - timedelta(days=EVENT_DAYS), window.end, window.as_of)
    return [with_nearest_event(each, marks) for each in found]


def model_projects(catalog: Catalog) -> frozenset[str]:
    """The labelling projects of models. data/labels analyzes the agreement in these projects, data/labelling in all others."""
    return frozenset(name for model in catalog.models for name in model.settings.projects or (model.name,))


def model_budgets(catalog: Catalog) -> dict[str, tuple[float, str | None]]:
    """For each model with a monthly budget: the budget and its currency."""
    settings = {model.name: model.settings for model in catalog.models}
    return {
        name: (each.budget_per_month, each.budget_currency or each.cost_currency)
        for name, each in settings.items()
        if each.budget_per_month is not None
    }


def production_costs(engine: "Engine", window: Window, model: str, past_days: int) -> DailyCallCosts:
    """The cost of a model's production calls on each day of a period before the end of a window, computed like that of the page Cost. Empty
    if the model is unknown, or if the cost follows neither from the calls nor from a price of requests or tokens.
    """
    known = engine.catalog().by_name.get(model)
    if known is None:
        return DailyCallCosts({})
    asked = Window(model, window.end - timedelta(days=past_days), window.end, as_of=window.as_of)
    questions = (served_question(), consumption_question(*cost_columns(known)), PRICES)
    served, use, prices = (engine.ask(question, asked) for question in questions)
    sample = engine.ask(call_sample(known), asked) if logs_tokens(known) else None
    calls = CallFrames(engine.ask(currency_question(), asked), sample)
    part = call_spending(served, use, prices, PriceScope(known.name, known.settings), calls, added=True)
    if part.rows.empty:
        return DailyCallCosts({})
    days, amounts = part.rows["at"].to_numpy("datetime64[D]").astype(int).tolist(), part.rows["amount"].tolist()
    priced = {str(currency) for currency in part.rows["currency"]} - {NO_CURRENCY}
    if part.method in ("cost", "calls"):
        stated = logged_currencies(calls.costs, known.settings)
        priced = {*stated, *(priced if part.method == "calls" else ())} if stated else priced
    by_day: dict[int, float] = {}
    for day, amount in zip(days, amounts, strict=True):
        by_day[day] = by_day.get(day, 0.0) + amount
    return DailyCallCosts(by_day, tuple(sorted(priced)))


def _missing_slice_column(model: Model, slice: Slice) -> NotFoundError | None:  # noqa: A002 - the contract's word
    """The error to raise if a slice names a column that the model lacks; None if the model has all columns."""
    try:
        for name, _ in slice.conditions:
            model.resolve(name)
    except NotFoundError as error:
        return error
    return None


def model_findings(
    engine: "Engine",
    model: Model,
    window: Window,
    now: datetime,
    only: tuple[str, ...] = (),
    reads: Reads = "all",
    run: RunAnalyzer = run_analyzer,
    until: datetime | None = None,
) -> list[Finding]:
    """The findings of every analyzer about each version that served in the window; if none served, about the newest version. All data are
    read from one snapshot.

    If the window's labels are not complete, analyzers that need labels also run over the newest days with complete labels (late_labels.py).
    From that second run, findings that need action are added. run: runs each analyzer; the simulation passes a function that caches
    findings. until: see Context.
    """
    with engine.snapshot():
        waiting = tuple(each.name for each in discover() if each.labels and (not only or each.name in only))
        late = _late_window(engine, window) if waiting and model.task else None
        passes = [_planned_analyses(engine, model, window, now, only, reads, until)]
        passes += [_planned_analyses(engine, model, late, now, waiting, reads)] if late is not None else []
        known = _shared_answers(engine, [each for asked in passes for each in asked])
        found, *again = [_window_findings(engine, model, asked, known, run) for asked in passes]
        return found + [with_analyzed_dates(each) for several in again for each in several if needs_action(each.severity)]


def _late_window(engine: "Engine", window: Window) -> Window | None:
    """The newest days with complete labels. None if they cannot be read; the analyzers of labels then report the error."""
    try:
        return newest_labelled_window(engine.ask, window)
    except Exception:
        LOG.exception("the labels of %s cannot be read", window.model)
        return None


def _planned_analyses(
    engine: "Engine",
    model: Model,
    window: Window,
    now: datetime,
    only: tuple[str, ...],
    reads: Reads,
    until: datetime | None = None,
) -> list[tuple[Analyzer, Context]]:
    """The analyzers and contexts to run in a window; see `model_findings`."""
    versions = serving_versions(engine, model, window)
    counters = engine.counters(model.name, window)
    contexts = [
        Context(
            model=model,
            version=version,
            window=replace(window, version=version.name),
            now=now,
            budget=fdr_per_look(
                WEEKLY_FALSE_DISCOVERIES, RUNS_A_WEEK, len(versions), max(sum(each.about == "model" for each in discover()), 1)
            ),
            counters=counters,
            until=until,
        )
        for version in versions
    ]
    return [
        (analyzer, context)
        for context in contexts
        for analyzer in discover()
        if analyzer.about == "model"
        and (not only or analyzer.name in only)
        and analyzer_reads(analyzer, context) in PARTS.get(reads, (reads,))
    ]


def _window_findings(
    engine: "Engine", model: Model, asked: list[tuple[Analyzer, Context]], known: KnownAnswers, run: RunAnalyzer
) -> list[Finding]:
    """Findings of some analyzers in one window, each with the event that preceded it."""
    found = [dated_finding(each) for analyzer, context in asked for each in run_and_recover(engine, analyzer, context, known, run)]
    if not any(needs_action(each.severity) for each in found):
        return found
    window = asked[0][1].window
    found = began_with_serving(engine, found, window)
    marks = engine.events(model.name, window.start - timedelta(days=EVENT_DAYS), window.end, window.as_of)
    return [with_nearest_event(each, marks) for each in found]


def _shared_answers(engine: "Engine", asked: list[tuple[Analyzer, Context]]) -> KnownAnswers:
    """Results of the queries that the engine can answer together for several analyzers (`Engine.ask_many`); all other queries are asked one
    by one.
    """
    questions: list[BoundQuestion] = []
    for analyzer, context in asked:
        with suppress(Exception):  # the query fails again when the analyzer runs, and is reported there
            questions += [(wanted.aggregate, question_window(wanted, context)) for wanted in analyzer.needs(context).values()]
    try:
        return {each: (frame, []) for each, frame in engine.ask_many(questions).items()}
    except Exception:
        LOG.exception("answers for several analyzers failed; each asks its own")
        return {}


def serving_versions(engine: "Engine", model: Model, window: Window) -> list[Version]:
    """The versions with predictions in the window. If there are none: the newest registered version, else the last version in the log. A
    window of one version gives that version. If the predictions cannot be read: all versions, because their analyzers then report the
    error.
    """
    if window.version is not None:
        wanted = model.version(window.version)
        return [wanted] if wanted else []
    if len(model.versions) == 1:
        return list(model.versions)
    try:
        served = engine.ask(Aggregate("predictions", keys=(By("version"),)), replace(window, slice=None))
    except Exception:
        LOG.exception("the predictions of %s cannot be read", model.name)
        return list(model.versions)
    found = [each for each in model.versions if each.name in set(served["version"])]
    if found or not model.versions:
        return found
    registered = [each for each in model.versions if each.registered_at]
    if registered:
        return [max(registered, key=lambda each: each.registered_at or datetime.min.replace(tzinfo=UTC))]
    seen = engine.activity(window.as_of, model.name).dropna(subset="last").groupby("version")[["last", "first"]].max()
    times = {name: tuple(row) for name, row in zip(seen.index, seen.to_numpy(), strict=True)}
    return [max(model.versions, key=lambda each: (each.name in times, times.get(each.name), natural_order(each.name)))]


def unique_findings(findings: list[Finding]) -> list[Finding]:
    """One finding per id. Findings about the whole model are made for each of its versions, so they occur several times."""
    return list({each.id: each for each in findings}.values())
