"""What do the analyzers say about a model in a window?

The one place where questions, answers and judgement meet: it decides the windows, asks the store for the frames that each analyzer needs, hands
them over, and gathers the findings. Nothing here knows a metric.
"""

import logging
from collections.abc import Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Literal

from observability.analyzers import discover
from observability.core.analyzer import EVERY_MODEL, NO_VERSION, Analyzer, Ask, Context
from observability.core.catalog import Catalog, Model, Version
from observability.core.engine import Answers
from observability.core.errors import NotFoundError, ObservabilityError, UsageError
from observability.core.finding import Finding, iso, needs_action
from observability.core.questions import Aggregate, Attributions, By, EstimatedErrors, Question, Records, Sample
from observability.core.time import aware_utc, naive_utc
from observability.core.window import Slice, Window
from observability.incidents.grouping import Incident, joined
from observability.monitoring.late_labels import late_window, told
from observability.records.kinds import KINDS
from observability.stats.multiple import spend
from observability.store.query import aggregates, attributions, estimates, listing, query_batching, records
from observability.store.query.source import snapshot
from observability.store.registry import admin

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.store.db.database import Store

LOG = logging.getLogger(__name__)
Known = dict[tuple[Question, Window], tuple["DataFrame", list[tuple[str, Exception]]]]
"""Answers by question and window, with the columns that failed."""
Reads = Literal["all", "counts", "rows"]
DEFAULT_DAYS = 7
LIVE_DAYS = 30
WEEKLY_FALSE_DISCOVERIES = 0.1
RUNS_A_WEEK = 7
"""The budget of false discoveries is spent per model and week, over a check a day, the model's versions and the analyzers, in equal parts."""
EVENT_DAYS, NOTE_DAYS = 14, 1
"""An event is named beside a finding when it came at most so long before: what may have caused it, and what is only noted."""
CHANGES = ("deploy", "data", "threshold", "guideline", "incident")
"""Events that change what a model sees or does."""


@dataclass(frozen=True)
class Report:
    """Findings worst first; the incidents that they form, worst first; the window that each model was judged in; notes about how the windows were
    chosen, one sentence each.
    """

    findings: tuple[Finding, ...] = ()
    incidents: tuple[Incident, ...] = ()
    windows: dict[str, Window] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def worst(self, model: str) -> Finding | None:
        """The first finding of a model that a person should read: act or watch, else None."""
        return next((each for each in self.findings if each.model == model and needs_action(each.severity)), None)


def check(
    store: "Store",
    *,
    model: str | None = None,
    version: str | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    as_of: datetime | None = None,
    slice: Slice | None = None,  # noqa: A002 - the contract's word
    now: datetime | None = None,
    only: tuple[str, ...] = (),
    with_records: bool = True,
    reads: Reads = "all",
) -> Report:
    """Run every analyzer (or `only` those named) over the half-open window, for one model or for all.

    Without start and end, each model gets its last 7 days: ending now where its newest record is younger than 30 days, else at the end (UTC
    midnight) of its last record's day. With as_of, only what had arrived by then counts. Raises NotFoundError for an unknown model, version or
    column of the slice (of all models, those without the column are left out, and a note says so), and UsageError where the window ends before
    it starts. with_records: judge training runs, datasets and labelling projects as well (not in a slice or of one version).
    reads: "counts" leaves out the analyzers that ask for samples of raw rows, "rows" all the others.
    """
    now = (now or datetime.now(UTC)).astimezone(UTC)
    catalog = store.catalog()
    models = [catalog.model(model)] if model else list(catalog.models)
    activity = listing.activity(store, as_of, model)
    findings: list[Finding] = []
    windows: dict[str, Window] = {}
    notes: list[str] = []
    for each in models:
        if version is not None and each.version(version) is None:
            known = ", ".join(one.name for one in each.versions)
            raise NotFoundError(f"version {version!r} of {each.name} is not in the store", attempt=f"There is {known}")
        if slice and (missing := unknown_column(each, slice)):
            if model:
                raise missing
            notes.append(f"{each.name} is left out: {missing.what}.")
            continue
        window, note = window_of(each, activity, start=start, end=end, as_of=as_of, now=now)
        window = replace(window, version=version, slice=slice)
        windows[each.name] = window
        notes += [note] if note else []
        findings += model_findings(store, each, window, judged_at(each, activity, window, now), only, reads)
    if with_records and slice is None and version is None:
        findings += record_findings(store, model, start=start, end=end, as_of=as_of, now=now, only=only, beside=windows.get(model or ""))
    settled, incidents = gathered(catalog, unique(findings))
    return Report(tuple(settled), incidents, windows, tuple(notes))


