"""Every analyzer keeps the ten laws of docs/architecture.md. Analyzers are not named here: every analyzer that `discover` finds is tested.
There are two real stores: one with every difficulty of counting (tests/support/engine_world.py), and one of a live model with five weeks of
data and faults in the last (tests/support/live_world.py). It is also shown that each law detects an analyzer that breaks it
(tests/support/analyzers_broken.py).
"""

import contextlib
import itertools
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import pytest

from observability.analyzers import discover
from observability.core.analyzer import EVERY_MODEL, NO_VERSION, Analyzer, Ask, Context
from observability.core.finding import SEVERITIES, Finding
from observability.core.metric_definitions import METRICS
from observability.core.questions import Aggregate, Attributions, By, EstimatedErrors, Question, Records, Sample, record_kind
from observability.core.window import EPOCH, HOUR, Window
from observability.monitoring import analyzer_runs, check, check_windows
from observability.records.kinds import KINDS, NOTES
from observability.store.duck_store import DuckStore
from observability.store.query import aggregates
from tests.support import engine_world, live_world, reference_engine
from tests.support.analyzers_broken import BROKEN
from tests.support.length import LONG, repeats

ROOT = Path(__file__).parents[1]
ANALYZERS = discover()
DAY = timedelta(days=1)
FIELDS = {
    "score",
    "latency_ms",
    "energy_j",
    "cost",
    "status",
    "version",
    "replica",
    "device",
    "batch",
    "decision",
    "label",
    "score_bin",
    "currency",
}
OF_LABELS = {"error", "absolute_error", "squared_error", "label_value", "log_loss", "brier", "correct"}
OF_SAMPLES = {"id", "at", "subject", "arrived", "prediction", "extra", "label_value"}
Frames = dict[str, pd.DataFrame]
Put = Callable[[DuckStore, Question, Window], pd.DataFrame]


def remembered(put: Put) -> Put:
    """Wrap a question function so that it asks the store once for all laws and analyzers, and returns a copy each time. Nothing writes to
    these stores.
    """
    known: dict[tuple[Path, Question, Window], pd.DataFrame] = {}

    def answer(store: DuckStore, question: Question, window: Window) -> pd.DataFrame:
        key = (store.home, question, window)
        if key not in known:
            known[key] = put(store, question, window)
        return known[key].copy(deep=True)

    return answer


answer_from_rows = remembered(reference_engine.answer)


@pytest.fixture(scope="module", autouse=True)
def each_question_once() -> Iterator[None]:
    with mock.patch.object(DuckStore, "ask", remembered(DuckStore.ask)):
        yield


@dataclass(frozen=True)
class Case:
    """One version of one model in one window of one store."""

    store: DuckStore
    context: Context
    known: dict[tuple[str, object], list[Finding]] = field(default_factory=dict, compare=False)
    """What analyzers reported, for all laws that need it."""

    def said(self, analyzer: Analyzer) -> list[Finding]:
        """The findings from the complete answers, computed once."""
        key = (analyzer.name, analyzer.analyze)
        if key not in self.known:
            self.known[key] = said(analyzer, self.frames(analyzer), self.context)
        return self.known[key]

    def frames(self, analyzer: Analyzer) -> Frames:
        """The frames for which the analyzer asked."""
        return {name: self.answer(wanted) for name, wanted in analyzer.needs(self.context).items()}

    def answer(self, wanted: Ask) -> pd.DataFrame:
        """The answer to one question."""
        return self.store.ask(wanted.aggregate, check_windows.question_window(wanted, self.context))

    def within(self, start: datetime, end: datetime) -> "Case":
        """The same version in another window, checked at its end, without any counts of lines."""
        window = replace(self.context.window, start=start, end=end, as_of=None)
        return Case(self.store, replace(self.context, window=window, now=end, counters={}))


def cases_of(store: DuckStore, model: str, start: datetime, end: datetime, **options: Any) -> Iterator[Case]:
    """One case for each version that served in the window, in the form in which `run` makes them."""
    known = store.catalog().model(model)
    window = Window(model, start, end, **options)
    for version in check.serving_versions(store, known, window):
        now = min(filter(None, (end, window.as_of)))
        context = Context(known, version, replace(window, version=version.name), now, 0.01, store.counters(model, window))
        yield Case(store, context)


@pytest.fixture(scope="module")
def hard_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckStore]:
    """The store of the engine tests."""
    store = engine_world.copied(tmp_path_factory.mktemp("hard"))
    yield store
    store.close()


@pytest.fixture(scope="module")
def live_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckStore]:
    """The live model with all records, including those that arrived last."""
    store = live_world.build_with_later(tmp_path_factory.mktemp("live"))
    yield store
    store.close()


