"""A process that reads published states shows one state a run of a page, takes newer ones over, and sends to the owner what people save."""

import gc
import os
import shutil
import time
import weakref
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from observability.cli import main
from observability.core.errors import ForbiddenError, StoreBrokenError, StoreBusyError, UsageError
from observability.core.settings import ModelSettings
from observability.core.window import EPOCH
from observability.dashboard import replica_line, state_cache
from observability.metrics.own_exports import own_export
from observability.monitoring.kept_findings import kept_findings_of
from observability.server import access_settings, accounts, audit_log, process_lock, replica, tokens
from observability.server.access import HERE, Person
from observability.server.guarded_store import GuardedStore
from observability.server.health import all_problems
from observability.server.owner_calls import OwnerCalls, acting_person, answer_call
from observability.server.replica import Replica
from observability.server.store_methods import METHODS
from observability.store.duck_store import DuckStore
from observability.store.published import newest_state, publish_state
from observability.store.published_store import PublishedStore, copy_settings, take_home
from tests.support.new_store import new_store
from tests.support.owner_in_process import CallsOfTest

NOTE = {"kind": "event", "at": datetime(2026, 11, 1, tzinfo=UTC), "what": "note", "text": "first"}
PREDICTION = {"kind": "prediction", "id": "p", "at": NOTE["at"], "model": "m", "version": "1", "features": {}, "score": 0.5}
AFTER = datetime(2027, 1, 1, tzinfo=UTC)
READING = ("erased", "waiting", "verify", "close")
"""What changes nothing, though people need more than a look for it."""


def publish(store: DuckStore, run: str = "run") -> None:
    """Publish the present state of a store."""
    (store.home / "keeping.toml").write_text("[publish]\nevery = 1\n")
    publish_state(store, run)