def gathered(catalog: Catalog, findings: list[Finding]) -> tuple[list[Finding], tuple[Incident, ...]]:
    """The findings, those of one fault marked with its incident, and the incidents; both worst first."""
    return joined(findings, {each.name: each.settings.importance for each in catalog.models})


def record_findings(
    store: "Store",
    model: str | None,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    as_of: datetime | None = None,
    now: datetime,
    only: tuple[str, ...] = (),
    days: float = DEFAULT_DAYS,
    beside: Window | None = None,
) -> list[Finding]:
    """Findings of the analyzers about records (training runs, datasets, labelling projects): of one model, or of all and of none.

    Without start and end each analyzer gets the last `days`, ending now where the newest record of the kinds that it asks for is younger than
    30 days, else at the end of that record's day. beside: the window in which one model is judged; what names no model (batches, cleanings) is judged
    in it too, since what a feed did years before says nothing about that model.
    """
    findings: list[Finding] = []
    limit = min(as_of, now) if as_of else now
    with snapshot(store):
        for analyzer in discover():
            if analyzer.about != "records" or (only and analyzer.name not in only):
                continue
            window = record_window(store, analyzer, model, start, end, as_of, limit, days)
            if beside is not None and not names_a_model(analyzer, window):
                window = replace(window, start=beside.start, end=beside.end)
            context = Context(EVERY_MODEL, NO_VERSION, window, min(limit, window.end), WEEKLY_FALSE_DISCOVERIES / RUNS_A_WEEK)
            found = [dated(each) for each in judged(store, analyzer, context)]
            if any(needs_action(each.severity) for each in found):
                marks = listing.events(store, model, window.start - timedelta(days=EVENT_DAYS), window.end)
                found = [with_event(each, marks) for each in found]
            findings += found
    return findings


def record_window(
    store: "Store",
    analyzer: Analyzer,
    model: str | None,
    start: datetime | None,
    end: datetime | None,
    as_of: datetime | None,
    limit: datetime,
    days: float = DEFAULT_DAYS,
) -> Window:
    """The window in which an analyzer about records judges."""
    if end is None:
        kinds = kinds_of(analyzer, Window(model or "", limit, limit))
        last = records.newest(store, sorted(kinds), model or "", limit, as_of)
        end = limit
        if last is not None and limit - last >= timedelta(days=LIVE_DAYS):
            end = min(limit, last.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1))
    if start is None:
        start = end - timedelta(days=days)
    return Window(model or "", min(start, end), end, as_of=as_of)


def kinds_of(analyzer: Analyzer, window: Window) -> set[str]:
    """The kinds of records that an analyzer asks for."""
    asked = analyzer.needs(Context(EVERY_MODEL, NO_VERSION, window, window.end)).values()
    return {each.aggregate.kind for each in asked if isinstance(each.aggregate, Records)}


def names_a_model(analyzer: Analyzer, window: Window) -> bool:
    """Whether the records that an analyzer asks for say of which model they are, by themselves or by their run."""
    return any({"model", "run", "project"} & set(KINDS[kind].fields) for kind in kinds_of(analyzer, window))


def unknown_column(model: Model, slice: Slice) -> NotFoundError | None:  # noqa: A002 - the contract's word
    """What is wrong with a slice that names a column which the model does not have; None where it has them all."""
    try:
        for name, _ in slice.conditions:
            model.resolve(name)
    except NotFoundError as error:
        return error
    return None


