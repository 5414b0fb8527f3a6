"""`/readyz`, `status`, the HTTP status and the banner show whether the loader works, why not, and how many records wait."""

import time
from datetime import datetime

import pytest
from starlette.routing import Route

from observability.core.errors import StoreBrokenError
from observability.dashboard import application
from observability.server import api, health, process_lock, tokens
from observability.store.db import database
from observability.store.ingest import landing
from observability.store.registry import admin
from tests.support.http_routes import ask_routes
from tests.support.landing import land
from tests.support.new_store import new_store
from tests.support.record_lines import prediction

BROKEN = StoreBrokenError("the store could not be written", got="No space left on device", attempt="Free some disk space")


@pytest.fixture
def owner(tmp_path, monkeypatch):
    """This process as the owner of a new home; `start_loader` starts its loader."""
    monkeypatch.setattr(process_lock, "LOAD_EVERY", 0.02)
    store = new_store(tmp_path / "home", threads=1)
    found = process_lock.Owner(store.home, process_lock.Lock(-1), store)
    monkeypatch.setattr(process_lock, "_current", found)
    yield found
    found.close()


@pytest.fixture
def get(owner):
    """A function that asks the routes of this owner with a read token."""
    token = tokens.create_token(owner.home, "read")[1]
    return lambda path: ask_routes([Route("/readyz", application.readiness), *api.routes()], "GET", path, token)


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)


def test_a_loader_that_works_is_ready_and_says_when_it_last_loaded(owner, get):
    assert get("/readyz").status == 503, "nobody loads yet"
    land(owner.store, prediction())
    owner.start_loader()
    wait_for(lambda: owner.loader.last_load)
    assert get("/readyz").json() == {"ready": True}
    loader = get("/api/v1/status").json()["loader"]
    assert (loader["state"], loader["failure"], loader["failures"], loader["restarts"]) == ("works", None, 0, 0)
    assert datetime.fromisoformat(loader["last_success"]) >= datetime.fromisoformat(loader["last_load"])


def test_the_store_is_counted_before_anybody_asks(owner, get, monkeypatch):
    land(owner.store, prediction())
    owner.start_loader()
    wait_for(lambda: owner.store.counted)
    monkeypatch.setattr(admin, "_database_status", None)
    assert [model["predictions"] for model in get("/api/v1/status").json()["models"]] == [1], "the status has the counts of the loader"


def test_a_loader_that_fails_is_not_ready_says_why_and_works_again_by_itself(owner, get, monkeypatch):
    monkeypatch.setattr(process_lock, "LONGEST_PAUSE", 0.05)
    land(owner.store, prediction())
    with monkeypatch.context() as broken:
        broken.setattr(owner.store, "load_landing", lambda progress=None: (_ for _ in ()).throw(BROKEN))
        owner.start_loader()
        wait_for(lambda: owner.loader.failures >= 2)
        answer = get("/readyz")
        assert answer.status == 503 and "No space left" in answer.json()["error"] and answer.json()["try"] == "Free some disk space"
        answer = get("/api/v1/status")
        body = answer.json()
        assert answer.status == 200 and body["landing"]["segments"] == 1 and body["waiting"]["seconds"] >= 0
        loader = body["loader"]
        assert loader["state"] == "fails" and "No space left" in loader["failure"] and loader["try"] == "Free some disk space"
        assert loader["failures"] >= 2 and loader["last_failure"] and loader["next_try"]
        assert "New records are not loaded" in body["problems"][0] and "Free some disk space" in body["problems"][0]
        assert health.all_problems(owner.store) and "wait in landing" in health.all_problems(owner.store)[0]
    wait_for(lambda: owner.loader.failure is None)
    assert get("/readyz").status == 200
    wait_for(lambda: get("/api/v1/status").json()["landing"]["segments"] == 0)
    assert get("/api/v1/status").json()["problems"] == [] and get("/api/v1/status").json()["loader"]["failures"] == 0


def test_the_pause_between_attempts_doubles_up_to_a_bound():
    state = process_lock.LoaderState()
    pauses = []
    for _ in range(12):
        pauses.append(state.pause())
        state.failed(BROKEN)
    assert pauses[:4] == [process_lock.LOAD_EVERY * factor for factor in (1, 2, 4, 8)]
    assert max(pauses) == pauses[-1] == process_lock.LONGEST_PAUSE
    state.succeeded(0)
    assert state.pause() == process_lock.LOAD_EVERY