@pytest.fixture(autouse=True)
def own_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test leaves an owner or a log elsewhere behind."""
    monkeypatch.setattr(process_lock, "_current", None)
    monkeypatch.setattr(audit_log, "_elsewhere", [])
    monkeypatch.setattr("observability.server.owner_calls.PAUSE", 0)


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[DuckStore]:
    """A store with one event, which is published."""
    with new_store(tmp_path / "owner") as store:
        store.write_records([NOTE])
        publish(store)
        yield store


def reader(store: DuckStore, calls: OwnerCalls | None = None) -> Replica:
    """A process that reads what a store publishes."""
    take_home(store.home.parent / "reader")
    return Replica(store.home / "published", store.home.parent / "reader", calls or CallsOfTest(store))


def texts(store: DuckStore | PublishedStore) -> list[str]:
    """The texts of all events."""
    return [str(text) for text in store.events(None, EPOCH, AFTER)["text"]]


def test_a_newer_state_is_taken_over_and_a_run_of_a_page_keeps_its_own(owner: DuckStore, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = reader(owner)
    process_lock.stand_for_owner(cast("process_lock.Owner", reads))
    run: Any = SimpleNamespace(parallel_coordinator=type("Coordinator", (), {})())
    monkeypatch.setattr(state_cache, "get_script_run_ctx", lambda **_: run)
    shown = state_cache.owned_store()
    assert texts(cast("DuckStore", shown)) == ["first"]
    owner.write_records([{**NOTE, "text": "second"}])
    publish(owner)
    reads.look()
    assert state_cache.owned_store() is shown
    assert texts(cast("DuckStore", state_cache.owned_store())) == ["first"]
    run.parallel_coordinator = type("Coordinator", (), {})()  # the next run
    assert texts(cast("DuckStore", state_cache.owned_store())) == ["first", "second"]
    assert state_cache.owned_store().generation == owner.generation
    known = weakref.ref(shown)
    del shown
    gc.collect()
    assert known() is None  # nobody holds the older state, so that its file is closed
    reads.close()


def test_answers_of_unchanged_models_are_handed_on(owner: DuckStore) -> None:
    reads = reader(owner)
    kept = kept_findings_of(reads.store)
    publish(owner)
    reads.look()
    assert kept_findings_of(reads.store) is kept
    numbers = reads.store.generations
    publish(owner, "another run")  # its commits are counted from the beginning
    before = reads.store
    reads.look()
    assert reads.store is not before
    assert min(reads.store.generations.values()) > max(numbers.values())
    reads.close()


def test_settings_stay_while_the_folder_of_the_state_goes(owner: DuckStore) -> None:
    (owner.home / "access.toml").write_text('url = "https://a.example"\n')
    (owner.home / "limits.toml").write_text("")
    publish(owner)
    reads = reader(owner)
    owner.rewrite()
    assert (reads.home / "access.toml").read_text() == 'url = "https://a.example"\n'
    (owner.home / "access.toml").write_text('url = "https://b.example"\n')
    (owner.home / "limits.toml").unlink()
    publish(owner)
    reads.look()
    assert (reads.home / "access.toml").read_text() == 'url = "https://b.example"\n'
    assert not (reads.home / "limits.toml").exists()
    reads.close()


def test_nobody_gets_in_without_sign_in_when_a_state_goes_while_it_is_read(owner: DuckStore) -> None:
    accounts.add_account(owner.home, "root", "administrator", "four random words")
    publish(owner)
    reads = reader(owner)
    state = newest_state(owner.home / "published")
    assert state is not None
    owner.rewrite()  # which takes the states away, between the look at the newest and the copy of its settings
    with pytest.raises(StoreBrokenError, match="cannot be copied"):
        copy_settings(state, reads.home)
    assert access_settings.read_access_settings(reads.home).method == "accounts"
    assert (reads.home / "keeping.toml").exists()
    publish(owner)
    (owner.home / "accounts.json").unlink()
    publish(owner)
    reads.look()
    assert "asks for no sign-in" in str(reads.failure)
    assert access_settings.read_access_settings(reads.home).method == "accounts"
    reads.close()


def test_nobody_gets_in_when_the_copied_settings_are_lost(owner: DuckStore) -> None:
    """As where the folder of temporary files is cleaned while the process runs."""
    accounts.add_account(owner.home, "root", "administrator", "four random words")
    publish(owner)
    reads = reader(owner)
    (reads.home / "accounts.json").unlink()
    with pytest.raises(StoreBrokenError, match="sign-in are lost"):
        access_settings.read_access_settings(reads.home)
    reads.close()


def test_folders_of_ended_processes_go_and_those_of_running_ones_stay(
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
    """Variables of a process that only read may be left over in the environment of one that owns a store."""
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


def test_a_reader_has_no_more_than_the_settings_that_it_needs(owner: DuckStore) -> None:
    (owner.home / "images").mkdir()
    (owner.home / "images" / "one.png").write_bytes(b"png")
    (owner.home / "alerts.toml").write_text('[channels]\nteam = "slack://secret"\n')
    publish(owner)
    reads = reader(owner)
    assert {path.name for path in reads.home.iterdir()} == {"tmp", "replica.json", "replica.lock", "keeping.toml", "images"}
    assert (reads.home / "images" / "one.png").read_bytes() == b"png"
    reads.close()


def test_a_state_of_another_version_is_not_shown_and_the_older_one_stays(owner: DuckStore, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = reader(owner)
    before = reads.store
    monkeypatch.setattr("observability.store.published.schema_version", lambda _cursor: 1000)
    owner.write_records([{**NOTE, "text": "second"}])
    publish(owner)
    reads.look()
    assert reads.store is before
    assert "another version" in str(reads.failure)
    reads.close()


def test_what_the_owner_withdrew_is_shown_no_longer(owner: DuckStore, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = reader(owner)
    owner.rewrite()
    reads.look()
    assert texts(reads.store) == ["first"]
    monkeypatch.setattr(replica, "GONE", -1)
    reads.look()
    with pytest.raises(StoreBrokenError, match="withdrawn"):
        _ = reads.store
    publish(owner)
    reads.look()
    assert texts(reads.store) == ["first"]
    reads.close()


def shown_for_a_minute(reads: Replica, clock: list[float]) -> None:
    """Asserts that the state stays for 59 seconds of the clock, and not for 61."""
    reads.look()
    clock[0] += 59
    reads.look()
    assert texts(reads.store) == ["first"]
    clock[0] += 2
    reads.look()
    with pytest.raises(StoreBrokenError, match="withdrawn"):
        _ = reads.store


def test_a_state_without_what_was_removed_that_cannot_be_opened_takes_the_older_one_away(
    owner: DuckStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = reader(owner)
    clock = [time.monotonic()]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    (reads.home / "findings.json").write_text("{}")
    owner.rewrite()
    monkeypatch.setattr("observability.store.published.schema_version", lambda _cursor: 1000)
    publish(owner)
    shown_for_a_minute(reads, clock)
    assert not (reads.home / "findings.json").exists()
    reads.close()


@pytest.mark.parametrize("torn", [0.5, 0.0], ids=["half of it", "nothing of it"])
def test_a_database_that_was_copied_in_part_is_told_and_the_older_state_stays(owner: DuckStore, torn: float) -> None:
    reads = reader(owner)
    owner.write_records([{**NOTE, "text": "second"}])
    publish(owner)
    state = newest_state(owner.home / "published")
    assert state is not None
    database = state.folder / "store.duckdb"
    whole = database.read_bytes()
    database.write_bytes(whole[: int(torn * len(whole))])
    reads.look()
    assert texts(reads.store) == ["first"] and reads.failure
    owner.write_records([{**NOTE, "text": "third"}])
    publish(owner)
    reads.look()
    assert texts(reads.store) == ["first", "second", "third"] and reads.failure is None
    reads.close()


def test_a_failure_that_nobody_foresaw_ends_no_looking(owner: DuckStore, monkeypatch: pytest.MonkeyPatch) -> None:
    reads = reader(owner)
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
    reads = reader(owner)
    clock = [time.monotonic()]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    (owner.home / "published" / "newest.json").write_text("not json")
    shown_for_a_minute(reads, clock)
    publish(owner)
    reads.look()
    assert texts(reads.store) == ["first"]
    reads.close()


def test_what_was_removed_is_shown_no_longer_with_the_next_state(owner: DuckStore) -> None:
    """DuckDB takes a path that this process has open for the same database, so no state has the path of one that was withdrawn."""
    reads = reader(owner)
    with owner.write() as writer:
        writer.execute("DELETE FROM events")
    owner.rewrite()
    publish(owner)
    reads.look()
    assert texts(reads.store) == []
    reads.close()


def test_a_reader_tells_nothing_of_the_owner_that_it_cannot_know(owner: DuckStore) -> None:
    """The record of erasures is at the owner, with the key that it needs."""
    owner.write_records([{**PREDICTION, "subject": "somebody"}])
    owner.forget("somebody")
    publish(owner)
    reads = reader(owner)
    process_lock.stand_for_owner(cast("process_lock.Owner", reads))
    (reads.home / "erasures.jsonl").write_text((owner.home / "erasures.jsonl").read_text())  # as if it had come along
    assert [each for each in all_problems(reads.store) if "confine" not in each] == []
    reads.close()


def test_nothing_is_written_in_a_process_that_reads(owner: DuckStore) -> None:
    reads = reader(owner)
    changing = [
        name for name, method in METHODS.items() if method.action not in ("read", "query", "write", "rules") and name not in READING
    ]
    assert len(changing) > 15
    for name in changing:
        with pytest.raises(UsageError, match="done at the owner of the store"):
            getattr(reads.store, name)()
    with pytest.raises(UsageError, match="done at the owner"), reads.store.write():
        pass
    assert texts(reads.store) == ["first"]
    reads.close()


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_what_is_saved_arrives_once_though_answers_are_lost(owner: DuckStore, lost: int) -> None:
    calls, told = CallsOfTest(owner, lose=lost), list[datetime]()
    calls.told = told.append
    reads = reader(owner, calls)
    reads.store.write_records([{"kind": "event", "what": "note", "text": "saved"}, {"kind": "event", "what": "note", "text": "beside"}])
    assert calls.sent == lost + 1
    assert sorted(texts(owner)) == ["beside", "first", "saved"]
    assert len(told) == 1
    assert texts(reads.store) == ["first"]
    publish(owner)
    reads.look()
    assert sorted(texts(reads.store)) == ["beside", "first", "saved"]
    assert reads.as_of > told[0]
    reads.close()


def test_a_person_is_told_what_the_owner_refuses_or_does_not_answer(owner: DuckStore) -> None:
    reads = reader(owner, calls := CallsOfTest(owner, lose=99))
    with pytest.raises(StoreBusyError, match="may not be saved"):
        reads.store.write_records([NOTE])
    assert calls.sent == 3
    with pytest.raises(UsageError, match="refused it"):
        reads.store.write_records([{"kind": "event", "what": "no such word", "text": "x"}])
    reads.close()


def test_calls_are_for_people_as_the_owner_knows_them(owner: DuckStore) -> None:
    """The token must be an administrator's; what the person may do is looked up at the owner, and logged there in their name, once."""
    for name, role in (("root", "administrator"), ("ann", "analyst"), ("vic", "viewer")):
        accounts.add_account(owner.home, name, role, f"four random words {role[:2]}")
    publish(owner)
    reads = reader(owner, calls := CallsOfTest(owner))
    audit_log.log_elsewhere(calls.send)
    note = {"kind": "action", "action": "a1", "author": "somebody else", "text": "look", "state": "open"}
    cast("DuckStore", GuardedStore(reads.store, Person("ann", "analyst"))).write_records([note])
    (action,) = owner.actions()
    assert [entry.author for entry in action.entries] == ["ann"]
    assert [(each["author"], each["does"]) for each in audit_log.access_entries(owner.home)] == [("ann", "changed")]
    promoted = cast("DuckStore", GuardedStore(reads.store, Person("vic", "administrator")))  # as an older state may say
    with pytest.raises(UsageError, match="may not"):
        promoted.write_records([note])
    accounts.disable_account(owner.home, "ann")
    with pytest.raises(UsageError, match="disabled"):
        cast("DuckStore", GuardedStore(reads.store, Person("ann", "analyst"))).write_records([note])
    with pytest.raises(UsageError, match="disabled or gone"):  # as nobody in particular, though people sign in at the owner
        reads.store.write_records([NOTE])
    with pytest.raises(ForbiddenError):
        acting_person(owner.home, {"name": "nobody", "source": "account"})
    with pytest.raises(ForbiddenError):
        acting_person(owner.home, {"name": "root", "role": "administrator", "models": [], "source": "oidc"})
    reads.close()