def window_of(
    model: Model, activity: "DataFrame", *, start: datetime | None, end: datetime | None, as_of: datetime | None, now: datetime
) -> tuple[Window, str | None]:
    """The window to judge a model in, and a sentence where it was chosen for it."""
    note = None
    if end is None:
        limit = min(as_of, now) if as_of else now
        last = newest(model, activity)
        if last is None or limit - last < timedelta(days=LIVE_DAYS):
            end = limit
            if start is None and last is not None and limit - last > timedelta(days=DEFAULT_DAYS):
                note = (
                    f"{model.name}: nothing came in these days, the newest record is from {last:%Y-%m-%d}; name older days to judge them."
                )
        else:
            end = min(limit, last.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1))
            note = f"{model.name}: the newest record is from {last:%Y-%m-%d}, so the window ends there."
        if start is not None and end <= start:
            raise UsageError("the window ends before it starts", got=f"{iso(start)} to {iso(end)}", attempt="Give --to as well")
    if start is None:
        start = end - timedelta(days=DEFAULT_DAYS)
    return Window(model.name, start, end, as_of=as_of), note


def judged_at(model: Model, activity: "DataFrame", window: Window, now: datetime) -> datetime:
    """The instant as of which a window is judged: its end, or now, or its as_of, whichever is first.

    In the last window of a model whose newest record is older than 30 days it is the hour in which that record came: the silence after a model's
    end is no news, and a default window ends with that day.
    """
    limit = min(filter(None, (now, window.as_of)))
    at = min(limit, window.end)
    last = newest(model, activity)
    if last is None or limit - last < timedelta(days=LIVE_DAYS) or not timedelta(0) <= at - last <= timedelta(days=1):
        return at
    return min(at, last.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1))


def newest(model: Model, activity: "DataFrame") -> datetime | None:
    """Event time of the newest production prediction of a model; None where there is none."""
    rows = activity[(activity["model"] == model.name) & (activity["environment"] == "production")]
    return None if rows.empty else aware_utc(rows["last"].max().to_pydatetime())


def model_findings(
    store: "Store | Answers", model: Model, window: Window, now: datetime, only: tuple[str, ...] = (), reads: Reads = "all"
) -> list[Finding]:
    """Findings of every analyzer about each version that served in the window (the newest version where none did), all of one state of the store.

    Where the window's labels are not in yet, those that need labels are asked about the newest days whose labels are (late_labels.py) as well, and what
    needs a person there is added.
    """
    with nullcontext() if isinstance(store, Answers) else snapshot(store):
        waiting = tuple(each.name for each in discover() if each.labels and (not only or each.name in only))
        late = late_window(lambda question, asked: put(store, question, asked), window) if waiting and model.task else None
        passes = [asked_in(store, model, window, now, only, reads)]
        passes += [asked_in(store, model, late, now, waiting, reads)] if late is not None else []
        known = asked_together(store, [each for asked in passes for each in asked])
        found, *again = [findings_of(store, model, asked, known) for asked in passes]
        return found + [told(each) for several in again for each in several if needs_action(each.severity)]


def asked_in(
    store: "Store | Answers", model: Model, window: Window, now: datetime, only: tuple[str, ...], reads: Reads
) -> list[tuple[Analyzer, Context]]:
    """Which analyzers judge which version in a window; see `model_findings`."""
    versions = serving_versions(store, model, window)
    counters = store.counters(model.name, window) if isinstance(store, Answers) else admin.counters(store, model.name, window)
    contexts = [
        Context(
            model=model,
            version=version,
            window=replace(window, version=version.name),
            now=now,
            budget=spend(WEEKLY_FALSE_DISCOVERIES, RUNS_A_WEEK, len(versions), max(sum(each.about == "model" for each in discover()), 1)),
            counters=counters,
        )
        for version in versions
    ]
    return [
        (analyzer, context)
        for context in contexts
        for analyzer in discover()
        if analyzer.about == "model" and (not only or analyzer.name in only) and reads in ("all", read_by(analyzer, context))
    ]