@pytest.fixture(scope="module")
def cases(hard_store: DuckStore, live_store: DuckStore) -> list[Case]:
    """Every version of every model over whole days, the live model also in a window with an `as_of` and ends that are not whole hours, and
    the records of all models.
    """
    begin, end = engine_world.START, engine_world.START + timedelta(days=engine_world.DAYS)
    found = [each for model in hard_store.catalog().models for each in cases_of(hard_store, model.name, begin, end)]
    found += cases_of(live_store, "live", live_world.START, live_world.END)
    found += [each for name in ("other", "chat") for each in cases_of(live_store, name, live_world.START, live_world.END)]
    ragged = timedelta(hours=5, minutes=40)
    found += cases_of(live_store, "live", live_world.START + ragged, live_world.END - ragged, as_of=live_world.END - 9 * HOUR)
    assert len(found) >= 10
    window = Window("", live_world.START, live_world.END)
    return [*found, Case(live_store, Context(EVERY_MODEL, NO_VERSION, window, live_world.END, 0.01))]


def fitting(analyzer: Analyzer, cases: list[Case]) -> list[Case]:
    """The cases that concern the analyzer: versions of models about which it asks a question, or the records of all models."""
    own = [each for each in cases if (each.context.model is EVERY_MODEL) == (analyzer.about == "records")]
    return [each for each in own if analyzer.needs(each.context)] or own


def said(analyzer: Analyzer, frames: Frames, context: Context) -> list[Finding]:
    """The findings, in a fixed order."""
    return sorted(analyzer.analyze(frames, context), key=lambda each: (each.subject, each.metric, each.id))


def assert_same(got: list[Finding], wanted: list[Finding]) -> None:
    """Assert equal findings; numbers may differ by 1e-9."""
    assert [(each.subject, each.metric, each.severity) for each in got] == [(each.subject, each.metric, each.severity) for each in wanted]
    for a, b in zip(got, wanted):
        same(a.to_json(), b.to_json(), f"{a.analyzer} {a.subject} {a.metric}")


def same(a: Any, b: Any, where: str) -> None:
    """Assert equal JSON values; numbers may differ by 1e-9."""
    if isinstance(a, dict) and isinstance(b, dict):
        assert list(a) == list(b), where
        for key in a:
            same(a[key], b[key], f"{where}.{key}")
    elif isinstance(a, list | tuple) and isinstance(b, list | tuple):
        assert len(a) == len(b), where
        for i, (one, other) in enumerate(zip(a, b)):
            same(one, other, f"{where}[{i}]")
    elif isinstance(a, float) and isinstance(b, float):
        assert math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9), (where, a, b)
    else:
        assert a == b, (where, a, b)


def law_1(analyzer: Analyzer, case: Case) -> None:
    """An empty window gives only `unknown`. An exempt analyzer may report that data of earlier windows are missing now; without an earlier
    window it also gives only `unknown`.
    """
    context = replace(case.context, counters={})
    asks = analyzer.needs(context)
    emptied = {name: frame.iloc[:0] if asks[name].span == "current" else frame for name, frame in case.frames(analyzer).items()}
    nowhere = case.within(EPOCH + 100 * DAY, EPOCH + 107 * DAY)
    findings = [*analyzer.analyze(emptied, context), *analyzer.analyze(nowhere.frames(analyzer), nowhere.context)]
    if not findings and analyzer.about != "records" and 1 not in analyzer.exceptions:
        assert not analyzer.analyze(case.frames(analyzer), context), "it has to report that it cannot judge"
    for each in findings:
        excepted = 1 in analyzer.exceptions and each.against == "past" and each.start == context.window.start
        assert each.severity == "unknown" or excepted, each


def law_2(analyzer: Analyzer, case: Case) -> None:
    """A comparison of a window with itself never gives an `act`. Here the reference and the past consist of the window's own rows."""
    context, frames = replace(case.context, counters={}), {}
    for name, wanted in analyzer.needs(context).items():
        own = case.answer(replace(wanted, span="current"))
        frames[name] = repeated_before(own, context.window, wanted.days) if wanted.span == "past" and "period" in own else own
    findings = analyzer.analyze(frames, context)
    assert not [each for each in findings if each.severity == "act" and each.against in ("reference", "past")]


