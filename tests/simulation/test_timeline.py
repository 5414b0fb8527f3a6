"""The scenario lab shows findings about a store's model without changing the store."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from observability.cli import execute
from observability.core.errors import NotFoundError, UsageError
from observability.dashboard.lab import lab as lab_page
from observability.dashboard.lab.job import LAB
from observability.simulation.clean_log import CleanStream
from observability.simulation.fault_families import FRAMES as OF_FRAMES
from observability.simulation.fault_targets import TARGET_PARTS, fault_targets
from observability.simulation.faults import FAULTS
from observability.simulation.faults_augmentation import FAULTS as OF_AUGMENTATIONS
from observability.simulation.faults_cleaning import FAULTS as OF_CLEANING
from observability.simulation.faults_collection import FAULTS as OF_DEVICES
from observability.simulation.faults_controllers import FAULTS as OF_CONTROLLERS
from observability.simulation.faults_edge import FAULTS as ON_EDGE
from observability.simulation.faults_energy import FAULTS as OF_ENERGY
from observability.simulation.faults_exports import FAULTS as OF_EXPORTS
from observability.simulation.faults_forms import FAULTS as OF_FORMS
from observability.simulation.faults_labelling import FAULTS as OF_LABELLING
from observability.simulation.faults_selection import FAULTS as OF_SELECTION
from observability.simulation.faults_storage import FAULTS as OF_STORAGE
from observability.simulation.faults_studies import FAULTS as OF_STUDIES
from observability.simulation.faults_training import FAULTS as OF_RUNS
from observability.simulation.faults_vendors import FAULTS as OF_VENDORS
from observability.simulation.log_from_store import SHARE_OF_OTHERS, reference_halves, simulation_base
from observability.simulation.temporary_store import load_days, register_base
from observability.simulation.timeline import (
    COLUMNS,
    FaultTimeline,
    TimelineRequest,
    build_fault_timeline,
    fault_obstacles,
    request_targets,
)
from observability.store.db.database import Database
from observability.store.opener import open_store
from tests.support.simulation_world import credit

BASE = credit(reference_rows=1500)
CHOICE = TimelineRequest("credit", "null_surge", "strong", days=2, rows_a_day=200)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    opened = open_store(tmp_path_factory.mktemp("lab"), threads=2)
    register_base(opened, BASE)
    stream = CleanStream(BASE, seed=5, past=8, days=0, rows_a_day=200)
    load_days(opened, BASE, [stream.day(number) for number in range(8)])
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def told(store: Database) -> FaultTimeline:
    said: list[tuple[float, str]] = []
    found = build_fault_timeline(request_targets(store, CHOICE), CHOICE, lambda share, words: said.append((share, words)))
    shares = [share for share, _ in said]
    assert shares == sorted(shares)
    assert any("2 of 2" in words for _, words in said)
    return found


def test_the_simulation_base_equals_the_log_of_the_store(store: Database) -> None:
    base = simulation_base(store, "credit")
    assert base.source_note == "Days are drawn from 1,618 of its past predictions, 1,618 of them labelled."
    assert {each.reference: (each.kind, each.role, each.sensitive) for each in base.columns} == {
        each.reference: (each.kind, each.role, each.sensitive) for each in BASE.columns
    }
    served = np.concatenate(
        [CleanStream(BASE, seed=5, past=8, days=0, rows_a_day=200).day(number)["feature.income"] for number in range(8)]
    )
    np.testing.assert_allclose(np.sort(base.pool["feature.income"]), np.sort(served))
    assert len(base.reference) == 1500
    assert set(base.pool["replica"].tolist()) == {"r1", "r2", "r3", "r4"}
    assert sum(base.hours) == pytest.approx(1)
    from_reference = simulation_base(store, "credit", source="reference")
    assert len(from_reference.reference) == 750
    assert "latency_ms" in from_reference.pool
    with pytest.raises(NotFoundError, match="credit"):
        simulation_base(store, "credti")


def test_days_differ_from_half_a_reference_as_much_as_fresh_days_do() -> None:
    rng = np.random.default_rng(1)
    gaps = []
    for seed in range(300):
        rows = replace(BASE.reference, columns={"feature.x": rng.normal(size=400)})
        first, pool = reference_halves(rows, seed)
        gaps.append(pool["feature.x"].mean() - first["feature.x"].mean())
    assert pytest.approx(0.5, abs=0.01) == SHARE_OF_OTHERS**2
    assert np.var(gaps) == pytest.approx(1 / 200, rel=0.25)


def test_a_strong_fault_is_named_and_the_twin_is_silent_about_it(told: FaultTimeline) -> None:
    assert told.first_named == told.first_said == 1
    assert told.target["number"] in told.sentence
    named = [each for each in told.reported() if each.names]
    assert named and not any(each.twin for each in named)
    assert [day.number for day in told.planted] == [day.number for day in told.twin] == [1, 2]
    assert [day.end for day in told.planted] == [day.end for day in told.twin]


def test_the_rows_and_the_json_of_a_timeline_agree(told: FaultTimeline) -> None:
    body = json.loads(json.dumps(told.to_json(), default=str))
    assert body["basis"] == "simulated"
    assert body["days"] == json.loads(json.dumps(told.rows(), default=str))
    assert all(tuple(each) == COLUMNS for each in told.rows())
    assert {each["day"] for each in body["days"]} == {1, 2}


def test_a_day_without_findings_has_a_row(told: FaultTimeline) -> None:
    quiet = replace(told, planted=tuple(replace(day, incidents=()) for day in told.planted))
    assert quiet.first_said is None
    assert quiet.sentence.startswith("No finding in 2 days")
    assert [each["severity"] for each in quiet.rows()] == ["ok", "ok"]
    same = replace(told, twin=told.planted)
    assert all(each.twin for each in same.reported())
    assert same.first_said is None


def test_wrong_choices_raise_an_error_that_names_the_problem(store: Database) -> None:
    with pytest.raises(UsageError, match="days"):
        replace(CHOICE, days=0)
    scene = request_targets(store, CHOICE)
    bare = fault_targets(
        replace(scene.base, pool=replace(scene.base.pool, columns={k: v for k, v in scene.base.pool.columns.items() if k != "replica"})), 0
    )
    assert fault_obstacles(bare)["slow_replica"] == TARGET_PARTS["replica"]
    assert fault_obstacles(bare).keys() == FAULTS.keys()
    with pytest.raises(UsageError, match="replica"):
        build_fault_timeline(bare, replace(CHOICE, fault="slow_replica"))


def test_the_lab_command_lists_faults_and_refuses_unknown_ones(store: Database) -> None:
    listed = execute.execute(store, ["lab", "--list", "--json"], lambda text: None)
    body = json.loads(listed.out)
    assert [each["fault"] for each in body] == [
        *FAULTS,
        *OF_RUNS,
        *OF_LABELLING,
        *OF_DEVICES,
        *OF_VENDORS,
        *OF_FORMS,
        *ON_EDGE,
        *OF_EXPORTS,
        *OF_CONTROLLERS,
        *OF_AUGMENTATIONS,
        *OF_STORAGE,
        *OF_STUDIES,
        *OF_ENERGY,
        *OF_CLEANING,
        *OF_SELECTION,
        *OF_FRAMES,
    ]
    assert all(each["weak"] < each["middle"] < each["strong"] for each in body)
    assert execute.execute(store, ["lab", "--fault", "nul_surge"], lambda text: None).exit_code == 2
    assert execute.execute(store, ["lab"], lambda text: None).exit_code == 2


def test_only_one_simulation_job_runs_at_a_time_and_it_can_be_cancelled(store: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    scene, other = request_targets(store, CHOICE), replace(CHOICE, seed=1)
    assert LAB.start(CHOICE, "one", lambda note: build_fault_timeline(scene, CHOICE, note))
    assert LAB.start(other, "another", lambda note: build_fault_timeline(scene, other, note))
    job = LAB.current()
    assert job is not None and job.choice == CHOICE and (LAB.place(CHOICE), LAB.place(other)) == (0, 1)
    LAB.leave(other)
    job.cancel()
    until = time.monotonic() + 600
    while not job.done and time.monotonic() < until:
        time.sleep(0.05)
    assert job.done and job.failure is not None and job.failure.startswith("Cancelled")
    assert LAB.result(CHOICE) is None
    monkeypatch.setattr(LAB, "job", None)


def test_the_home_of_a_temporary_store_is_removed(told: FaultTimeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    from observability.simulation.temporary_store import temporary_store

    with temporary_store(BASE) as opened:
        assert opened.home.parent == tmp_path
    assert list(tmp_path.iterdir()) == []


def test_findings_that_also_appear_without_the_fault_are_folded_on_the_page(told: FaultTimeline) -> None:
    shown = lab_page.timeline_day_rows(told, also=False)
    assert {day for day, _ in shown} == {1, 2} and any(said is not None for _, said in shown)
    assert not any(said.twin for _, said in shown if said is not None)
    same = replace(told, twin=told.planted)
    assert lab_page.timeline_day_rows(same, also=False) == [(1, None), (2, None)]
    assert len(lab_page.timeline_day_rows(same, also=True)) == sum(1 for _ in told.reported())
