"""The first and the last step of a long run with a value that is not finite are always read, even if other steps are left out."""

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from observability.analyzers.training.runs import judged_runs
from observability.core.catalog import Model
from observability.core.questions import Records
from observability.core.window import EPOCH, Window
from observability.simulation.memory_engine import MemoryEngine
from observability.store.duck_store import DuckStore
from observability.store.rollup.noted_steps import drop_noted_steps, redo_noted_steps
from observability.store.types.loading import LoadDefaults
from tests.support import reference_engine
from tests.support.new_store import new_store

START = datetime(2026, 3, 2, tzinfo=UTC)
WINDOW = Window("", EPOCH, START + timedelta(days=1))
COLUMNS = ("run", "at", "step", "metrics", "rank")
QUESTION = Records("step", COLUMNS, ever=True, spread=200)
NOT_FINITE = {("odd", 4): "NaN", ("odd", 100): "Infinity", ("odd", 398): "-Infinity"}
ANOTHER = {("odd", 50): "NaN", ("odd", 60): "NaN", ("odd", 70): "NaN"}
"""Values of another metric that are not finite, all at steps between those of the first metric."""
ODD = [*range(1, 401, 2), 4, 50, 70, 398, 400]
"""The steps of the run `odd` that are read: every second step, the last step, and for each metric the first and the last step with a value
that is not finite.
"""


def step_lines() -> str:
    """Records of three runs of 400 steps; one of them has values that are not finite. Some metrics and one run have names that look like
    such values.
    """
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
    """The steps of a run that the answer to the question contains."""
    frame = store.ask(QUESTION, window)
    return sorted(frame.loc[frame["run"] == run, "step"])


def test_every_engine_reads_the_first_and_the_last_step_with_a_value_that_is_not_finite(store: DuckStore) -> None:
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
        writer.execute("DROP TABLE step_extremes")
        writer.execute("DELETE FROM migrations WHERE version > 11")
    home = store.home
    store.close()
    with closing(new_store(home)) as again:
        assert steps_read(again, "odd") == sorted(ODD)


def test_the_finding_names_the_first_step_and_that_not_all_were_read(store: DuckStore) -> None:
    """Regression: if only every n-th step of a run was read, a value that is not finite at another step was not reported."""

    def ask(wanted: Records, window: Window) -> pd.DataFrame:
        return store.ask(replace(wanted, spread=200) if wanted.spread else wanted, window)

    judged = judged_runs(ask, "", WINDOW.end)
    (run,) = [each for each in judged.runs if each.name == "odd"]
    (claim,) = [each for each in judged.claims(run, WINDOW.end) if each.metric == "non_finite_steps"]
    assert (claim.value, claim.low, claim.high) == (2, 2, None), "there may be more such values in steps that were not read"
    assert claim.severity == "watch" and claim.onset == START + timedelta(seconds=4)
    assert claim.because == (
        "In run `odd`, `loss` was not finite in at least 2 steps, first at step 4 and last at step 398; `other` too; later steps are finite again. "
        "One step in 2 was read."
    )


def spike_lines(steps: int, ranks: int) -> str:
    """A run whose loss has a spike of one step at 3/4 of its steps; if there are several ranks, the first one also has a spike at 1/4."""
    rng = np.random.default_rng(5)
    lines = []
    for step in range(1, steps + 1):
        for rank in range(ranks):
            spike = step == 3 * steps // 4 or (rank == 0 and ranks > 1 and step == steps // 4)
            loss = round(2 * step**-0.3 + 0.01 * rng.standard_normal() + 2 * spike, 5)
            at = (START + timedelta(milliseconds=800 * step)).isoformat()
            rest = {"rank": str(rank)} if ranks > 1 else {}
            lines.append(
                {"kind": "step", "run": "spiky", "at": at, "received_at": at, "step": step, "metrics": {"train_loss": loss}} | rest
            )
    return "\n".join(map(json.dumps, lines))


def spiky_store(folder: Path, steps: int, ranks: int) -> DuckStore:
    """A store with a run that has a spike of one step."""
    path = folder / "spiky.jsonl"
    path.write_text(spike_lines(steps, ranks), encoding="utf-8")
    found = new_store(folder / "home")
    assert found.load_files([path], LoadDefaults()).stored == steps * ranks
    return found


@pytest.mark.parametrize("ranks", [1, 3])
def test_every_engine_reads_the_steps_of_extremes(tmp_path: Path, ranks: int) -> None:
    with closing(spiky_store(tmp_path, 4000, ranks)) as store:
        assert steps_read(store, "spiky").count(3000) == ranks, "this step is not a multiple of the stride"
        frame = store.ask(Records("step", ever=True), WINDOW)
        memory = MemoryEngine(Model(1, "loan", "binary"), {}, {}, {"step": frame.assign(arrived=frame["at"])})
        for window in (
            WINDOW,
            replace(WINDOW, end=START + timedelta(seconds=2000)),
            replace(WINDOW, as_of=START + timedelta(seconds=2000)),
        ):
            found = store.ask(QUESTION, window)
            assert (3000 in set(found["step"])) == (window == WINDOW)
            assert set(found.loc[found["step"] == 3000, "stride"]) <= {1} and found["stride"].max() > 1
            pd.testing.assert_frame_equal(found, memory.ask(QUESTION, window), check_dtype=False)
            expected = reference_engine.records(store, QUESTION, window)
            names = ["run", "at", "step", "stride"]
            pd.testing.assert_frame_equal(found[names], expected[names], check_dtype=False)


