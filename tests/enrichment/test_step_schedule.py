"""The scheduler of enrichment steps: the step expected to be shortest comes first, no step starves or is lost, and the rotation steers
whenever it must.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from observability.core.catalog import OWN_CONTROLLER
from observability.core.questions import CONTROLLER_DECISION, Records
from observability.core.window import EPOCH, Window
from observability.enrichment import enrich, schedule_log, step_schedule
from observability.enrichment.schedule_log import ScheduleLog, recall_times
from observability.enrichment.step_schedule import GUARD_LAST, GUARD_REST, MAX_SKIPS, MIN_MEASURED, Step, StepScheduler
from observability.metrics.controllers import DECISIONS, GUARDRAIL, OFF, controllers_of
from observability.store.db.database import Database
from tests.support.new_store import new_store

STEPS: list[Step] = [("explain", "slow"), ("explain", "quick"), ("errors", "middle")]
SECONDS = {("explain", "slow"): 9.0, ("explain", "quick"): 1.0, ("errors", "middle"): 3.0}
NOT_SHARED = next(
    moment
    for minute in range(100)
    if not step_schedule.is_share_of_rotation(moment := datetime(2026, 3, 2, tzinfo=UTC) + timedelta(minutes=2 * minute))
)


def trained(rounds: int = 6) -> StepScheduler:
    """A scheduler that has measured every step."""
    scheduler = StepScheduler()
    for _ in range(rounds):
        for step, seconds in SECONDS.items():
            scheduler.learned(step, seconds)
    return scheduler


def after(steps: list[Step], step: Step | None) -> list[Step]:
    """The steps in rotation, beginning with the one after the given step."""
    place = steps.index(step) + 1 if step else 0
    return [*steps[place:], *steps[:place]]


def test_steps_are_ordered_by_expected_duration_and_none_is_lost() -> None:
    decided = trained().scheduled(STEPS, off=False, now=NOT_SHARED)
    assert decided.by == "model" and decided.order == (("explain", "quick"), ("errors", "middle"), ("explain", "slow"))
    assert sorted(decided.order) == sorted(decided.rotation) == sorted(STEPS)
    expected = decided.predicted["explain", "slow"]
    assert expected.low < 9.0 < expected.high and expected.seconds > decided.predicted["errors", "middle"].seconds


@pytest.mark.parametrize("seed", range(20))
def test_no_step_waits_longer_than_the_bound_whatever_the_times(seed: int) -> None:
    rng = np.random.default_rng(seed)
    steps: list[Step] = [("job", f"m{place}") for place in range(int(rng.integers(2, 9)))]
    scheduler, last, turn = StepScheduler(), dict.fromkeys(steps, 0), None
    for round_number in range(1, 400):
        decided = scheduler.scheduled(after(steps, turn), off=False, now=NOT_SHARED)
        assert sorted(decided.order) == sorted(steps)
        turn = decided.order[0]
        seconds = float(10 ** rng.uniform(-3, 4)) if seed % 2 else (0.01 if turn == steps[0] else 1000.0)
        scheduler.ran(decided, turn, seconds, steps)
        last[turn] = round_number
        assert round_number - min(last.values()) <= MAX_SKIPS + len(steps)


def test_jobs_finish_earlier_on_average_than_by_rotation_in_the_same_total_time() -> None:
    """With three jobs of many steps, jobs end earlier on average, and the total time is the same."""

    def ends(scheduler: StepScheduler | None) -> list[float]:
        left, clock, done, turn = dict.fromkeys(STEPS, 6), 0.0, [], None
        while any(left.values()):
            rotation = [step for step in after(STEPS, turn) if left[step]]
            decided = (scheduler or StepScheduler()).scheduled(rotation, off=scheduler is None, now=NOT_SHARED)
            turn = decided.order[0]
            clock += SECONDS[turn]
            left[turn] -= 1
            done += [clock] if not left[turn] else []
            if scheduler:
                scheduler.ran(decided, turn, SECONDS[turn], rotation)
        return done

    ours, rotation = ends(trained()), ends(None)
    assert ours[-1] == rotation[-1] and np.mean(ours) < 0.8 * np.mean(rotation)


def test_rotation_is_used_before_enough_is_measured_in_its_share_and_while_the_switch_is_on(monkeypatch: pytest.MonkeyPatch) -> None:
    cold = StepScheduler()
    for _ in range(MIN_MEASURED - 1):
        cold.learned(STEPS[0], 2.0)
    assert cold.scheduled(STEPS, off=False, now=NOT_SHARED).by == "guardrail"
    cold.learned(STEPS[1], 2.0)
    assert cold.scheduled(STEPS, off=False, now=NOT_SHARED).by == "model"
    off = trained().scheduled(STEPS, off=True, now=NOT_SHARED)
    assert off.by == "off" and list(off.order) == STEPS
    moments = [datetime(2026, 3, 2, tzinfo=UTC) + timedelta(minutes=2 * place) for place in range(2000)]
    shared = [moment for moment in moments if step_schedule.is_share_of_rotation(moment)]
    assert 0.15 < len(shared) / len(moments) < 0.25
    decided = trained().scheduled(STEPS, off=False, now=shared[0])
    assert decided.by == "heuristic" and list(decided.order) == STEPS
    assert not step_schedule.is_switched_off(False) and step_schedule.is_switched_off(True)
    monkeypatch.setenv(step_schedule.SWITCH, "off")
    assert step_schedule.is_switched_off(False)


def test_the_guardrail_suspends_a_model_with_bad_predictions_and_later_retries_it() -> None:
    scheduler = trained()
    for _ in range(GUARD_LAST):
        decided = scheduler.scheduled(STEPS, off=False, now=NOT_SHARED)
        assert decided.by == "model"
        scheduler.errors.append(2.0)
    scheduler.ran(decided, decided.order[0], 100.0, STEPS)
    seen = []
    for _ in range(GUARD_REST + 1):
        decided = scheduler.scheduled(STEPS, off=False, now=NOT_SHARED)
        seen.append(decided.by)
        scheduler.ran(decided, decided.order[0], decided.predicted[decided.order[0]].seconds, STEPS)
    assert seen == ["guardrail"] * GUARD_REST + ["model"]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Database]:
    with closing(new_store(tmp_path / "home", threads=1)) as opened:
        yield opened


def decide(store: Database, log: ScheduleLog, count: int, turn: Step | None = None) -> None:
    """Let a schedule log decide on some steps and run them."""
    for _ in range(count):
        decided = log.scheduled(store, after(STEPS, turn))
        turn = decided.order[0]
        log.ran(store, decided, turn, SECONDS[turn])


def test_decisions_land_with_both_outcomes_and_a_new_process_learns_from_them(store: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step_schedule, "is_share_of_rotation", lambda at: False)
    log = ScheduleLog()
    decide(store, log, 30)
    assert store.ask(Records(CONTROLLER_DECISION, ("id",), ever=True), Window("", EPOCH, datetime.now(UTC))).empty, (
        "decisions are kept in memory until they are stored"
    )
    log.stored(store)
    window = Window("", datetime.now(UTC) - timedelta(days=7), datetime.now(UTC) + timedelta(hours=1))
    (found,) = controllers_of(store.ask(DECISIONS, window), window)
    assert (found.model, found.unit, found.system, len(found.rows)) == (OWN_CONTROLLER, "s", "scheduler", 30)
    assert (found.rows["by"] == GUARDRAIL).sum() == MIN_MEASURED, "the rotation decided the first ones"
    pairs = found.pairs
    seconds = {"/".join(step): value for step, value in SECONDS.items()}
    assert len(pairs) >= 15 and (pairs["outcome"] == pairs["decision"].map(seconds)).all()
    assert (pairs["baseline_outcome"] == pairs["baseline"].map(seconds)).all() and (pairs["baseline"] != pairs["decision"]).any()
    fresh = StepScheduler()
    recall_times(store, fresh)
    assert fresh.times[None].n == 30 and fresh.predicted(("explain", "slow")).seconds > fresh.predicted(("explain", "quick")).seconds
    assert fresh.scheduled(STEPS, off=False, now=NOT_SHARED).by == "model"


def test_the_controller_can_be_turned_off_in_its_settings(store: Database) -> None:
    log = ScheduleLog()
    decide(store, log, 12)
    log.stored(store)
    settings = store.catalog().model(OWN_CONTROLLER).settings
    store.update_settings(OWN_CONTROLLER, replace(settings, kill_switch=True))
    decide(store, log, 3)
    log.stored(store)
    window = Window("", datetime.now(UTC) - timedelta(days=7), datetime.now(UTC) + timedelta(hours=1))
    (found,) = controllers_of(store.ask(DECISIONS, window), window)
    assert found.rows.sort_values("at")["by"].tolist()[-3:] == [OFF] * 3


def test_a_store_that_refuses_writes_loses_decisions_but_no_work(store: Database, caplog: pytest.LogCaptureFixture) -> None:
    from observability.core.errors import StoreBrokenError

    log = ScheduleLog()
    with mock.patch.object(type(store), "write_records", side_effect=StoreBrokenError("the disk is full")):
        decide(store, log, schedule_log.MAX_KEPT + 2)
    assert len(log.kept) == 2 and "were not stored" in caplog.text


def test_the_thread_does_all_work_in_the_order_of_the_scheduler(store: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = tmp_path / "two.jsonl"
    line = '{"kind":"prediction","id":"a","at":"2026-03-02T00:00:00Z","model":"%s","version":"1","features":{},"score":0.5}\n'
    lines.write_text("".join(line % name for name in ("loan", "eta")), encoding="utf-8")
    from observability.store.types.loading import LoadDefaults

    store.load_files([lines], LoadDefaults())
    left, done = {"loan": 9, "eta": 9}, []

    def job(_store, _worker, model, _progress, _stopping):
        if not left.get(model.name):
            return 0
        left[model.name] -= 1
        done.append(model.name)
        time.sleep(0.004 if model.name == "eta" else 0.0)  # one model is slower, which the scheduler learns
        return 1

    monkeypatch.setattr(enrich, "JOBS", (job,))
    state, failed, log = enrich.EnrichmentState(), set(), ScheduleLog()
    while enrich.enrichment_round(store, mock.Mock(), state, threading.Event(), failed, log):
        pass
    assert sorted(done) == ["eta"] * 9 + ["loan"] * 9 and not failed
    log.stored(store)
    rows = store.ask(
        Records(CONTROLLER_DECISION, ("id", "prediction"), ever=True), Window("", EPOCH, datetime.now(UTC) + timedelta(hours=1))
    )
    assert len(rows) == 18 and not enrich.enrichment_round(store, mock.Mock(), state, threading.Event(), failed, log)