def repeated_before(frame: pd.DataFrame, window: Window, days: int) -> pd.DataFrame:
    """The rows of a window, repeated in each of the windows before it at the same hours and weekdays."""
    step = max(math.ceil(window.days / 7), 1) * 7
    first = (window.start - days * DAY).replace(tzinfo=None)
    shifted = [frame.assign(period=frame["period"] - pd.Timedelta(days=step * i)) for i in range(1, days // step + 2)]
    every = pd.concat(shifted, ignore_index=True)
    return every[every["period"] >= first]


def law_3(analyzer: Analyzer, case: Case) -> None:
    """The order of rows does not matter."""
    frames, rng = case.frames(analyzer), np.random.default_rng(5)
    shuffled = {name: frame.iloc[rng.permutation(len(frame))] for name, frame in frames.items()}
    backward = {name: frame.iloc[::-1].reset_index(drop=True) for name, frame in frames.items()}
    assert_same(said(analyzer, shuffled, case.context), case.said(analyzer))
    assert_same(said(analyzer, backward, case.context), case.said(analyzer))


def law_4(analyzer: Analyzer, case: Case) -> None:
    """Hours add up to days, and days to the window. Joined answers by hour and by day give the findings of the whole answer."""
    frames, parts = case.frames(analyzer), {}
    for name, wanted in analyzer.needs(case.context).items():
        parts[name] = frames[name]
        if wanted.span != "reference" and isinstance(wanted.aggregate, Aggregate):
            window = check_windows.question_window(wanted, case.context)
            step = DAY if wanted.span == "current" else 7 * DAY
            answers = [case.store.ask(wanted.aggregate, each) for each in pieces(window, step)]
            parts[name] = pd.concat([each for each in answers if len(each)] or answers[:1], ignore_index=True)
            assert parts[name]["n"].sum() == frames[name]["n"].sum(), name
    assert_same(said(analyzer, parts, case.context), case.said(analyzer))


def pieces(window: Window, step: timedelta) -> Iterator[Window]:
    """Parts of a window: two hours, one step and the rest; in a long run eight hours, and steps to its end."""
    at, by_hour = window.start, window.start + repeats(2, 8) * HOUR
    while at < window.end:
        end = min(at + HOUR if at < by_hour else at + step if LONG or at == by_hour else window.end, window.end)
        yield replace(window, start=at, end=end)
        at = end


def law_5(analyzer: Analyzer, case: Case) -> None:
    """An analyzer does not change its inputs."""
    frames = case.frames(analyzer)
    before = {name: frame.copy(deep=True) for name, frame in frames.items()}
    analyzer.analyze(frames, case.context)
    assert list(frames) == list(before)
    for name, frame in frames.items():
        pd.testing.assert_frame_equal(frame, before[name])


def law_6(analyzer: Analyzer, case: Case) -> None:
    """Each finding has a unit, n, a sentence, low ≤ value ≤ high, and its own id, and can be written as JSON."""
    findings = case.said(analyzer)
    assert len({each.id for each in findings}) == len(findings)
    for each in findings:
        assert each.unit == METRICS[each.metric].unit and each.severity in SEVERITIES
        assert isinstance(each.n, int) and each.n >= 0, each
        assert each.because[0] == each.because[0].upper() and each.because.endswith(".") and "nan" not in each.because.split(), each
        numbers = (each.low, each.value, each.high)
        assert each.severity == "unknown" or None not in numbers, each
        known = [x for x in numbers if x is not None]
        assert known == sorted(known) and all(math.isfinite(x) for x in known), each
        assert json.loads(json.dumps(each.to_json(), allow_nan=False))["because"] == each.because


def law_7(analyzer: Analyzer, case: Case) -> None:
    """An analyzer asks only for columns that the catalog declares."""
    for wanted in analyzer.needs(case.context).values():
        if isinstance(wanted.aggregate, Records):
            assert record_kind(wanted.aggregate.kind) not in NOTES, "a note changes no finding, so no analyzer may ask for notes"
            assert set(wanted.aggregate.columns or ()) <= {*KINDS[record_kind(wanted.aggregate.kind)].fields, "extra"}
            continue
        assert analyzer.about == "model", "an analyzer about records asks only for records"
        for name in names_of(wanted.aggregate):
            assert declared(name, case.context, sample=isinstance(wanted.aggregate, Sample | Attributions)), name


def names_of(aggregate: Question) -> Iterator[str]:
    """Every column reference of a question."""
    assert not isinstance(aggregate, Records)
    if isinstance(aggregate, EstimatedErrors):
        return
    if isinstance(aggregate, Sample | Attributions):
        yield from aggregate.columns
        return
    yield from (key.column for key in aggregate.keys if isinstance(key, By))
    yield from (*aggregate.histogram, *aggregate.sums)


def declared(name: str, context: Context, *, sample: bool) -> bool:
    """Whether a reference is known to the catalog, or is a field that every prediction has."""
    role, dot, own = name.partition(".")
    if role == "score" and dot:
        return own.isdigit() and int(own) < len(context.model.classes)
    if role == "band":
        return any(each.name == own and each.sensitive and each.kind == "number" for each in context.model.columns)
    return context.model.column(name) is not None or name in FIELDS | OF_LABELS or (sample and name in OF_SAMPLES)


def law_8(analyzer: Analyzer, case: Case) -> None:
    """Every engine gives the same findings: DuckDB, and the simple loop over the rows."""
    other = {}
    for name, wanted in analyzer.needs(case.context).items():
        other[name] = answer_from_rows(case.store, wanted.aggregate, check_windows.question_window(wanted, case.context))
    assert_same(said(analyzer, other, case.context), case.said(analyzer))


def law_9(analyzer: Analyzer, case: Case) -> None:
    """If one column fails, there is an `unknown` finding that states it, and everything else continues. The same holds if an analyzer
    fails.
    """
    whole = analyzer_runs.run_and_recover(case.store, analyzer, case.context)
    asked = columns_of(analyzer, case.context)
    for reference in dict.fromkeys((*asked[:1], *asked[len(asked) // 2 :][:1], *asked[-1:])):
        own = reference.partition(".")[2] or reference
        with broken_column(reference):
            left = analyzer_runs.run_and_recover(case.store, analyzer, case.context)
        told = [each for each in left if each.metric == "judged" and each.severity == "unknown" and "smashed" in each.because]
        assert {own, "model"} & {each.subject for each in told}, reference
        named = {own, case.context.model.subject(reference)}
        others = {(each.subject, each.metric) for each in whole if not named & {each.subject, each.metric}}
        if len(asked) > 1:
            assert own in {each.subject for each in told}, reference
            assert others <= {(each.subject, each.metric) for each in left}, reference
    alone, both = (beside(case, analyzer, replace(other, about=analyzer.about)) for other in (SILENT, FAILING))
    failed = [each for each in both if each.analyzer == FAILING.name]
    assert [(each.severity, each.metric) for each in failed] == [("unknown", "judged")]
    assert_same([each for each in both if each not in failed], alone)


def beside(case: Case, *analyzers: Analyzer) -> list[Finding]:
    """The findings of `run` with only these analyzers."""
    window = replace(case.context.window, version=case.context.version.name)
    with mock.patch.object(check, "discover", lambda: analyzers), mock.patch.object(analyzer_runs.LOG, "exception"):
        if case.context.model is EVERY_MODEL:
            return check.record_findings(case.store, None, start=window.start, end=window.end, now=case.context.now)
        return check.model_findings(case.store, case.context.model, window, case.context.now)


def crash(frames: Frames, context: Context) -> list[Finding]:
    """Raise an error."""
    raise ZeroDivisionError("on purpose")


FAILING = Analyzer("broken/failing", "What happens when an analyzer fails?", lambda context: {}, crash)
SILENT = Analyzer("broken/failing", "What if it found nothing?", lambda context: {}, lambda frames, context: [])
"""Replaces FAILING in the comparison, so that the budget of false discoveries is shared by the same number of analyzers."""


def columns_of(analyzer: Analyzer, context: Context) -> list[str]:
    """Every column for which the analyzer asks for a histogram or sums."""
    asked = [wanted.aggregate for wanted in analyzer.needs(context).values() if isinstance(wanted.aggregate, Aggregate)]
    return list(dict.fromkeys(name for each in asked for name in (*each.histogram, *each.sums)))


@contextlib.contextmanager
def broken_column(reference: str) -> Iterator[None]:
    """Let every question about a column fail in the store."""

    def smashed(answer: Callable[..., Any]) -> Callable[..., Any]:
        def asked(store: DuckStore, question: Question, window: Window, **options: Any) -> Any:
            if isinstance(question, Aggregate) and reference in (*question.histogram, *question.sums):
                raise RuntimeError(f"{reference} is smashed")
            return answer(store, question, window, **options)

        return asked

    ask, cells = smashed(DuckStore.ask), smashed(aggregates.aggregate_cells)
    with (
        mock.patch.object(DuckStore, "ask", ask),
        mock.patch.object(aggregates, "aggregate_cells", cells),
        mock.patch.object(analyzer_runs.LOG, "exception"),
    ):
        yield


def law_10(analyzer: Analyzer, before: DuckStore, after: DuckStore) -> None:
    """Nothing that arrived after `as_of` changes a finding: a store with these arrivals gives the same findings as a store without them."""
    week = {"start": live_world.START, "end": live_world.END}
    model = {"operations/controllers": "cache", "serving/call_drift": "chat"}.get(analyzer.name, "live")
    looks = ((live_world.AS_OF - timedelta(minutes=17), week), (live_world.AS_OF, {}), (live_world.AS_OF, week))
    for as_of, asked in looks if LONG else looks[:1]:
        findings = []
        for store in (before, after):
            with mock.patch.object(check, "discover", lambda: (analyzer,)):
                report = check.check(store, model=model, as_of=as_of, now=live_world.END + 40 * DAY, **asked)
            findings.append(sorted(report.findings, key=lambda each: each.id))
        assert findings[0]
        assert_same(findings[1], findings[0])


LAWS = {1: law_1, 2: law_2, 3: law_3, 4: law_4, 5: law_5, 6: law_6, 7: law_7, 8: law_8, 9: law_9}
each_law, each_analyzer = (
    partial(pytest.mark.parametrize, "number"),
    pytest.mark.parametrize("analyzer", ANALYZERS, ids=lambda each: each.name),
)


def test_every_analyzer_is_found() -> None:
    files = [path for path in (ROOT / "observability" / "analyzers").rglob("*.py") if not path.name.startswith("_")]
    assert len(ANALYZERS) >= len(files) >= 3
    assert {each.name for each in ANALYZERS} >= {"data/quality", "serving/drift", "serving/performance"}


@each_analyzer
@each_law(list(LAWS))
def test_each_analyzer_obeys_each_law(number: int, analyzer: Analyzer, cases: list[Case]) -> None:
    own = fitting(analyzer, cases)
    with broken_only_where_declared(analyzer, number):
        for case in own if LONG else shared_out(few(own), number):
            LAWS[number](analyzer, case)


def shared_out(cases: list[Case], number: int) -> list[Case]:
    """The case with ends that are not whole hours, and one other case, which differs from law to law; a long run takes every case for every
    law. Laws 4 (adding up hours) and 9 (failing columns) take longest, so they get only the first case, whose hours are hardest.
    """
    *others, ragged = cases
    return [*(others[number % max(len(others), 1) :][:1] if number not in (4, 9) else ()), ragged]


def broken_only_where_declared(analyzer: Analyzer, number: int) -> contextlib.AbstractContextManager[object]:
    """An analyzer must break each law for which it declares an exception; otherwise the exception is useless. Law 1 handles its exceptions
    itself.
    """
    return pytest.raises(AssertionError) if number in analyzer.exceptions - {1} else contextlib.nullcontext()


def few(cases: list[Case]) -> list[Case]:
    """One version of a model for each task, and the case whose ends are not whole hours."""
    return [*{case.context.model.task: case for case in cases[:-1]}.values(), cases[-1]]


@each_analyzer
def test_no_analyzer_counts_records_that_arrived_later(analyzer: Analyzer, live_store: DuckStore, early_store: DuckStore) -> None:
    with broken_only_where_declared(analyzer, 10):
        law_10(analyzer, early_store, live_store)


@pytest.fixture(scope="module")
def early_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckStore]:
    """The live model with only the records that had arrived by AS_OF."""
    store = live_world.build(tmp_path_factory.mktemp("early"))
    yield store
    store.close()


@each_law(list(LAWS))
def test_each_law_detects_an_analyzer_that_breaks_it(number: int, cases: list[Case]) -> None:
    with pytest.raises(AssertionError):
        for case in few(fitting(BROKEN[number], cases)):
            LAWS[number](BROKEN[number], case)


def test_law_10_detects_an_analyzer_that_breaks_it(live_store: DuckStore, early_store: DuckStore) -> None:
    with pytest.raises(AssertionError):
        law_10(BROKEN[10], early_store, live_store)


def test_an_analyzer_that_breaks_one_law_keeps_the_law_listed_before_it(cases: list[Case]) -> None:
    """A law detects only its own violation: of laws 1, 2, 5 and 6, the analyzer that breaks one keeps the law before it in this list."""
    for number, other in itertools.pairwise((1, 2, 5, 6)):
        LAWS[number](BROKEN[other], cases[0])


def test_every_analyzer_reaches_a_verdict_in_the_cases_of_the_laws(cases: list[Case]) -> None:
    found = [each for analyzer in ANALYZERS for case in fitting(analyzer, cases) for each in case.said(analyzer)]
    for analyzer in ANALYZERS:
        assert {each.severity for each in found if each.analyzer == analyzer.name} - {"unknown"}, analyzer.name
    metrics = {each.metric for each in found if each.severity in ("act", "watch")}
    assert metrics >= {"null_rate", "unseen_rate", "silence_hours", "psi"}