def test_a_spike_of_one_step_in_100_000_is_named(tmp_path: Path) -> None:
    """Regression: of a run of 100,000 steps, every eighth is read, and a spike between these steps was not reported."""
    with closing(new_store(tmp_path / "home")) as store:
        lines = spike_lines(100_001, 1).splitlines()  # step 75,000 is not read, because only steps 1 + 8 n are
        for part in range(2):
            path = tmp_path / f"{part}.jsonl"
            path.write_text("\n".join(lines[part::2]), encoding="utf-8")
            store.load_files([path], LoadDefaults())
        judged = judged_runs(store.ask, "", WINDOW.end)
        (run,) = judged.runs
        assert run.stride == 9 and run.steps == 100_001
        assert all(each.steps[each.chosen].tolist() == [75_000] for each in run.curves.values())
        (claim,) = [each for each in judged.claims(run, WINDOW.end) if each.metric == "metric_spike"]
        assert claim.evidence["step"] == 75_000 and "at step 75,000, " in claim.because and len(claim.evidence["all"]) == 1
        with store.write() as writer:
            writer.execute("DELETE FROM step_extremes")
        (run,) = (blind := judged_runs(store.ask, "", WINDOW.end)).runs
        assert not [each for each in blind.claims(run, WINDOW.end) if each.metric == "metric_spike"], (
            "without the notes the spike is not found"
        )


def test_notes_of_removed_steps_go_and_changed_texts_are_noted_anew(tmp_path: Path) -> None:
    with closing(spiky_store(tmp_path, 400, 1)) as store, store.write() as writer:
        held = writer.execute("SELECT block, high_step FROM step_extremes ORDER BY block").fetchall()
        assert len(held) == 7 and held[4] == (4, 300)
        writer.execute("DELETE FROM steps WHERE step >= 320")
        drop_noted_steps(writer)
        assert writer.execute("SELECT max(block), count(*) FROM step_extremes").fetchall() == [(4, 5)]
        writer.execute("UPDATE steps SET metrics = replace(metrics::VARCHAR, 'train_loss', '[erased]')::JSON")
        redo_noted_steps(writer)
        assert writer.execute("SELECT DISTINCT metric FROM step_extremes").fetchall() == [("[erased]",)]


EXTREMES = "SELECT * FROM step_extremes ORDER BY run, block, metric"


@pytest.mark.parametrize("backwards", [False, True])
def test_loads_of_one_step_leave_one_note_of_each_block_and_metric(tmp_path: Path, *, backwards: bool) -> None:
    """Regression: each load left its own note, so a training run that was followed had about as many notes as values."""
    rng = np.random.default_rng(4)
    with closing(new_store(tmp_path / "home")) as store:
        for step in range(150, 49, -1) if backwards else range(50, 151):
            at = (START + timedelta(seconds=step)).isoformat()
            metrics = {f"m{number}": round(rng.standard_normal(), 1) for number in range(5)}  # many values are equal
            path = tmp_path / "step.jsonl"
            path.write_text(json.dumps({"kind": "step", "run": "live", "at": at, "step": step, "metrics": metrics}), encoding="utf-8")
            assert store.load_files([path], LoadDefaults()).stored == 1
        with store.write() as writer:
            held = writer.execute(EXTREMES).fetchall()
            assert len(held) == 3 * 5, "steps 50 to 150 are in 3 blocks"
            redo_noted_steps(writer)
            assert writer.execute(EXTREMES).fetchall() == held, "the same notes as from all records at once"
            logged = writer.execute("SELECT step, metrics::VARCHAR FROM steps ORDER BY step").fetchall()
        for _, block, metric, low, low_step, high, high_step in held:
            values = {step: json.loads(text)[metric] for step, text in logged if step // 64 == block}
            least, greatest = min(values, key=values.__getitem__), max(values, key=values.__getitem__)
            assert (low, low_step, high, high_step) == (values[least], least, values[greatest], greatest)


def test_a_block_that_lost_its_extreme_is_noted_anew(tmp_path: Path) -> None:
    """Regression: the note of a removed step remained as long as its block had other steps."""
    with closing(spiky_store(tmp_path, 400, 1)) as store, store.write() as writer:
        assert writer.execute("SELECT high_step FROM step_extremes WHERE block = 4").fetchall() == [(300,)]
        writer.execute("INSERT INTO not_finite_steps VALUES ('spiky', 300), ('spiky', 301)")
        writer.execute("DELETE FROM steps WHERE step <= 300")
        drop_noted_steps(writer)
        held = writer.execute(EXTREMES).fetchall()
        assert [block for _, block, *_ in held] == [4, 5, 6] and held[0][6] > 300
        assert writer.execute("FROM not_finite_steps").fetchall() == [("spiky", 301)]
        redo_noted_steps(writer)
        assert writer.execute(EXTREMES).fetchall() == held
        writer.execute("DELETE FROM steps")
        drop_noted_steps(writer)
        assert not writer.execute("FROM step_extremes").fetchall()


def test_in_memory_a_model_without_steps_has_an_empty_answer(store: DuckStore) -> None:
    """Regression: the mask of no rows was taken for a list of no columns."""
    frame = store.ask(Records("step", ever=True), WINDOW)
    memory = MemoryEngine(Model(1, "loan", "binary"), {}, {}, {"step": frame.assign(arrived=frame["at"])})
    assert memory.ask(QUESTION, replace(WINDOW, end=START)).empty
