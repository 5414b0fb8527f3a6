"""The owner publishes changes, pauses after each state (a published copy of the store), and states the reason if it cannot publish."""

import time
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from observability.server import process_lock
from observability.server.health import all_problems
from observability.server.publishing import Publisher
from observability.store.db.published_files import withdraw_states
from tests.support.new_store import new_store

NOTE = {"kind": "event", "at": datetime(2026, 11, 1, tzinfo=UTC), "what": "note"}


def test_the_owner_publishes_what_changed_and_then_pauses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [time.monotonic()]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    with new_store(tmp_path / "home") as store:
        publisher = Publisher(store)
        publisher.publish_when_due()
        assert publisher.state is None
        (store.home / "keeping.toml").write_text("[publish]\nevery = 5\n")
        publisher.publish_when_due()
        assert publisher.state is None  # the settings are read again only after some seconds
        clock[0] += 11
        publisher.publish_when_due()
        first = publisher.state
        assert first is not None
        publisher._copy_due = clock[0] + 60  # as if a copy had taken six seconds
        clock[0] += 6
        publisher.publish_when_due()
        confirmed = publisher.state
        assert confirmed is not None
        assert confirmed.folder == first.folder
        assert confirmed.as_of > first.as_of
        store.write_records([{**NOTE, "text": "a"}])
        clock[0] += 6
        publisher.publish_when_due()
        assert publisher.state == confirmed  # the published state is not newer and does not claim to be
        clock[0] += 60
        publisher.publish_when_due()
        assert publisher.state is not None
        assert publisher.state.generation == store.generation
        store.rewrite()
        publisher.publish_when_due()  # a state without the removed records is published at once
        assert publisher.state.rewrites == 1
        withdraw_states(store.home)  # as a rewrite would that began in the meantime
        publisher.publish_when_due()
        assert publisher.state.folder.exists()


def test_findings_are_published_with_the_state_and_again_when_there_are_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved: list[Path] = []
    monkeypatch.setattr("observability.monitoring.kept_findings.KeptFindings.save", lambda self, folder, numbers: saved.append(folder))
    with new_store(tmp_path / "home") as store:
        (store.home / "keeping.toml").write_text("[publish]\nevery = 1\n")
        publisher = Publisher(store)
        publisher.publish_when_due()
        publisher._due = 0
        publisher.publish_when_due()
        assert [path.suffix for path in saved] == [".partial", ""]
        publisher._due = 0
        publisher.publish_when_due()
        assert len(saved) == 2


def test_a_failure_that_took_long_is_not_tried_again_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, tried = [100.0], list[float]()
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    with new_store(tmp_path / "home") as store:

        def fails(*_: object, **__: object) -> None:
            tried.append(clock[0])
            clock[0] += 60
            raise RuntimeError("something that nobody thought of")

        monkeypatch.setattr(store, "publish", fails)
        publisher = Publisher(store)
        while clock[0] < 1200:
            publisher.publish_when_due()
            clock[0] += 1
        assert publisher.failure == "unexpected RuntimeError"
        assert [round(later - earlier, -1) for earlier, later in pairwise(tried)] == [600]


def test_a_publishing_thread_that_ended_is_reported_as_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = process_lock.own_home(tmp_path / "home")
    try:
        monkeypatch.setattr(Publisher, "run_until", lambda *_: None)
        owner.start_publisher()
        assert owner.publishing is not None
        owner.publishing.join()
        assert any("its thread ended" in problem for problem in all_problems(owner.store))
    finally:
        owner.close()
        process_lock._current = None


def test_a_state_that_cannot_be_published_is_reported_as_a_problem(tmp_path: Path) -> None:
    owner = process_lock.own_home(tmp_path / "home")
    try:
        (owner.home / "keeping.toml").write_text("[publish]\nevery = 1\n")
        (owner.home / "published").write_text("in the way")
        owner.publisher = Publisher(owner.store)
        owner.publisher.publish_when_due()
        assert any(problem.startswith("Other processes show an older state: ") for problem in all_problems(owner.store))
        (owner.home / "published").unlink()
        owner.publisher._due = 0
        owner.publisher.publish_when_due()
        assert not any("older state" in problem for problem in all_problems(owner.store))
    finally:
        owner.close()
        process_lock._current = None