def test_only_a_token_of_an_administrator_writes_for_others(owner: DuckStore) -> None:
    body = b'{"method": "write_records", "person": {"name": "", "source": "here"}, "arguments": {"records": []}}'
    for scope, role, models in (("write", None, ()), ("write", "analyst", ()), ("write", "administrator", ("m",))):
        token, _ = tokens.create_token(owner.home, scope, role=role, models=models)
        with pytest.raises(ForbiddenError, match="token of an administrator"):
            answer_call(owner, tokens.token_person(owner.home, token), body)
    with pytest.raises(ForbiddenError, match="token of an administrator"):
        answer_call(owner, HERE, body)
    token, _ = tokens.create_token(owner.home, "write", role="administrator")
    assert answer_call(owner, tokens.token_person(owner.home, token), body)["answer"] is None


def test_a_person_of_the_provider_gets_no_more_than_the_lists_of_the_owner_give(owner: DuckStore) -> None:
    (owner.home / "access.toml").write_text(
        """
        url = "https://owner.example"
        [oidc]
        server_metadata_url = "https://id.example/.well-known/openid-configuration"
        client_id = "a"
        client_secret = "b"
        [roles]
        default = "viewer"
        [roles.people]
        "root@example.org" = "administrator"
        "gone@example.org" = "none"
        [roles.groups]
        risk = "analyst"
        [models.secret]
        default = "none"
        [models.secret.people]
        "ann@example.org" = "viewer"
        """
    )
    (owner.home / "access.toml").chmod(0o600)

    def known(name: str, role: str, models: object = (), source: str = "oidc") -> Person:
        return acting_person(owner.home, {"name": name, "role": role, "models": models, "source": source})

    assert known("Root@example.org", "administrator").role == "administrator"
    assert known("Root@example.org", "viewer").role == "viewer"  # as the provider's groups say there
    ann = known("ann@example.org", "administrator", [["secret", "administrator"], ["other", "none"]])
    assert (ann.role, ann.role_for("secret"), ann.role_for("other"), ann.source) == ("analyst", "viewer", None, "oidc")
    assert known("bob@example.org", "viewer").role_for("secret") is None
    for name, source in (("gone@example.org", "oidc"), ("root@example.org", "account"), ("", "here")):
        with pytest.raises(ForbiddenError):
            known(name, "administrator", source=source)
    with pytest.raises(ValueError, match="not in"):
        known("ann@example.org", "emperor")


