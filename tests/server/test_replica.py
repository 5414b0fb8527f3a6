"""A process that reads published states uses one state for a whole run of a page, and switches to newer states between runs."""

import gc
import os
import shutil
import time
import weakref
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from observability.cli import main
from observability.core.errors import StoreBrokenError
from observability.dashboard import replica_line, state_cache
from observability.monitoring.kept_findings import kept_findings_of
from observability.server import access_settings, accounts, process_lock, replica
from observability.server.health import all_problems
from observability.server.replica import Replica
from observability.store.duck_store import DuckStore
from observability.store.published import newest_state
from observability.store.published_store import copy_settings, take_home
from tests.support.new_store import new_store
from tests.support.owner_in_process import CallsOfTest
from tests.support.reading_process import NOTE, PREDICTION, event_texts, publish_now, reading_process

pytestmark = pytest.mark.usefixtures("own_process")


def test_a_newer_state_is_shown_and_a_running_page_keeps_its_own_state(owner: DuckStore, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = reading_process(owner)
    process_lock.stand_for_owner(cast("process_lock.Owner", reads))
    run: Any = SimpleNamespace(parallel_coordinator=type("Coordinator", (), {})())
    monkeypatch.setattr(state_cache, "get_script_run_ctx", lambda **_: run)
    shown = state_cache.owned_store()
    assert event_texts(cast("DuckStore", shown)) == ["first"]
    owner.write_records([{**NOTE, "text": "second"}])
    publish_now(owner)
    reads.look()
    assert state_cache.owned_store() is shown
    assert event_texts(cast("DuckStore", state_cache.owned_store())) == ["first"]
    run.parallel_coordinator = type("Coordinator", (), {})()  # the next run
    assert event_texts(cast("DuckStore", state_cache.owned_store())) == ["first", "second"]
    assert state_cache.owned_store().generation == owner.generation
    known = weakref.ref(shown)
    del shown
    gc.collect()
    assert known() is None  # nobody uses the older state, so its file is closed
    reads.close()


def test_answers_of_unchanged_models_are_handed_on(owner: DuckStore) -> None:
    reads = reading_process(owner)
    kept = kept_findings_of(reads.store)
    publish_now(owner)
    reads.look()
    assert kept_findings_of(reads.store) is kept
    numbers = reads.store.generations
    publish_now(owner, "another run")  # a new run counts its commits from the beginning
    before = reads.store
    reads.look()
    assert reads.store is not before
    assert min(reads.store.generations.values()) > max(numbers.values())
    reads.close()


def test_settings_stay_while_the_folder_of_the_state_goes(owner: DuckStore) -> None:
    (owner.home / "access.toml").write_text('url = "https://a.example"\n')
    (owner.home / "limits.toml").write_text("")
    publish_now(owner)
    reads = reading_process(owner)
    owner.rewrite()
    assert (reads.home / "access.toml").read_text() == 'url = "https://a.example"\n'
    (owner.home / "access.toml").write_text('url = "https://b.example"\n')
    (owner.home / "limits.toml").unlink()
    publish_now(owner)
    reads.look()
    assert (reads.home / "access.toml").read_text() == 'url = "https://b.example"\n'
    assert not (reads.home / "limits.toml").exists()
    reads.close()


def test_nobody_gets_in_without_sign_in_when_a_state_goes_while_it_is_read(owner: DuckStore) -> None:
    accounts.add_account(owner.home, "root", "administrator", "four random words")
    publish_now(owner)
    reads = reading_process(owner)
    state = newest_state(owner.home / "published")
    assert state is not None
    owner.rewrite()  # the states are removed after the check for the newest state and before the copy of its settings
    with pytest.raises(StoreBrokenError, match="cannot be copied"):
        copy_settings(state, reads.home)
    assert access_settings.read_access_settings(reads.home).method == "accounts"
    assert (reads.home / "keeping.toml").exists()
    publish_now(owner)
    (owner.home / "accounts.json").unlink()
    publish_now(owner)
    reads.look()
    assert "asks for no sign-in" in str(reads.failure)
    assert access_settings.read_access_settings(reads.home).method == "accounts"
    reads.close()


def test_nobody_gets_in_when_the_copied_settings_are_lost(owner: DuckStore) -> None:
    """The copied settings are lost if, for example, the folder of temporary files is cleaned while the process runs."""
    accounts.add_account(owner.home, "root", "administrator", "four random words")
    publish_now(owner)
    reads = reading_process(owner)
    (reads.home / "accounts.json").unlink()
    with pytest.raises(StoreBrokenError, match="sign-in are lost"):
        access_settings.read_access_settings(reads.home)
    reads.close()


def test_folders_of_ended_processes_are_removed_and_those_of_running_ones_stay(
    owner: DuckStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    left, young, running, other = (replica.prepared_home(owner.home / "published") for _ in range(4))
    reads = Replica(owner.home / "published", running, CallsOfTest(owner))
    (other / "replica.json").rename(other / "another.json")
    for home in (left, running):
        os.utime(home / "replica.json", (0, 0))
    made = replica.prepared_home(owner.home / "published")
    assert set((tmp_path / "tmp").iterdir()) == {young, running, other, made}
    reads.close()
    assert not running.exists()
    shutil.rmtree(owner.home / "published")
    with pytest.raises(StoreBrokenError, match="nothing is published"):
        replica.prepared_home(owner.home / "published")
    assert set((tmp_path / "tmp").iterdir()) == {young, other, made}


def test_a_start_that_is_refused_leaves_no_folder(owner: DuckStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    for name in (process_lock.PUBLISHED_VARIABLE, replica.OWNER_VARIABLE, "OBSERVABILITY_HOME"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv(replica.TOKEN_VARIABLE, "t")
    monkeypatch.setattr("os.execv", lambda *_: pytest.fail("it was started"))
    published = str(owner.home / "published")
    assert main.main(["serve", "--host", "0.0.0.0", "--replica", published, "--owner", "http://owner:8501"]) == 2
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_home_that_holds_a_store_is_never_overwritten(owner: DuckStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The environment of a process that owns a store may still have variables of a read-only process."""
    real = tmp_path / "real"
    with new_store(real) as store:
        store.write_records([NOTE])
    (real / "secret.key").write_text("k")
    before = {path: path.read_bytes() for path in real.rglob("*") if path.is_file()}
    for name, value in ((replica.OWNER_VARIABLE, "http://owner:8501"), (replica.TOKEN_VARIABLE, "t"), ("OBSERVABILITY_HOME", str(real))):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv(process_lock.PUBLISHED_VARIABLE, str(owner.home / "published"))
    with pytest.raises(StoreBrokenError, match="only into a folder made for them"):
        replica.start_replica()
    take_home(tmp_path / "made")
    (tmp_path / "made" / "store.duckdb").touch()
    monkeypatch.setenv("OBSERVABILITY_HOME", str(tmp_path / "made"))
    with pytest.raises(StoreBrokenError, match="only into a folder made for them"):
        replica.start_replica()
    assert {path: path.read_bytes() for path in real.rglob("*") if path.is_file()} == before


def test_serve_without_replica_owns_its_home_whatever_is_left_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(process_lock.PUBLISHED_VARIABLE, str(tmp_path / "published"))
    monkeypatch.setenv("OBSERVABILITY_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(process_lock, "take_lock", lambda *_, **__: SimpleNamespace(hand_over=lambda: None))
    monkeypatch.setattr("os.chdir", lambda _: None)
    asked: list[bool] = []
    monkeypatch.setattr("os.execv", lambda *_: asked.append(replica.replica_is_asked_for()))
    main.main(["serve"])
    assert asked == [False]


def test_a_reader_gets_only_the_settings_that_it_needs(owner: DuckStore) -> None:
    (owner.home / "images").mkdir()
    (owner.home / "images" / "one.png").write_bytes(b"png")
    (owner.home / "alerts.toml").write_text('[channels]\nteam = "slack://secret"\n')
    publish_now(owner)
    reads = reading_process(owner)
    assert {path.name for path in reads.home.iterdir()} == {"tmp", "replica.json", "replica.lock", "keeping.toml", "images"}
    assert (reads.home / "images" / "one.png").read_bytes() == b"png"
    reads.close()


def test_a_state_of_another_version_is_not_shown_and_the_older_one_stays(owner: DuckStore, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = reading_process(owner)
    before = reads.store
    monkeypatch.setattr("observability.store.published.schema_version", lambda _cursor: 1000)
    owner.write_records([{**NOTE, "text": "second"}])
    publish_now(owner)
    reads.look()
    assert reads.store is before
    assert "another version" in str(reads.failure)
    reads.close()


def test_a_state_that_the_owner_withdrew_is_no_longer_shown(owner: DuckStore, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = reading_process(owner)
    owner.rewrite()
    reads.look()
    assert event_texts(reads.store) == ["first"]
    monkeypatch.setattr(replica, "GONE", -1)
    reads.look()
    with pytest.raises(StoreBrokenError, match="withdrawn"):
        _ = reads.store
    publish_now(owner)
    reads.look()
    assert event_texts(reads.store) == ["first"]
    reads.close()


def shown_for_a_minute(reads: Replica, clock: list[float]) -> None:
    """Check that the state is shown for 59 seconds, but not for 61."""
    reads.look()
    clock[0] += 59
    reads.look()
    assert event_texts(reads.store) == ["first"]
    clock[0] += 2
    reads.look()
    with pytest.raises(StoreBrokenError, match="withdrawn"):
        _ = reads.store


def test_a_withdrawn_state_is_removed_even_if_its_replacement_cannot_be_opened(owner: DuckStore, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = reading_process(owner)
    clock = [time.monotonic()]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    (reads.home / "findings.json").write_text("{}")
    owner.rewrite()
    monkeypatch.setattr("observability.store.published.schema_version", lambda _cursor: 1000)
    publish_now(owner)
    shown_for_a_minute(reads, clock)
    assert not (reads.home / "findings.json").exists()
    reads.close()


@pytest.mark.parametrize("torn", [0.5, 0.0], ids=["half of it", "nothing of it"])
def test_a_partly_copied_database_is_reported_and_the_older_state_stays(owner: DuckStore, torn: float) -> None:
    reads = reading_process(owner)
    owner.write_records([{**NOTE, "text": "second"}])
    publish_now(owner)
    state = newest_state(owner.home / "published")
    assert state is not None
    database = state.folder / "store.duckdb"
    whole = database.read_bytes()
    database.write_bytes(whole[: int(torn * len(whole))])
    reads.look()
    assert event_texts(reads.store) == ["first"] and reads.failure
    owner.write_records([{**NOTE, "text": "third"}])
    publish_now(owner)
    reads.look()
    assert event_texts(reads.store) == ["first", "second", "third"] and reads.failure is None
    reads.close()


def test_an_unexpected_failure_does_not_end_the_search_for_new_states(owner: DuckStore, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = reading_process(owner)
    looks = iter([RuntimeError("torn"), None])

    def look() -> None:
        error = next(looks)
        if error is None:
            reads.stopping.set()
        else:
            raise error

    monkeypatch.setattr(reads, "look", look)
    monkeypatch.setattr(replica, "LOOK_EVERY", 0.01)
    reads.look_until_stopped()
    assert str(reads.failure) == "RuntimeError: torn" and next(looks, "ended") == "ended"
    reads.close()


def test_a_state_is_not_shown_for_ever_where_nothing_can_be_read_any_more(owner: DuckStore, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = reading_process(owner)
    clock = [time.monotonic()]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    (owner.home / "published" / "newest.json").write_text("not json")
    shown_for_a_minute(reads, clock)
    publish_now(owner)
    reads.look()
    assert event_texts(reads.store) == ["first"]
    reads.close()


def test_removed_records_are_not_shown_in_the_next_state(owner: DuckStore) -> None:
    """DuckDB treats a path that this process already has open as the same database. So no state may reuse the path of a withdrawn state."""
    reads = reading_process(owner)
    with owner.write() as writer:
        writer.execute("DELETE FROM events")
    owner.rewrite()
    publish_now(owner)
    reads.look()
    assert event_texts(reads.store) == []
    reads.close()


def test_a_reader_reports_no_problem_of_the_owner_that_it_cannot_know(owner: DuckStore) -> None:
    """Only the owner has the record of erasures, with the key that is needed to read it."""
    owner.write_records([{**PREDICTION, "subject": "somebody"}])
    owner.forget("somebody")
    publish_now(owner)
    reads = reading_process(owner)
    process_lock.stand_for_owner(cast("process_lock.Owner", reads))
    (reads.home / "erasures.jsonl").write_text((owner.home / "erasures.jsonl").read_text())  # as if the file had been copied along
    assert [each for each in all_problems(reads.store) if "confine" not in each] == []
    reads.close()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "Data as of 10:41 UTC, 0 seconds behind."),
        (1.4, "Data as of 10:41 UTC, 1 second behind."),
        (119, "Data as of 10:41 UTC, 119 seconds behind."),
        (180, "Data as of 10:41 UTC, 3 minutes behind."),
        (3 * 3600, "Data as of 10:41 UTC, 3 hours behind."),
        (24 * 3600, "Data as of 30 Nov 2026 10:41 UTC, 24 hours behind."),
        (-5, "Data as of 10:41 UTC, 0 seconds behind."),
        (
            -600,
            "Data as of 10:41 UTC by the owner's clock, which is 10 minutes ahead of this machine. The delay is unknown.",
        ),
    ],
)
def test_the_page_says_how_far_it_is_behind(seconds: float, words: str) -> None:
    as_of = datetime(2026, 11, 30, 10, 41, tzinfo=UTC)
    assert replica_line.lag_sentence(as_of, as_of + timedelta(seconds=seconds)) == words


@pytest.mark.parametrize(
    ("argv", "token", "code", "words"),
    [
        (("--owner", "http://owner:8501"), "t", 2, "--replica FOLDER"),
        (("--replica", "{}/owner/published"), "t", 2, "its owner's address and a token"),
        (("--replica", "{}/owner/published", "--owner", "http://owner:8501"), "", 2, "OBSERVABILITY_OWNER_TOKEN"),
        (("--replica", "{}/owner/published", "--owner", "owner"), "t", 2, "https://host"),
        (("--replica", "{}/owner/nowhere", "--owner", "http://owner:8501"), "t", 3, "nothing is published there"),
    ],
)
def test_wrong_options_of_serve_are_reported(
    argv: tuple[str, ...],
    token: str,
    code: int,
    words: str,
    owner: DuckStore,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in (process_lock.PUBLISHED_VARIABLE, replica.OWNER_VARIABLE, "OBSERVABILITY_HOME"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv(replica.TOKEN_VARIABLE, token)
    monkeypatch.setattr("os.execv", lambda *_: pytest.fail("it was started"))
    assert main.main(["serve", *(each.format(owner.home.parent) for each in argv)]) == code
    assert words in capsys.readouterr().err
