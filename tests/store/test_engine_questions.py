"""Every question of every analyzer gets the same answer on each engine in tests/support/engines.py.

The worlds are simulated weeks without faults, of the synthetic model and of each model of the sample fleet. They are loaded as lines into a
store, and held as rows in memory.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from observability.analyzers import discover
from observability.core.analyzer import EVERY_MODEL, NO_VERSION, Context
from observability.core.questions import Aggregate
from observability.core.window import Window
from observability.monitoring import check, check_windows
from observability.simulation.clean_log import CleanStream, SimulationBase
from observability.simulation.log_from_store import simulation_base
from observability.simulation.replay import ReplayLab
from observability.simulation.temporary_store import load_days, temporary_store
from observability.store.engine import BoundQuestion, Engine
from observability.store.opener import open_store
from tests.support.engines import ENGINES, OTHER_SUITES, engine_classes, without_suite
from tests.support.length import LONG, some
from tests.support.sample_home import lent
from tests.support.simulation_world import credit
from tests.support.store_comparison import assert_same

DAYS, ROWS_A_DAY, REFERENCE_ROWS = 12, 60, 600
MODELS = ("sentiment", *(("flights-delay", "credit", "flights-late", "employment") if LONG else ()))
"""Only models with several classes. Other tests ask the same questions of regression and binary models: law 8 in tests/test_laws.py,
test_engine_conformance.py and tests/simulation/test_memory_engine.py.
"""
DAY = timedelta(days=1)
DUCK, REFERENCE = "DuckStore", "ReferenceEngine"
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class World:
    """One model on each engine, and the window of the questions, which is its last seven days. Some labels of this window have not arrived
    yet.
    """

    engines: dict[str, Engine]
    window: Window
    known: dict[tuple[str, BoundQuestion], pd.DataFrame] = field(default_factory=dict)

    @property
    def compared(self) -> dict[str, Engine]:
        """The engines that are compared with the reference engine."""
        return {name: engine for name, engine in self.engines.items() if name != REFERENCE}

    def asked_alone(self, engine: str, question: BoundQuestion) -> pd.DataFrame:
        """The answer of an engine to a single question. It is cached for all tests, because no test writes to these stores."""
        if (engine, question) not in self.known:
            self.known[engine, question] = self.engines[engine].ask(*question)
        return self.known[engine, question].copy(deep=True)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> dict[str, SimulationBase]:
    """The simulation base of each of MODELS."""
    with lent(tmp_path_factory, "fleet") as home, open_store(home, threads=2) as store:
        found = {
            each.name: simulation_base(store, each.name, source="reference", seed=1)
            for each in store.catalog().models
            if each.name in MODELS
        }
    found["credit"] = credit(1, REFERENCE_ROWS)
    return {
        name: replace(base, reference=base.reference.take(np.arange(min(len(base.reference), REFERENCE_ROWS))))
        for name, base in found.items()
    }


@pytest.fixture(scope="module", params=MODELS)
def world(request: pytest.FixtureRequest, fleet: dict[str, SimulationBase]) -> Iterator[World]:
    base = fleet[request.param]
    stream = CleanStream(base, seed=1, past=DAYS - 1, days=1, rows_a_day=ROWS_A_DAY, label_delay=3)
    end = stream.onset + DAY
    with temporary_store(base) as store:
        assert load_days(store, base, [stream.day(number) for number in range(DAYS)]).rejected == 0
        lab = ReplayLab.of(stream, store.catalog().model(base.name))
        yield World({name: make(store, lab) for name, make in ENGINES.items()}, Window(base.name, end - 7 * DAY, end, as_of=end))


def contexts(world: World) -> Iterator[tuple[str, Context]]:
    """For each kind of analyzer, the contexts in which a check runs it."""
    duck, window = world.engines[DUCK], world.window
    model = duck.catalog().model(window.model)
    ragged = replace(window, start=window.start + timedelta(hours=5, minutes=40), end=window.end - timedelta(hours=3))
    for version in check.serving_versions(duck, model, window):
        yield from (("model", Context(model, version, replace(each, version=version.name), each.end)) for each in (window, ragged))
    yield "records", Context(EVERY_MODEL, NO_VERSION, replace(window, model=""), window.end)


def questions(world: World) -> list[BoundQuestion]:
    """Every distinct question that an analyzer asks."""
    asked = (
        (wanted.aggregate, check_windows.question_window(wanted, context))
        for about, context in contexts(world)
        for analyzer in discover()
        if analyzer.about == about
        for wanted in analyzer.needs(context).values()
    )
    return list(dict.fromkeys(asked))


def assert_equal_answers(question: BoundQuestion, got: pd.DataFrame, wanted: pd.DataFrame, engine: str) -> None:
    about = (engine, *question)
    if isinstance(question[0], Aggregate):
        assert_same(got, wanted, extremes=False, about=about)
        return
    assert list(got.columns) == list(wanted.columns), about
    timeless = {"at", "arrived"} if question[1].environment == "reference" else set()
    for name in wanted.columns.difference(timeless, sort=False):
        mine, theirs = got[name].tolist(), wanted[name].tolist()
        assert len(mine) == len(theirs), (about, name)
        assert all(map(equal_values, mine, theirs)), (about, name, mine[:5], theirs[:5])


def equal_values(one: object, other: object) -> bool:
    if pd.isna(one) or pd.isna(other):
        return bool(pd.isna(one) and pd.isna(other))
    if isinstance(one, float) and isinstance(other, float):
        return one == other or math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
    return one == other


def test_every_engine_of_the_product_is_in_a_suite() -> None:
    classes = engine_classes()
    assert classes >= {"DuckStore", "MemoryEngine", "LakeEngine"}
    assert without_suite(classes) == []
    assert len(without_suite({*classes, "ToyEngine"})) == 1
    assert set(OTHER_SUITES) <= classes and all((ROOT / file).is_file() for file in OTHER_SUITES.values())


def test_every_question_of_every_analyzer_has_one_answer(world: World) -> None:
    asked = questions(world)
    assert len(asked) > 80
    filled = 0
    for question in asked:
        wanted = world.asked_alone(REFERENCE, question)
        filled += len(wanted) > 0
        for name in world.compared:
            assert_equal_answers(question, world.asked_alone(name, question), wanted, name)
    assert filled > 40


@pytest.mark.long  # tests/store/test_query_batching.py
def test_answers_that_are_asked_together_are_those_asked_alone(world: World) -> None:
    asked = questions(world)
    for name, engine in world.engines.items():
        found = engine.ask_many(asked)
        assert set(found) <= set(asked)
        assert name != DUCK or len(found) > 20
        for question, answer in found.items():
            assert_equal_answers(question, answer, world.asked_alone(name, question), name)


@pytest.mark.parametrize("hours", some([31.5, None, 240, 30], 2))
def test_activity_counters_events_and_newest_records_are_the_same(world: World, hours: float | None) -> None:
    window = world.window
    as_of: datetime | None = None if hours is None else window.start + timedelta(hours=hours)
    wanted, model = world.engines[REFERENCE], window.model
    for name, engine in world.compared.items():
        pd.testing.assert_frame_equal(
            *(each.activity(as_of, model).sort_values(["version", "environment"], ignore_index=True) for each in (engine, wanted))
        )
        counts = [each.counters(model, replace(window, as_of=as_of)) for each in (engine, wanted)]
        assert {"not_explained": {}, **counts[0]} == counts[1], name
        assert len(engine.events(model, window.start, window.end)) == len(wanted.events(model, window.start, window.end)) == 0
        assert engine.newest_record(["run", "dataset"], model, window.end, as_of) is None


@pytest.mark.long  # law 8 in tests/test_laws.py and tests/simulation/test_memory_engine.py check the same
def test_a_check_runs_on_every_engine_with_equal_findings(world: World) -> None:
    window = world.window
    reports = {name: check.check(engine, model=window.model, end=window.end, now=window.end) for name, engine in world.engines.items()}
    wanted = {finding.id: finding.to_json() for finding in reports[REFERENCE].findings}
    assert len(wanted) > 40
    for name in world.compared:
        got = {finding.id: finding.to_json() for finding in reports[name].findings}
        assert got.keys() == wanted.keys(), name
        assert [key for key in got if not equal_json(got[key], wanted[key])] == [], name


def equal_json(one: object, other: object) -> bool:
    """Whether two JSON values are equal. Floats may differ by 1e-6, because sums are added in different orders."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal_json(one[name], other[name]) for name in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(equal_json, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-9) or one != one
    return one == other