def test_loads_begin_every_second_however_long_they_take():
    """Regression: the next load began one second after the previous one had ended. Under load, this was most of a reader's wait."""
    pauses = [process_lock.LoaderState(took=seconds).pause() for seconds in (0.0, 0.3, 0.7, 5.0)]
    assert pauses == pytest.approx([process_lock.LOAD_EVERY, 0.7, 0.3, process_lock.SHORTEST_PAUSE])


def test_a_load_that_failed_is_tried_after_the_whole_pause():
    assert process_lock.LoaderState(took=0.9, failures=1).pause() == 2 * process_lock.LOAD_EVERY


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_loader_thread_that_dies_is_started_again_and_counted(owner, get, monkeypatch):
    deaths = [SystemExit("the thread is gone"), SystemExit("and again")]
    real = owner.store.load_landing

    def dying(progress=None):
        if deaths:
            raise deaths.pop()
        return real(progress)

    monkeypatch.setattr(owner.store, "load_landing", dying)
    land(owner.store, prediction())
    owner.start_loader()
    wait_for(lambda: owner.loader.last_load)
    assert owner.loader.restarts == 2
    assert get("/readyz").status == 200
    assert get("/api/v1/status").json()["loader"]["restarts"] == 2


def test_readiness_starts_a_dead_loader_where_nobody_looks_after_it(owner):
    owner.thread = process_lock.started_thread("dead", lambda: None)
    owner.thread.join()
    assert health.loader_status()["state"] == "dead" and "started again" in health.loader_problems()[0]
    health.require_readiness()
    assert owner.thread.is_alive() and owner.loader.restarts == 1


def test_a_disk_that_is_nearly_full_is_not_ready(owner, get, monkeypatch):
    owner.start_loader()
    wait_for(lambda: owner.loader.last_success)
    monkeypatch.setattr(database, "FLOOR_BYTES", 2**62)
    answer = get("/readyz")
    assert answer.status == 503 and "nearly full" in answer.json()["error"]


@pytest.mark.parametrize("counted", [False, True])
def test_the_status_is_given_while_the_database_cannot_be_read(owner, get, monkeypatch, counted):
    owner.start_loader()
    wait_for(lambda: owner.store.counted)
    if counted:
        assert get("/api/v1/status").json()["problems"] == []
    else:
        owner.store.counted = None
    monkeypatch.setattr(owner.store, "_open", lambda: (_ for _ in ()).throw(StoreBrokenError("the store cannot be opened", got="a reason")))
    owner.store._close(owner.store._connection)
    owner.store._connection = None
    assert get("/readyz").status == 503
    answer = get("/api/v1/status")
    assert answer.status == 200, answer.body
    body = answer.json()
    assert any("The database cannot be read" in sentence and "a reason" in sentence for sentence in body["problems"])
    told = [sentence for sentence in body["problems"] if "cannot be read" in sentence]
    assert len(told) == 1 and told == [sentence for sentence in health.all_problems(owner.store) if "cannot be read" in sentence]
    if not counted:
        assert body["models"] == [] and body["loaded"]["segments"] is None and body["database"]["schema"] is None


def test_segments_that_were_set_aside_are_counted_and_named(owner, get):
    path = land(owner.store, prediction())
    landing.set_segment_aside(owner.store.landing, landing.published_segments(owner.store.landing)[0], "a reason")
    body = get("/api/v1/status").json()
    assert body["landing"]["failed"] == 1
    assert [(each["segment"], each["reason"]) for each in body["set_aside"]] == [(path.name, "a reason")]
    assert any("1 segment could not be loaded" in sentence and "Retry" in sentence for sentence in body["problems"])


def test_the_status_is_given_while_the_landing_folder_cannot_be_read(owner, get):
    land(owner.store, prediction()).unlink()
    ready = owner.store.landing / "ready"
    ready.rmdir()
    ready.write_text("a file in its place")
    owner.start_loader()
    wait_for(lambda: owner.loader.failures)
    answer = get("/api/v1/status")
    assert answer.status == 200, answer.body
    body = answer.json()
    assert "The landing folder cannot be used" in body["problems"][0] and "cannot be read" in body["problems"][1]
    assert body["landing"]["segments"] is None and body["loaded"]["segments"] == 0