def test_settings_of_a_model_are_changed_at_the_owner_unless_they_changed_meanwhile(owner: DuckStore) -> None:
    owner.write_records([PREDICTION])
    publish(owner)
    reads = reader(owner, calls := CallsOfTest(owner))
    seen = reads.store.catalog().model("m").settings

    def held() -> ModelSettings:
        return owner.catalog().model("m").settings

    calls.lose, calls.sent = 1, 0
    reads.store.update_settings("m", replace(seen, slices=("carrier=AA",), limits={"drift/psi": 0.3}, team="a", class_names={"1": "late"}))
    assert calls.sent == 2
    assert (held().slices, held().limits, held().team, held().class_names) == (("carrier=AA",), {"drift/psi": 0.3}, "a", {"1": "late"})
    # an older state still shows what was before: what else is changed there undoes nothing
    reads.store.update_settings("m", replace(seen, limits={"drift/ks": 0.2}, owner="desk"))
    assert (held().limits, held().owner, held().team) == ({"drift/psi": 0.3, "drift/ks": 0.2}, "desk", "a")
    for late in (replace(seen, team="b"), replace(seen, slices=("carrier=UA",)), replace(seen, limits={"drift/psi": 0.4})):
        with pytest.raises(UsageError, match="changed meanwhile"):
            reads.store.update_settings("m", late)
    publish(owner)
    reads.look()
    seen = reads.store.catalog().model("m").settings
    reads.store.update_settings("m", replace(seen, slices=(), team=None, limits={"drift/ks": 0.2}, class_names={}))
    assert (held().slices, held().limits, held().team, held().class_names) == ((), {"drift/ks": 0.2}, None, {})
    with pytest.raises(UsageError, match="share between 0 and 1"):
        reads.store.update_settings("m", replace(held(), service_level_availability=7.0))
    reads.close()


