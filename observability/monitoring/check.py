"""Run the analyzers over a model's window and collect their findings and incidents.

A check chooses the windows, asks an engine for the frames that each analyzer needs, runs the analyzers and groups their findings. No metric
is known here.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Literal

from observability.analyzers import discover
from observability.core.analyzer import EVERY_MODEL, NO_VERSION, Analyzer, Ask, Context
from observability.core.catalog import Catalog, Model, Version, natural_order
from observability.core.errors import NotFoundError, ObservabilityError, UsageError
from observability.core.finding import FAILED, Finding, acknowledged_finding, iso, needs_action, news_of
from observability.core.formatting import format_day
from observability.core.numerals import with_minus_signs
from observability.core.questions import Aggregate, Attributions, By, EstimatedErrors, Question, Records, Sample, record_kind
from observability.core.time import aware_utc, naive_utc
from observability.core.window import EPOCH, Environment, Slice, Window
from observability.incidents.grouping import Incident, group_findings
from observability.monitoring.late_labels import labelled_window, with_analyzed_dates
from observability.monitoring.short_claims import with_short_claim
from observability.records.kinds import KINDS
from observability.stats.multiple_testing import fdr_per_look

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.analyzers.training.runs import JudgedRuns
    from observability.store.engine import BoundQuestion, Engine

LOG = logging.getLogger(__name__)
KnownAnswers = dict[tuple[Question, Window], tuple["DataFrame", list[tuple[str, Exception]]]]
"""Answers by question and window, with the columns that failed."""
AcknowledgedClaims = frozenset[tuple[str | None, str]]
"""Model and claim (`Finding.claim`) of the leads of incidents that a person has acted on."""
RunAnalyzer = Callable[[Analyzer, Mapping[str, "DataFrame"], Context], list[Finding]]
"""Runs an analyzer on its frames."""
KeepFindings = Callable[[Analyzer, Window, Callable[[], list[Finding]]], Iterable[Finding]]
"""Gives the findings of an analyzer in a window: those that are kept, or those that the function computes."""
Reads = Literal["all", "counts", "aggregates", "computed", "rows", "records"]
PARTS: dict[Reads, tuple[Reads, ...]] = {"all": ("aggregates", "computed", "rows"), "counts": ("aggregates", "computed")}
"""Groups of analyzers by what they read; see `analyzer_reads`. "records": those about records of other kinds than predictions."""
DEFAULT_DAYS = 7
LIVE_DAYS = 30
WEEKLY_FALSE_DISCOVERIES = 0.1
RUNS_A_WEEK = 7
"""The weekly budget of false discoveries of a model is split evenly over daily checks, the model's versions and the analyzers."""
EXPORTS = "trust/exports"
"""The analyzer that is given the predictions which hold a canary: the canaries are records, so no question can name them ahead. Exports of
one model are judged by records of others and of none (levels and budgets of recipients, canaries), so all are read, whichever is asked for.
"""
EVENT_DAYS, NOTE_DAYS = 14, 1
"""An event is attached to a finding when it happened at most so many days before: a change (14), or a note (1)."""
CHANGE_EVENTS = ("deploy", "data", "threshold", "guideline", "incident")
"""Events that change what a model reads or does."""


@dataclass(frozen=True)
class CheckReport:
    """The result of a check: findings and incidents, both worst first, the window of each model, and one note for each window that was
    chosen.
    """

    findings: tuple[Finding, ...] = ()
    incidents: tuple[Incident, ...] = ()
    windows: dict[str, Window] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def worst(self, model: str) -> Finding | None:
        """The first finding of a model whose severity is act or watch; None where there is none."""
        return next((each for each in self.findings if each.model == model and needs_action(each.severity)), None)