def findings_of(store: "Store | Answers", model: Model, asked: list[tuple[Analyzer, Context]], known: Known) -> list[Finding]:
    """What analyzers say in one window, each with the event that came before it."""
    found = [dated(each) for analyzer, context in asked for each in judged(store, analyzer, context, known)]
    if not any(needs_action(each.severity) for each in found):
        return found
    window = asked[0][1].window
    span = window.start - timedelta(days=EVENT_DAYS), window.end
    marks = store.events(model.name, *span) if isinstance(store, Answers) else listing.events(store, model.name, *span)
    return [with_event(each, marks) for each in found]


def asked_together(store: "Store | Answers", asked: list[tuple[Analyzer, Context]]) -> Known:
    """Answers to the questions of several analyzers that fewer questions hold (store/query/query_batching.py); `judged` asks the rest."""
    if isinstance(store, Answers):
        return {}
    questions: list[query_batching.Asked] = []
    for analyzer, context in asked:
        with suppress(Exception):  # it fails again where it is judged, and is reported there
            questions += [(wanted.aggregate, span_of(wanted, context)) for wanted in analyzer.needs(context).values()]
    found = query_batching.answers(questions, partial(put, store), partial(aggregates.cells, store))
    return {each: (frame, []) for each, frame in found.items()}


def read_by(analyzer: Analyzer, context: Context) -> Reads:
    """What an analyzer is answered from: "rows" where it asks for a sample of raw rows, else "counts"."""
    try:
        return "rows" if any(isinstance(each.aggregate, Sample) for each in analyzer.needs(context).values()) else "counts"
    except Exception:  # it fails again where it is judged, and is reported there
        return "counts"


def serving_versions(store: "Store | Answers", model: Model, window: Window) -> list[Version]:
    """Versions with predictions in the window; the one asked for; else the newest registered, else the newest seen."""
    if window.version is not None:
        wanted = model.version(window.version)
        return [wanted] if wanted else []
    if len(model.versions) == 1:
        return list(model.versions)
    served = put(store, Aggregate("predictions", keys=(By("version"),)), replace(window, slice=None))
    found = [each for each in model.versions if each.name in set(served["version"])]
    if found or not model.versions:
        return found
    registered = [each for each in model.versions if each.registered_at]
    return (
        [max(registered, key=lambda each: each.registered_at or datetime.min.replace(tzinfo=UTC))] if registered else [model.versions[-1]]
    )


def judged(store: "Store | Answers", analyzer: Analyzer, context: Context, known: Known | None = None) -> list[Finding]:
    """What one analyzer says. A failure of one column or of the analyzer becomes an `unknown` finding, and stops nothing else.

    known: answers that were given already, which is added to; no analyzer changes its frames.
    """
    broken: list[Finding] = []
    try:
        frames = {}
        for name, wanted in analyzer.needs(context).items():
            asked = wanted.aggregate, span_of(wanted, context)
            frame, failed = (known or {}).get(asked) or answer(store, wanted, context)
            if known is not None:
                known[asked] = frame, failed
            frames[name] = frame
            broken += [failure(analyzer, context, subject, error) for subject, error in failed]
        found = store.said(analyzer, frames, context) if isinstance(store, Answers) else analyzer.analyze(frames, context)
        return found + broken
    except Exception as error:
        LOG.exception("analyzer %s failed on %s", analyzer.name, context.model.name)
        return [*broken, failure(analyzer, context, "model", error)]


def answer(store: "Store | Answers", wanted: Ask, context: Context) -> tuple["DataFrame", list[tuple[str, Exception]]]:
    """The frame an analyzer asked for, and the columns that could not be answered: one that breaks does not take the others along."""
    window = span_of(wanted, context)
    if not isinstance(wanted.aggregate, Aggregate):
        return put(store, wanted.aggregate, window), []
    try:
        return put(store, wanted.aggregate, window), []
    except Exception as error:
        if isinstance(error, ObservabilityError) and error.exit_code == 3:
            raise
        parts, failed = [], []
        for single in singles(wanted.aggregate):
            try:
                parts.append(put(store, single, window))
            except Exception as why:
                failed.append(((single.histogram + single.sums)[0].partition(".")[2] or (single.histogram + single.sums)[0], why))
        if not failed:
            raise
        import pandas as pd

        return pd.concat(parts, ignore_index=True) if parts else nothing(wanted.aggregate), failed


