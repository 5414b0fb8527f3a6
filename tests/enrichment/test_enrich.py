"""Every model is processed, a failing job does not stop the others, and the thread works only if something is new."""

import threading
import time
from pathlib import Path
from unittest import mock

import pytest

from observability.cli import main
from observability.core.errors import NotFoundError, UsageError
from observability.enrichment import enrich
from observability.enrichment.enrich import EnrichmentResult, EnrichmentState
from observability.server import process_lock
from observability.store.db.database import Database
from tests.support import live_world
from tests.support.commanding import Command, one_sentence, spawn
from tests.support.explained_model import START, explain, load, prediction, registered
from tests.support.new_store import new_store


@pytest.fixture
def store(tmp_path: Path):
    found = registered(tmp_path / "home")
    load(found, [prediction(f"p{k}", START) for k in range(30)])
    load(found, [prediction(f"p{k}", START, model="other", version="9") for k in range(5)])
    yield found
    found.close()


class Counted:
    """A job that takes the given number of steps for each model."""

    def __init__(self, steps: int, fails_on: str | None = None) -> None:
        self.left: dict[str, int] = {}
        self.steps, self.fails_on, self.__name__ = steps, fails_on, f"counted {steps}"

    def __call__(self, store, worker, model, progress, stopping) -> int:
        if model.name == self.fails_on:
            raise UsageError("this one breaks", got=model.name)
        left = self.left.setdefault(model.name, self.steps)
        self.left[model.name] = max(left - 1, 0)
        progress(1 - left / self.steps, f"step {left}")
        return 10 if left else 0


def test_every_model_is_processed_and_a_failure_does_not_stop_the_others(store: Database) -> None:
    said: list[tuple[float, str]] = []
    first, second = Counted(3), Counted(2, fails_on="loan")
    done = enrich.enrich_models(store, progress=lambda share, text: said.append((share, text)), jobs=(second, first), worker=mock.Mock())
    assert done == EnrichmentResult({"loan": 30, "other": 50}, {"loan": "this one breaks; got loan."})
    assert (0.0, "step 3") in said
    with pytest.raises(NotFoundError):
        enrich.enrich_models(store, "nobody")


def test_a_stop_request_ends_enrichment_between_two_steps(store: Database) -> None:
    stopping = threading.Event()
    job = Counted(50)
    done = enrich.enrich_models(store, "loan", lambda *_: stopping.set(), jobs=(job,), worker=mock.Mock(), stopping=stopping)
    assert done.rows == {"loan": 10}


def test_enrichment_jobs_are_explanations_and_error_estimates(store: Database) -> None:
    assert [each.__name__ for each in enrich.JOBS] == ["explain_rows", "estimate_errors"]


