"""Of a long run, the first and the last step with a value that is not finite are read, whichever steps are left out."""

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from observability.analyzers.training.runs import judged_runs
from observability.core.catalog import Model
from observability.core.questions import Records
from observability.core.window import EPOCH, Window
from observability.simulation.memory_engine import MemoryEngine
from observability.store.duck_store import DuckStore
from observability.store.types.loading import LoadDefaults
from tests.support import reference_engine
from tests.support.new_store import new_store

START = datetime(2026, 3, 2, tzinfo=UTC)
WINDOW = Window("", EPOCH, START + timedelta(days=1))
COLUMNS = ("run", "at", "step", "metrics", "rank")
QUESTION = Records("step", COLUMNS, ever=True, spread=200)
NOT_FINITE = {("odd", 4): "NaN", ("odd", 100): "Infinity", ("odd", 398): "-Infinity"}
ANOTHER = {("odd", 50): "NaN", ("odd", 60): "NaN", ("odd", 70): "NaN"}
"""Values of another metric, all of them between the steps at which the first one is not finite."""
ODD = [*range(1, 401, 2), 4, 50, 70, 398, 400]
"""The steps of the run `odd` that are read: every second one, for each metric the first and the last that are not finite, and the last."""


def step_lines() -> str:
    """Two runs of 400 steps, one of them with three values that are not finite, and one whose names of metrics look like such values."""
    lines = []
    for run in ("odd", "even", 'named:"NaN"'):
        for step in range(1, 401):
            metrics = {"loss": NOT_FINITE.get((run, step), 1 / step), "other": ANOTHER.get((run, step), 1.0), 'a:"NaN"': 1.0, "NaN": 2.0}
            at = (START + timedelta(seconds=step)).isoformat()
            lines.append({"kind": "step", "run": run, "at": at, "received_at": at, "step": step, "metrics": metrics})
    return "\n".join(map(json.dumps, lines))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckStore]:
    path = tmp_path / "steps.jsonl"
    path.write_text(step_lines(), encoding="utf-8")
    with closing(new_store(tmp_path / "home")) as found:
        assert found.load_files([path], LoadDefaults()).stored == 1200
        yield found


def steps_read(store: DuckStore, run: str, window: Window = WINDOW) -> list[int]:
    """The steps of a run in the answer to the question."""
    frame = store.ask(QUESTION, window)
    return sorted(frame.loc[frame["run"] == run, "step"])


def test_every_engine_reads_the_first_and_the_last_step_with_such_a_value(store: DuckStore) -> None:
    frame = store.ask(Records("step", ever=True), WINDOW)
    memory = MemoryEngine(Model(1, "loan", "binary"), {}, {}, {"step": frame.assign(arrived=frame["at"])})
    for window in (WINDOW, replace(WINDOW, end=START + timedelta(seconds=300)), replace(WINDOW, as_of=START + timedelta(seconds=300))):
        found = store.ask(QUESTION, window)
        pd.testing.assert_frame_equal(found, memory.ask(QUESTION, window), check_dtype=False)
        expected = reference_engine.records(store, QUESTION, window)
        names = ["run", "at", "step", "stride"]
        pd.testing.assert_frame_equal(found[names], expected[names], check_dtype=False)
    assert steps_read(store, "odd") == sorted(ODD) and steps_read(store, "even") == [*range(1, 401, 2), 400]


def test_a_note_whose_record_is_gone_adds_no_step(store: DuckStore) -> None:
    with store.write() as writer:
        writer.execute("INSERT INTO not_finite_steps VALUES ('odd', 6), ('even', 2)")
        writer.execute("DELETE FROM steps WHERE run = 'odd' AND step = 398")
    assert 398 not in steps_read(store, "odd") and {2, 6}.isdisjoint(steps_read(store, "odd") + steps_read(store, "even"))


def test_an_older_store_gets_the_notes_when_it_is_opened(store: DuckStore) -> None:
    with store.write() as writer:
        writer.execute("DROP TABLE not_finite_steps")
        writer.execute("DELETE FROM migrations WHERE version = (SELECT max(version) FROM migrations)")
    home = store.home
    store.close()
    with closing(new_store(home)) as again:
        assert steps_read(again, "odd") == sorted(ODD)


def test_the_finding_names_the_first_step_and_that_not_all_were_read(store: DuckStore) -> None:
    """Regression: in a run of which every nth step is read, a value that is not finite at another step was not told."""

    def ask(wanted: Records, window: Window) -> pd.DataFrame:
        return store.ask(replace(wanted, spread=200) if wanted.spread else wanted, window)

    judged = judged_runs(ask, "", WINDOW.end)
    (run,) = [each for each in judged.runs if each.name == "odd"]
    (claim,) = [each for each in judged.claims(run, WINDOW.end) if each.metric == "non_finite_steps"]
    assert (claim.value, claim.low, claim.high) == (2, 2, None), "there may be more in steps that were not read"
    assert claim.severity == "watch" and claim.onset == START + timedelta(seconds=4)
    assert claim.because == (
        "In run `odd`, `loss` was not finite in at least 2 steps, first at step 4 and last at step 398; `other` too; later steps are finite again. "
        "One step in 2 was read."
    )


def test_in_memory_a_model_without_steps_has_an_empty_answer(store: DuckStore) -> None:
    """Regression: the mask of no rows was taken as a list of no columns."""
    frame = store.ask(Records("step", ever=True), WINDOW)
    memory = MemoryEngine(Model(1, "loan", "binary"), {}, {}, {"step": frame.assign(arrived=frame["at"])})
    assert memory.ask(QUESTION, replace(WINDOW, end=START)).empty