def put(store: "Store | Answers", question: Question, window: Window) -> "DataFrame":
    """The answer of the store to a question of any type."""
    if isinstance(store, Answers):
        return store.put(question, window)
    if isinstance(question, Records):
        return records.fetch(store, question, window)
    if isinstance(question, Attributions):
        return attributions.fetch(store, question, window)
    if isinstance(question, EstimatedErrors):
        return estimates.fetch(store, question, window)
    return listing.sample(store, question, window) if isinstance(question, Sample) else aggregates.ask(store, question, window)


def nothing(aggregate: Aggregate) -> "DataFrame":
    """The empty answer to an aggregate."""
    import pandas as pd

    figures = ("n", "w", "w2", *(("total", "squares", "low", "high") if aggregate.sums else ()))
    kinds = {"period": "datetime64[us]", "bin": "int64", "n": "int64", "label": "int64", "decision": "int64", "score_bin": "int64"}
    names = (*aggregate.key_names, *figures)
    return pd.DataFrame({name: pd.Series(dtype=kinds.get(name, "float64" if name in figures else "object")) for name in names})


def singles(aggregate: Aggregate) -> Iterator[Aggregate]:
    """The same question, one column at a time."""
    for reference in aggregate.histogram:
        yield replace(aggregate, histogram=(reference,))
    for reference in aggregate.sums:
        yield replace(aggregate, sums=(reference,))


def span_of(wanted: Ask, context: Context) -> Window:
    """The window that an Ask is about."""
    window = context.window if wanted.scope == "version" else replace(context.window, version=None)
    if wanted.span == "reference":
        return window.reference()
    if wanted.earlier:
        back = timedelta(days=wanted.earlier)
        known = min(window.as_of or context.now, context.now).replace(minute=0, second=0, microsecond=0)
        window = replace(window, start=window.start - back, end=window.end - back, as_of=known - back)
    return window.past(wanted.days) if wanted.span == "past" else window


def failure(analyzer: Analyzer, context: Context, subject: str, error: Exception) -> Finding:
    """The `unknown` finding that stands for something that broke."""
    because = f"This could not be judged: {type(error).__name__}: {error}"
    return context.undecided(analyzer.name, subject, "judged", 0, because, against="level")


def unique(findings: list[Finding]) -> list[Finding]:
    """One finding per id: claims about the whole model come once from each of its versions."""
    return list({each.id: each for each in findings}.values())


def dated(finding: Finding) -> Finding:
    """The finding with an onset, where it is an act: what its analyzer cannot date has held since the window's start at the latest, and says that no day
    stands out.
    """
    if finding.severity != "act" or finding.onset is not None:
        return finding
    return replace(finding, onset=finding.start, evidence=finding.evidence | {"onset_known": "vague"})


def with_event(finding: Finding, marks: "DataFrame") -> Finding:
    """The finding with the nearest event before its onset (where that is not known, before the window's end).

    A change that somebody made counts for two weeks; a note such as a public holiday, a complaint or an export only where no such change came,
    and for a day.
    """
    if not needs_action(finding.severity) or marks.empty:
        return finding
    known = finding.onset if finding.evidence.get("onset_known") != "vague" else None
    when = naive_utc(known or finding.end)
    before = marks[(marks["at"] <= when) & (marks["at"] > when - timedelta(days=EVENT_DAYS))].sort_values("at")
    changes = before[before["what"].isin(CHANGES)]
    near = before[before["at"] > when - timedelta(days=NOTE_DAYS)] if changes.empty else changes
    if near.empty:
        return finding
    row = near.iloc[-1].to_dict()
    return replace(finding, event={"at": iso(aware_utc(row["at"].to_pydatetime())), "what": row["what"], "text": row["text"]})