def wait_for(what, seconds: float = 60.0) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_the_enrichment_thread_works_on_new_records_keeps_the_last_failure_and_ends(
    store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PAUSE", "IDLE", "AFTER_FAILURE"):
        monkeypatch.setattr(enrich, name, 0.01)
    monkeypatch.setattr(enrich, "_lower_priority", lambda: None)
    job, broken = Counted(3), Counted(1, fails_on="loan")
    monkeypatch.setattr(enrich, "JOBS", (broken, job))
    state, stopping = EnrichmentState(), threading.Event()
    thread = threading.Thread(target=enrich.run_enrichment_thread, args=(store, state, stopping), kwargs={"first_wait": 0.0})
    thread.start()
    wait_for(lambda: job.left.get("loan") == 0 and job.left.get("other") == 0)
    wait_for(lambda: not state.busy)
    assert state.failure is not None and "loan: this one breaks" in state.failure
    broken.fails_on = None
    wait_for(lambda: broken.left.get("loan") == 0)
    job.left.clear()
    load(store, [prediction("p77", START)])
    wait_for(lambda: job.left.get("loan") == 0)
    wait_for(lambda: state.failure is None)
    stopping.set()
    thread.join(timeout=60)
    assert not thread.is_alive()


def test_steps_run_in_a_separate_worker_so_that_no_person_waits(store: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    used, stopping = [], threading.Event()

    def step(store, worker, model, progress, stopping) -> int:
        used.append(worker)
        return 0

    monkeypatch.setattr(enrich, "JOBS", (step,))
    monkeypatch.setattr(enrich, "_lower_priority", lambda: None)
    with (
        mock.patch("observability.worker.process.Worker") as made,
        mock.patch("observability.worker.process.warm_worker", side_effect=AssertionError),
    ):
        thread = threading.Thread(
            target=enrich.run_enrichment_thread, args=(store, EnrichmentState(), stopping), kwargs={"first_wait": 0.0}
        )
        thread.start()
        wait_for(lambda: len(used) == 2)
        stopping.set()
        thread.join(timeout=60)
    assert set(used) == {made.return_value} and not thread.is_alive()
    made.assert_called_once_with()
    made.return_value.close.assert_called_once_with()


def test_models_and_jobs_take_turns(store: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[tuple[str, str]] = []

    class Noted(Counted):
        def __call__(self, store, worker, model, progress, stopping) -> int:
            rows = super().__call__(store, worker, model, progress, stopping)
            done.extend([(self.__name__, model.name)] if rows else [])
            return rows

    monkeypatch.setattr(enrich, "JOBS", (Noted(3), Noted(2)))
    state, failed = EnrichmentState(), set()
    while enrich.enrichment_round(store, mock.Mock(), state, threading.Event(), failed):
        pass
    turn = [(job, model) for job in ("counted 3", "counted 2") for model in ("loan", "other")]
    assert done == [*turn, *turn, ("counted 3", "loan"), ("counted 3", "other")] and not failed


def test_the_enrichment_thread_waits_for_the_loader(store: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enrich, "IDLE", 0.01)
    job, stopping = Counted(1), threading.Event()
    monkeypatch.setattr(enrich, "JOBS", (job,))
    with store.loading:
        thread = threading.Thread(
            target=enrich.run_enrichment_thread, args=(store, EnrichmentState(), stopping), kwargs={"first_wait": 0.0}
        )
        thread.start()
        time.sleep(0.3)  # thirty idle pauses, because no event shows that nothing is done
        stopping.set()
        thread.join(timeout=60)
    assert job.left == {} and not thread.is_alive()


def test_the_owner_process_starts_and_stops_enrichment_unless_disabled_by_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(enrich.SWITCH, "off")
    holder = process_lock.Owner(tmp_path / "home", process_lock.take_lock(tmp_path / "home"), new_store(tmp_path / "home"))
    holder.start_enricher()
    assert holder.enricher is None
    monkeypatch.setenv(enrich.SWITCH, "on")
    holder.start_enricher()
    assert holder.enricher is not None and holder.enricher.is_alive() and holder.enriching is not None
    holder.close()
    assert not holder.enricher.is_alive()


def test_the_explain_command_states_count_and_method(tmp_path: Path, command: Command) -> None:
    registered(tmp_path / "home").close()
    with new_store(tmp_path / "home") as store:
        load(store, [prediction(f"p{k}", START) for k in range(30)])
        load(store, [prediction(f"p{k}", START, model="other", version="9") for k in range(5)])
    with mock.patch("observability.worker.requests.explain_scores", explain), mock.patch.object(enrich, "JOBS", enrich.JOBS[:1]):
        body = command(tmp_path / "home", "explain", "--json").json()
        assert body["rows"] == {"loan": 90, "other": 0} and body["failures"] == {}
        assert body["versions"]["loan"]["1"]["method"] == "shap linear" and body["versions"]["other"] == {}
        done = command(tmp_path / "home", "explain", "--model", "loan")
    assert done.code == 0 and "90 explained so far, method shap linear" in done.out and "loan: 0 predictions" in done.out
    one_sentence(command(tmp_path / "home", "explain", "--model", "lone"), 2, "lone", "loan")


def test_the_test_world_has_logged_and_computed_explanations(tmp_path: Path) -> None:
    """The store on which the laws are checked has logged and computed attributions, so that there are data for these checks."""
    with live_world.build(tmp_path) as store:
        methods = store.cursor().execute("SELECT method, count(*) FROM attributions_1 GROUP BY method").fetchall()
    assert {name for name, _ in methods} == {"logged", "shap tree"} and all(n > 50 for _, n in methods)


def test_another_command_is_answered_while_explain_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a dashboard, `explain` keeps working here until `status` has an answer."""
    home, answered, given_up = tmp_path / "home", threading.Event(), threading.Event()
    registered(home).close()

    def endless(*_given: object) -> int:
        return 0 if answered.wait(0.05) or given_up.is_set() else 1

    monkeypatch.setenv("OBSERVABILITY_HOME", str(home))
    monkeypatch.setattr(enrich, "JOBS", (endless,))
    said: list[int] = []
    explaining = threading.Thread(target=lambda: said.append(main.main(["explain", "--json"])))
    explaining.start()
    try:
        done = spawn(home, "status", "--json")
        assert done.code == 0 and done.json()["models"][0]["model"] == "loan" and explaining.is_alive(), done
        answered.set()
    finally:
        given_up.set()
        explaining.join()
    assert said == [0]


def test_a_time_limit_ends_enrichment_after_one_successful_step(store: Database) -> None:
    job = Counted(3, fails_on="other")
    calls = [enrich.enrich_models(store, jobs=(job,), worker=mock.Mock(), seconds=0.0) for _ in range(4)]
    assert [(each.rows, each.unfinished) for each in calls] == [*[({"loan": 10}, True)] * 3, ({}, False)]
    assert list(calls[-1].failures) == ["other"]
