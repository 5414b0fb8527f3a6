"""Analyzers that read raw rows do not block pages; their findings appear later."""

import threading
from concurrent import futures
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import streamlit as st

from observability.core.analyzer import Analyzer, Ask, Context
from observability.core.catalog import computed_values
from observability.core.errors import UsageError
from observability.core.finding import Finding
from observability.core.questions import Sample
from observability.core.window import Window
from observability.dashboard import background_findings, load, load_findings, sign_in, state_cache
from observability.dashboard.scope import Scope
from observability.monitoring import analyzer_runs, check
from observability.monitoring.analyzer_runs import Reads
from observability.monitoring.kept_findings import kept_findings_of
from observability.server import process_lock, watcher
from observability.server.access import Person
from observability.store.db.database import Database
from observability.store.engine import Store
from tests.dashboard.conftest import land
from tests.support.dashboard_pages import opened, words
from tests.support.dashboard_world import END, World
from tests.support.record_lines import OTHERS, prediction

GATE = threading.Event()
BOTH = ["loan", "loan computed", "price", "price computed"]


def needs(context: Context) -> dict[str, Ask]:
    """A sample of raw rows."""
    return {"rows": Ask(Sample("predictions", ("id",), 10))}


def analyze(frames: Any, context: Context) -> list[Finding]:
    """Once the gate is open, a finding that states the number of rows."""
    assert GATE.wait(60)
    found = context.undecided("serving/slow", "model", "volume", len(frames["rows"]), "It took its time.")
    return [replace(found, value=float(len(frames["rows"])), severity="ok")]


SLOW = Analyzer("serving/slow", "What takes long?", needs, analyze)