def run_analyzer(analyzer: Analyzer, frames: Mapping[str, "DataFrame"], context: Context) -> list[Finding]:
    """Findings of an analyzer about its frames."""
    return analyzer.analyze(frames, context)


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
) -> CheckReport:
    """Run every analyzer (or `only` those named) over the half-open window, for one model or for all.

    Without start and end, each model gets its last 7 days: ending now where its newest record is younger than 30 days, else at the end (UTC
    midnight) of its last record's day. With as_of, only what had arrived by then counts. with_records: analyze training runs, datasets and
    labelling projects as well (not in a slice or of one version). reads: only analyzers that read this (`analyzer_reads`); "counts" are
    all but those of rows. acknowledged: claims that a person has acted on. progress: told before each model what is checked, how many
    models are done, how many there are, and "models".

    Raises NotFoundError for an unknown model, version or column of the slice (of all models, those without the column are left out, and a
    note says so), and UsageError where the window ends before it starts.
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
            notes.append(f"Rows of {each.name} before {format_day(each.rows_from)} are not kept: what needs single rows begins there.")
        until = min(filter(None, (now, window.as_of, window.end)))
        findings += model_findings(engine, each, window, evaluation_time(each, activity, window, now), only, reads, until=until)
    if with_records and slice is None and version is None:
        if progress is not None:
            progress("checking other records", len(models), len(models), "models")
        findings += record_findings(engine, model, start=start, end=end, as_of=as_of, now=now, only=only, beside=windows.get(model or ""))
    settled, incidents = findings_with_incidents(catalog, shown.shown_findings(unique_findings(findings)), acknowledged)
    return CheckReport(tuple(settled), incidents, windows, tuple(notes))


def findings_with_incidents(
    catalog: Catalog, findings: list[Finding], acknowledged: AcknowledgedClaims = frozenset()
) -> tuple[list[Finding], tuple[Incident, ...]]:
    """Findings, each marked with the incident that it belongs to, and the incidents; both worst first.

    acknowledged: an incident whose lead is among these claims is watched: its critical findings stay critical and ask for nothing more.
    """
    importance = {each.name: each.settings.importance for each in catalog.models}
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
    runs: Callable[[Window], "JudgedRuns"] | None = None,
) -> list[Finding]:
    """Findings of the analyzers of records (training runs, datasets, labelling projects): of one model, or of all and of none.

    Without start and end each analyzer gets the last `days`, ending now where the newest record of its kinds is younger than 30 days, else
    at the end of that record's day. beside: the window of one model. Records that name no model (batches, cleanings) are analyzed in it
    too, because older ones say nothing about that model. evaluated: the instant as of which silence is judged, where that is before `now`.
    keep: used for each analyzer whose window has ended by `now`. runs: gives all training runs of a window's model by their records up to
    its end, where they are kept.
    """
    findings: list[Finding] = []
    limit = min(as_of, now) if as_of else now
    latest = min(limit, evaluated) if evaluated else limit
    with engine.snapshot():
        for analyzer in discover():
            if analyzer.about != "records" or (only and analyzer.name not in only):
                continue
            window = record_check_window(engine, analyzer, None if analyzer.name == EXPORTS else model, start, end, as_of, limit, days)
            if beside is not None and not _records_name_a_model(analyzer, window):
                window = replace(window, start=beside.start, end=beside.end)
            budget = WEEKLY_FALSE_DISCOVERIES / RUNS_A_WEEK
            counters: dict[str, Any] = {
                "model_projects": model_projects(engine.catalog()),
                "budgets": model_budgets(engine.catalog()),
                "models": {each.name: each for each in engine.catalog().models},
            }
            if runs is not None and as_of is None:
                counters["judged_runs"] = partial(runs, window)
            if analyzer.name == EXPORTS:
                counters["canary_sightings"] = engine.canary_sightings(window).to_dict("records")
            context = Context(EVERY_MODEL, NO_VERSION, window, min(latest, window.end), budget, counters)
            compute = partial(_findings_about_records, engine, analyzer, context)
            found = keep(analyzer, window, compute) if keep and window.end <= limit else compute()
            findings += [each for each in found if analyzer.name != EXPORTS or model in (None, each.model)]
    return findings


def _findings_about_records(engine: "Engine", analyzer: Analyzer, context: Context) -> list[Finding]:
    """Findings of one analyzer of records, each with the event that came before it."""
    found, window = [_dated(each) for each in run_and_recover(engine, analyzer, context)], context.window
    if not any(needs_action(each.severity) for each in found):
        return found
    marks = engine.events(window.model or None, window.start - timedelta(days=EVENT_DAYS), window.end)
    return [_with_event(each, marks) for each in found]


def model_projects(catalog: Catalog) -> frozenset[str]:
    """The labelling projects of models: data/labels analyzes their agreement, data/labelling that of all others."""
    return frozenset(name for model in catalog.models for name in model.settings.projects or (model.name,))


def model_budgets(catalog: Catalog) -> dict[str, tuple[float, str | None]]:
    """Monthly budget and its currency of each model that has one."""
    settings = {model.name: model.settings for model in catalog.models}
    return {
        name: (each.budget_per_month, each.budget_currency or each.cost_currency)
        for name, each in settings.items()
        if each.budget_per_month is not None
    }


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
    """The end of a window of records: `limit`, or the end of the day of the newest record where that is older than 30 days."""
    if last is None or limit - last < timedelta(days=LIVE_DAYS):
        return limit
    return min(limit, last.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1))


def _record_kinds(analyzer: Analyzer, window: Window) -> set[str]:
    """The kinds of records that date an analyzer's window.

    Prices only tell what others cost; datasets and decisions count whatever their age where other kinds are read beside them.
    """
    asked = analyzer.needs(Context(EVERY_MODEL, NO_VERSION, window, window.end)).values()
    kinds = {each.aggregate.kind for each in asked if isinstance(each.aggregate, Records)} - {"price"}
    return kinds - {"dataset", "decision"} or kinds


@cache
def reads_served_rows(name: str) -> bool:
    """Whether an analyzer of records reads predictions or labels, or what is counted of them, beside records of other kinds."""
    (analyzer,) = [each for each in discover() if each.name == name]
    asked = analyzer.needs(Context(EVERY_MODEL, NO_VERSION, Window("", EPOCH, EPOCH), EPOCH)).values()
    records = [each.aggregate for each in asked if isinstance(each.aggregate, Records)]
    served = any(record_kind(each.kind) in ("prediction", "label") for each in records)
    return name == EXPORTS or served or len(records) < len(asked)


def _records_name_a_model(analyzer: Analyzer, window: Window) -> bool:
    """Whether the records that an analyzer asks for name their model, directly or through their run or project."""
    return any({"model", "run", "project"} & set(KINDS[record_kind(kind)].fields) for kind in _record_kinds(analyzer, window))


def _missing_slice_column(model: Model, slice: Slice) -> NotFoundError | None:  # noqa: A002 - the contract's word
    """The error for a slice that names a column which the model does not have; None where it has them all."""
    try:
        for name, _ in slice.conditions:
            model.resolve(name)
    except NotFoundError as error:
        return error
    return None


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
    """The window of a model in an environment, and a note where it was not the requested one."""
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
    """The instant as of which a window is evaluated: its end, now, or its as_of, whichever is first.

    In the last window of a model whose newest record is older than 30 days, it is the hour in which that record arrived: silence after a
    model's end is not a finding, and a default window ends with that day.
    """
    limit = min(filter(None, (now, window.as_of)))
    at = min(limit, window.end)
    last = newest_prediction(model, activity, window.environment)
    if last is None or limit - last < timedelta(days=LIVE_DAYS) or not timedelta(0) <= at - last <= timedelta(days=1):
        return at
    return min(at, last.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1))


def newest_prediction(model: Model, activity: "DataFrame", environment: Environment = "production") -> datetime | None:
    """Event time of the newest prediction of a model in an environment; None where there is none."""
    rows = activity[(activity["model"] == model.name) & (activity["environment"] == environment)]
    return None if rows.empty else aware_utc(rows["last"].max().to_pydatetime())


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
    """Findings of every analyzer about each version that served in the window (the newest version where none did), from one snapshot.

    Where the window's labels are not complete, analyzers that need labels also run over the newest days whose labels are (late_labels.py);
    their findings that need action are added. run: runs each analyzer; the simulation passes one that caches findings. until: see Context.
    """
    with engine.snapshot():
        waiting = tuple(each.name for each in discover() if each.labels and (not only or each.name in only))
        late = labelled_window(engine.ask, window) if waiting and model.task else None
        passes = [_planned_analyses(engine, model, window, now, only, reads, until)]
        passes += [_planned_analyses(engine, model, late, now, waiting, reads)] if late is not None else []
        known = _shared_answers(engine, [each for asked in passes for each in asked])
        found, *again = [_window_findings(engine, model, asked, known, run) for asked in passes]
        return found + [with_analyzed_dates(each) for several in again for each in several if needs_action(each.severity)]


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
    """Findings of analyzers in one window, each with the event that came before it."""
    found = [_dated(each) for analyzer, context in asked for each in run_and_recover(engine, analyzer, context, known, run)]
    if not any(needs_action(each.severity) for each in found):
        return found
    window = asked[0][1].window
    span = window.start - timedelta(days=EVENT_DAYS), window.end
    marks = engine.events(model.name, *span)
    return [_with_event(each, marks) for each in found]


def _shared_answers(engine: "Engine", asked: list[tuple[Analyzer, Context]]) -> KnownAnswers:
    """Answers that the engine gives together for several analyzers (`Engine.ask_many`); the other questions are asked one by one."""
    questions: list[BoundQuestion] = []
    for analyzer, context in asked:
        with suppress(Exception):  # it fails again when it is run, and is reported there
            questions += [(wanted.aggregate, question_window(wanted, context)) for wanted in analyzer.needs(context).values()]
    return {each: (frame, []) for each, frame in engine.ask_many(questions).items()}


def record_analyzers() -> frozenset[str]:
    """The names of the analyzers about training runs, datasets and labelling projects."""
    return frozenset(analyzer.name for analyzer in discover() if analyzer.about == "records")


def analyzer_reads(analyzer: Analyzer, context: Context) -> Reads:
    """What an analyzer reads: "rows" where it asks for a sample of raw rows, "computed" where it asks for explanations or estimated
    errors, which are computed in the background after the rows have arrived, else "aggregates".
    """
    try:
        asked = [each.aggregate for each in analyzer.needs(context).values()]
    except Exception:  # it fails again when it is run, and is reported there
        return "aggregates"
    if any(isinstance(question, Sample) for question in asked):
        return "rows"
    return "computed" if any(isinstance(question, Attributions | EstimatedErrors) for question in asked) else "aggregates"


def serving_versions(engine: "Engine", model: Model, window: Window) -> list[Version]:
    """Versions with predictions in the window; where there are none, the newest registered version, else the one that the log saw last. Of
    a window of one version, that one.
    """
    if window.version is not None:
        wanted = model.version(window.version)
        return [wanted] if wanted else []
    if len(model.versions) == 1:
        return list(model.versions)
    served = engine.ask(Aggregate("predictions", keys=(By("version"),)), replace(window, slice=None))
    found = [each for each in model.versions if each.name in set(served["version"])]
    if found or not model.versions:
        return found
    registered = [each for each in model.versions if each.registered_at]
    if registered:
        return [max(registered, key=lambda each: each.registered_at or datetime.min.replace(tzinfo=UTC))]
    seen = engine.activity(window.as_of, model.name).dropna(subset="last").groupby("version")[["last", "first"]].max()
    times = {name: tuple(row) for name, row in zip(seen.index, seen.to_numpy(), strict=True)}
    return [max(model.versions, key=lambda each: (each.name in times, times.get(each.name), natural_order(each.name)))]


def run_and_recover(
    engine: "Engine", analyzer: Analyzer, context: Context, known: KnownAnswers | None = None, run: RunAnalyzer = run_analyzer
) -> list[Finding]:
    """Findings of one analyzer. A failure of one column or of the analyzer becomes an `unknown` finding and stops nothing else.

    known: earlier answers; new ones are added to it.
    """
    broken: list[Finding] = []
    try:
        frames = {}
        for name, wanted in analyzer.needs(context).items():
            asked = wanted.aggregate, question_window(wanted, context)
            frame, failed = (known or {}).get(asked) or _analyzer_frame(engine, wanted, context)
            if known is not None:
                known[asked] = frame, failed
            frames[name] = frame
            broken += [_failure_finding(analyzer, context, subject, error) for subject, error in failed]
        found = [replace(each, because=with_minus_signs(each.because)) for each in run(analyzer, frames, context)]
        return [_with_proof(each, analyzer, context) for each in found] + broken
    except Exception as error:
        LOG.exception("analyzer %s failed on %s", analyzer.name, context.model.name)
        return [*broken, _failure_finding(analyzer, context, "model", error)]


def _with_proof(finding: Finding, analyzer: Analyzer, context: Context) -> Finding:
    """The finding with the SQL of its value. A failure to write it costs the SQL only."""
    try:
        return replace(finding, proof=analyzer.proof(finding, context))
    except Exception:
        LOG.exception("no proof of %s %s", finding.analyzer, finding.metric)
        return finding


def _analyzer_frame(engine: "Engine", wanted: Ask, context: Context) -> tuple["DataFrame", list[tuple[str, Exception]]]:
    """The frame that an analyzer asked for, and the columns that failed. A failing column does not affect the others."""
    window = question_window(wanted, context)
    if not isinstance(wanted.aggregate, Aggregate):
        return engine.ask(wanted.aggregate, window), []
    try:
        return engine.ask(wanted.aggregate, window), []
    except Exception as error:
        if isinstance(error, ObservabilityError) and error.exit_code == 3:
            raise
        parts, failed = [], []
        for single in _single_columns(wanted.aggregate):
            try:
                parts.append(engine.ask(single, window))
            except Exception as why:
                failed.append(((single.histogram + single.sums)[0].partition(".")[2] or (single.histogram + single.sums)[0], why))
        if not failed:
            raise
        import pandas as pd

        return pd.concat(parts, ignore_index=True) if parts else _empty_aggregate(wanted.aggregate), failed


def _empty_aggregate(aggregate: Aggregate) -> "DataFrame":
    """The empty answer to an aggregate."""
    import pandas as pd

    figures = ("n", "w", "w2", *(("total", "squares", "low", "high") if aggregate.sums else ()))
    kinds = {"period": "datetime64[us]", "bin": "int64", "n": "int64", "label": "int64", "decision": "int64", "score_bin": "int64"}
    names = (*aggregate.key_names, *figures)
    return pd.DataFrame({name: pd.Series(dtype=kinds.get(name, "float64" if name in figures else "object")) for name in names})


def _single_columns(aggregate: Aggregate) -> Iterator[Aggregate]:
    """The same question for one column at a time."""
    for reference in aggregate.histogram:
        yield replace(aggregate, histogram=(reference,))
    for reference in aggregate.sums:
        yield replace(aggregate, sums=(reference,))


def question_window(wanted: Ask, context: Context) -> Window:
    """The window that an Ask refers to."""
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


def _failure_finding(analyzer: Analyzer, context: Context, subject: str, error: Exception) -> Finding:
    """The `unknown` finding for a failure."""
    because = f"{FAILED}: {type(error).__name__}: {error}"
    return context.undecided(analyzer.name, subject, "judged", 0, because, against="level")


def unique_findings(findings: list[Finding]) -> list[Finding]:
    """One finding per id. Findings about the whole model are made once for each of its versions."""
    return list({each.id: each for each in findings}.values())


def _dated(finding: Finding) -> Finding:
    """The finding with a short claim, with its news, and with an onset where its severity is act.

    Without a dated onset, the window's start is taken and marked as vague.
    """
    finding = with_short_claim(replace(finding, news=news_of(finding)))
    if finding.severity != "act" or finding.onset is not None:
        return finding
    return replace(finding, onset=finding.start, evidence=finding.evidence | {"onset_known": "vague"})


def _with_event(finding: Finding, marks: "DataFrame") -> Finding:
    """The finding with the nearest event before its onset (before the window's end where the onset is unknown), of its model or of none.

    A change counts for two weeks. A note, such as a public holiday, a complaint or an export, counts for one day, and only where there was
    no change.
    """
    marks = marks[marks["model"].isna() | (marks["model"] == finding.model)]
    if not needs_action(finding.severity) or marks.empty:
        return finding
    known = finding.onset if finding.evidence.get("onset_known") != "vague" else None
    when = naive_utc(known or finding.end)
    before = marks[(marks["at"] <= when) & (marks["at"] > when - timedelta(days=EVENT_DAYS))].sort_values("at")
    changes = before[before["what"].isin(CHANGE_EVENTS)]
    near = before[before["at"] > when - timedelta(days=NOTE_DAYS)] if changes.empty else changes
    if near.empty:
        return finding
    row = near.iloc[-1].to_dict()
    return replace(finding, event={"at": iso(aware_utc(row["at"].to_pydatetime())), "what": row["what"], "text": row["text"]})