def test_an_analyst_changes_rules_and_nothing_else_through_a_reader(owner: DuckStore) -> None:
    owner.write_records([PREDICTION])
    for name, role in (("root", "administrator"), ("ann", "analyst")):
        accounts.add_account(owner.home, name, role, f"four random words {role[:2]}")
    publish(owner)
    reads = reader(owner)
    audit_log.log_elsewhere(reads.owner.send)
    seen = reads.store.catalog().model("m").settings
    as_ann = cast("DuckStore", GuardedStore(reads.store, Person("ann", "analyst")))
    as_ann.update_settings("m", replace(seen, threshold=0.7))
    assert owner.catalog().model("m").settings.threshold == 0.7
    with pytest.raises(ForbiddenError):
        as_ann.update_settings("m", replace(seen, team="mine"))
    promoted = cast("DuckStore", GuardedStore(reads.store, Person("ann", "administrator")))
    with pytest.raises(UsageError, match="may not"):
        promoted.update_settings("m", replace(seen, team="mine"))
    accounts.add_account(owner.home, "eve", "viewer", "four random words ev", models={"m": "none"})
    hidden = cast("DuckStore", GuardedStore(reads.store, Person("eve", "administrator")))
    with pytest.raises(UsageError, match="not in the store"):  # and no word of what the setting is
        hidden.update_settings("m", replace(seen, threshold=0.9))
    assert owner.catalog().model("m").settings.team is None
    reads.close()


def test_accesses_are_logged_at_the_owner(owner: DuckStore) -> None:
    accounts.add_account(owner.home, "root", "administrator", "four random words")
    publish(owner)
    reads = reader(owner, calls := CallsOfTest(owner))
    audit_log.log_elsewhere(calls.send)
    audit_log.note_access(reads.home, "root", "saw", what="case", prediction="p1")
    assert not (reads.home / audit_log.FILE).exists()
    (entry,) = audit_log.access_entries(owner.home, prediction="p1")
    assert (entry["author"], entry["does"]) == ("root", "saw")
    reads.close()


def test_an_access_is_logged_once_though_the_answer_is_lost(owner: DuckStore) -> None:
    accounts.add_account(owner.home, "root", "administrator", "four random words")
    publish(owner)
    reads = reader(owner, calls := CallsOfTest(owner, lose=2))
    audit_log.log_elsewhere(calls.send)
    audit_log.note_access(reads.home, "root", "signed in")
    audit_log.note_access(reads.home, "root", "signed out")
    assert calls.sent == 4
    assert [entry["does"] for entry in audit_log.access_entries(owner.home)] == ["signed out", "signed in"]
    reads.close()


def test_files_that_were_made_at_a_reader_are_noted_for_whoever_asked(owner: DuckStore) -> None:
    """Also for viewers, who may write nothing else."""
    accounts.add_account(owner.home, "root", "administrator", "four random words")
    publish(owner)
    reads = reader(owner)
    told = list[datetime]()
    reads.owner.told = told.append
    reads.store.write_records([own_export("rows.csv", "vic", rows=3)])
    with owner.cursor() as cursor:
        assert cursor.execute("SELECT text FROM events WHERE what = 'export'").fetchall() == [("rows.csv",)]
    assert told == []
    with pytest.raises(UsageError, match="unknown call"):
        reads.owner.send("note_exports", records=[NOTE])
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
def test_wrong_use_of_serve_is_told(
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