@pytest.fixture
def slow(current: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """The only analyzer reads raw rows and waits for the gate."""
    monkeypatch.setattr(check, "discover", lambda: (SLOW,))
    st.cache_data.clear()
    background_findings._finished.clear()
    kept_findings_of(current.store).clear()  # clears answers that tests of other files requested from this store
    GATE.clear()
    return current


def test_a_page_does_not_wait_for_findings_and_shows_them_later(slow: World) -> None:
    window = load.window(Scope("loan"), "loan")
    assert load_findings.findings_in_window(window) == [], "the call returns before the analysis ends"
    assert load_findings.findings_pending(window)
    GATE.set()
    assert [each.value for each in load_findings.findings_in_window(window, wait=True)] == [10.0]
    assert [each.value for each in load_findings.findings_in_window(window)] == [10.0]
    assert not load_findings.findings_pending(window)
    st.cache_data.clear()


def test_home_states_how_many_models_are_still_being_analyzed(slow: World) -> None:
    """Regression: Home counted 15 of 18 critical incidents without mentioning the models that were still being analyzed."""
    models = [model.name for model in load.catalog().fleet]
    home = opened("health")
    assert f"{len(models)} models still being analyzed: counts are not final." in words(home)
    GATE.set()
    for name in models:
        load_findings.findings_in_window(load.window(Scope(), name), wait=True)
    home.run()
    assert "still being analyzed" not in words(home)
    st.cache_data.clear()


def test_a_caller_that_waits_gets_the_findings_at_once(slow: World) -> None:
    GATE.set()
    assert len(load_findings.findings_in_window(load.window(Scope("loan"), "loan"), wait=True)) == 1
    st.cache_data.clear()


def test_check_reads_all_sources_or_only_those_requested(slow: World) -> None:
    GATE.set()
    window = load.window(Scope("loan"), "loan")
    said = {
        reads: len(check.check(slow.store, model="loan", start=window.start, end=window.end, reads=reads).findings)
        for reads in ("all", "counts", "rows")
    }
    assert said == {"all": 1, "counts": 0, "rows": 1}


def test_findings_of_a_removed_model_are_not_shown_of_another_with_its_name(
    empty: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(check, "discover", lambda: (SLOW,))
    window = Window("loan", END - timedelta(days=7), END)
    records = [{**prediction(number), "at": (END - timedelta(hours=number + 1)).isoformat()} for number in range(3)]
    GATE.set()
    land(empty, records, tmp_path)
    assert [each.value for each in background_findings.sampled_findings(empty, window, END, wait=True)] == [3.0]
    empty.remove_model("loan")
    land(empty, records[:1], tmp_path)
    GATE.clear()
    shown = background_findings.sampled_findings(empty, window, END)
    GATE.set()
    assert shown == ()
    assert [each.value for each in background_findings.sampled_findings(empty, window, END, wait=True)] == [1.0]


def test_a_store_change_between_two_state_reads_is_seen_at_the_next_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class ChangingStore:
        """A store that commits directly after its state is read for the first time."""

        home, unhurried, number, looks = tmp_path, 0, 1, 0

        def look(self) -> int:
            found = self.number
            self.looks += 1
            self.number += self.looks == 1
            return found

        generation = property(look)
        generations = property(lambda self: {"": self.look()})

    changing = ChangingStore()
    monkeypatch.setattr(process_lock, "current_store", lambda: changing)
    state_cache.displayed_state()
    assert state_cache.displayed_state().models == {"": 2}


@pytest.fixture
def counted(current: World, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the models whose findings from counts are computed, in order; `loan computed` stands for findings from explanations and
    estimates.
    """
    models: list[str] = []
    compute = background_findings.window_findings

    def noted(store: Store, window: Window, now: datetime, reads: Reads) -> tuple[Finding, ...]:
        models.append(window.model if reads == "aggregates" else f"{window.model} {reads}")
        return compute(store, window, now, reads)

    monkeypatch.setattr(background_findings, "window_findings", noted)
    monkeypatch.setattr(background_findings, "sampled_findings", lambda *asked, **options: ())
    kept_findings_of(current.store).clear()
    return models


def look() -> dict[str, tuple[Finding, ...]]:
    """The findings from counts of both models."""
    return {name: load_findings.counted_findings(load.window(Scope(name), name)) for name in ("loan", "price")}


def test_changed_rows_of_one_model_do_not_invalidate_findings_of_another(current: World, counted: list[str]) -> None:
    before = look()
    with current.store.write():
        current.store.note_changed_models(["price"])
    assert look() == before
    assert counted == [*BOTH, "price", "price computed"]


def test_an_explanation_step_does_not_invalidate_findings_that_read_no_explanations(current: World, counted: list[str]) -> None:
    """Regression: each step made all findings of the model stale, so the first page took seconds while explanations were computed."""
    before, runs = look(), load_findings.scope_record_findings(Scope())
    stamp, records = state_cache.model_stamp("price", computed=False), state_cache.store_stamp(computed=False)
    with current.store.write():
        current.store.note_changed_models([computed_values("price")])
    assert look() == before and load_findings.scope_record_findings(Scope()) == runs
    assert counted == [*BOTH, "price computed"]
    assert state_cache.model_stamp("price", computed=False) == stamp and state_cache.store_stamp(computed=False) == records
    assert state_cache.model_stamp("price") != stamp, "views of explanations are read again"


def test_saved_verdicts_pins_and_review_text_invalidate_no_findings(current: World, counted: list[str]) -> None:
    """Regression: each verdict, each pin and each text in a review made all findings stale (10 s of processor time for the sample
    fleet).
    """
    before, read = look(), state_cache.store_stamp(computed=False)
    current.store.write_records([{"kind": "verdict", **OTHERS["verdict"]}])
    assert look() == before and counted == BOTH
    assert state_cache.store_stamp(computed=False) != read, "views of verdicts are read again"


def test_a_change_that_may_affect_every_model_recomputes_all_findings(current: World, counted: list[str]) -> None:
    look()
    with current.store.write():
        pass
    look()
    assert counted == [*BOTH, *BOTH]


def test_the_next_process_reuses_saved_findings(current: World, counted: list[str], tmp_path: Path) -> None:
    before, kept = look(), kept_findings_of(current.store)
    kept.save(tmp_path, current.store.generations)
    kept.clear()
    assert kept.restore(tmp_path) == 4
    assert look() == before
    assert counted == BOTH


@pytest.fixture
def about_records(empty: Database, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """The names of the analyzers of records, in the order in which they run. The store has a dataset and a run that ended long before the
    time of the clock.
    """
    at = (END - timedelta(days=90)).isoformat()
    land(
        empty,
        [
            {"kind": "dataset", "dataset": "people", "version": "1", "at": at, "rows": 963},
            {"kind": "run", "run": "first", "model": "loan", "at": at, "event": "start"},
            {
                "kind": "run",
                "run": "first",
                "model": "loan",
                "at": (END - timedelta(days=89)).isoformat(),
                "event": "end",
                "status": "finished",
            },
        ],
        tmp_path,
    )
    names: list[str] = []
    run = analyzer_runs.run_and_recover

    def noted(engine: Store, analyzer: Analyzer, context: Context) -> list[Finding]:
        names.append(analyzer.name)
        return run(engine, analyzer, context)

    monkeypatch.setattr(check, "run_and_recover", noted)
    monkeypatch.setattr(load, "page_clock", lambda: END)
    st.cache_data.clear()
    return names


PAST = ("data/datasets", "training/runs")
"""Analyzers whose window lies in the past, because it ends with the newest record of the kinds that they read."""


def test_records_that_have_ended_are_not_analyzed_again_when_the_clock_moves(
    empty: Database, about_records: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Regression: every five minutes, and after each start, all records were analyzed again (seconds for the runs of the sample fleet)."""
    first = load_findings.scope_record_findings(Scope())
    assert first and set(PAST) < set(about_records)
    about_records.clear()
    monkeypatch.setattr(load, "page_clock", lambda: END + timedelta(minutes=5))
    again = load_findings.scope_record_findings(Scope())
    assert again == first
    assert about_records and not set(PAST) & set(about_records), "only analyzers of current state run again, not those of past records"
    about_records.clear()
    with empty.write():
        empty.note_changed_models(["loan"])
    state_cache._DISPLAYED.clear()
    load_findings.scope_record_findings(Scope())
    assert "serving/vendors" in about_records and not set(PAST) & set(about_records), (
        "new predictions rerun the analyzers that read predictions"
    )
    about_records.clear()
    empty.write_records(
        [{"kind": "event", "model": "loan", "at": END - timedelta(days=89, hours=6), "what": "deploy", "text": "version 2"}]
    )
    load_findings.scope_record_findings(Scope())
    assert set(PAST) < set(about_records), "a new event reruns all analyzers, because it may explain a finding"
    about_records.clear()
    empty.write_records([{"kind": "pin", "pin": "p1", "dashboard": "d1", "at": END, "author": "Ann"}])
    load_findings.scope_record_findings(Scope())
    assert about_records == [], "notes by people do not rerun any analyzer"


def test_a_page_reuses_record_findings_of_the_watcher(empty: Database, about_records: list[str], tmp_path: Path) -> None:
    """Regression: a page about records waited for an analysis that the watcher had just done."""
    lines = [
        {"kind": "batch", "batch": f"b{day}", "source": "s", "at": (END - timedelta(days=day, hours=1)).isoformat(), "rows": 100}
        for day in range(20)
    ]
    land(empty, lines, tmp_path)
    watcher.watch_round(empty, watcher.Watching(), END - timedelta(minutes=2), lambda *_: None)
    assert {"data/batches", *PAST} <= set(about_records)
    about_records.clear()
    found = load_findings.scope_record_findings(Scope())
    assert about_records == [] and {"data/batches", "data/datasets"} <= {each.analyzer for each in found}


def test_the_next_process_reuses_saved_findings_about_records(empty: Database, about_records: list[str], tmp_path: Path) -> None:
    first, kept = load_findings.scope_record_findings(Scope()), kept_findings_of(empty)
    kept.save(tmp_path, empty.generations)
    kept.clear()
    st.cache_data.clear()
    about_records.clear()
    kept.restore(tmp_path)
    assert load_findings.scope_record_findings(Scope()) == first
    assert not set(PAST) & set(about_records)


def test_record_findings_of_a_person_with_limited_access_are_not_cached(
    empty: Database, about_records: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    load_findings.scope_record_findings(Scope())
    about_records.clear()
    one = Person("ann", None, (("loan", "viewer"),), "oidc")
    monkeypatch.setattr(sign_in, "current_person", lambda: one)
    load_findings.scope_record_findings(Scope())
    assert set(PAST) < set(about_records)


def test_record_findings_of_an_earlier_state_are_shown_until_newer_ones_are_ready(current: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background_findings, "PATIENCE", 0.0)
    gates, given = [threading.Event(), threading.Event()], list[str]()

    def computed(state: int) -> tuple[Any, ...]:
        assert gates[state].wait(60)
        given.append(f"of state {state}")
        return (given[-1],)

    def ask(state: int) -> tuple[Any, bool]:
        return background_findings.record_findings_within(current.store, "asked", state, lambda: computed(state))

    assert ask(0) == (None, True) and ask(0) == (None, True), "two queries cause one computation"
    finish(gates[0])
    assert ask(0) == (("of state 0",), False) and ask(1) == (("of state 0",), True)
    assert background_findings.record_findings_pending(current.store, "asked")
    finish(gates[1])
    assert ask(1) == (("of state 1",), False) and not background_findings.record_findings_pending(current.store, "asked")
    assert given == ["of state 0", "of state 1"]


def finish(gate: threading.Event) -> None:
    """Open a gate, and wait until all findings are computed."""
    under_way = [*background_findings._under_way.values()]
    gate.set()
    assert not futures.wait(under_way, 60).not_done


def test_an_error_while_computing_record_findings_reaches_the_page(current: World) -> None:
    def failing() -> tuple[Finding, ...]:
        raise UsageError("the dates end before they start")

    for _ in range(2):
        with pytest.raises(UsageError, match="end before"):
            background_findings.record_findings_within(current.store, "failing", 0, failing)
    assert not background_findings.record_findings_pending(current.store, "failing")


def test_people_with_limited_access_wait_for_their_own_findings(current: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background_findings, "record_findings_within", lambda *asked: pytest.fail("those of all people"))
    monkeypatch.setattr(sign_in, "current_person", lambda: Person("ann", None, (("loan", "viewer"),), "oidc"))
    assert load_findings.known_record_findings(Scope(), "data/devices") == ([], False)
