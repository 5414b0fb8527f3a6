"""A process that reads published states sends people's entries to the owner, once each, under the identity that the owner knows."""

from dataclasses import replace
from datetime import datetime
from typing import cast

import pytest

from observability.core.errors import ForbiddenError, StoreBusyError, UsageError
from observability.core.settings import ModelSettings
from observability.metrics.own_exports import own_export
from observability.server import accounts, audit_log, tokens
from observability.server.access import HERE, Person
from observability.server.guarded_store import GuardedStore
from observability.server.owner_calls import acting_person, answer_call
from observability.server.store_methods import METHODS
from observability.store.duck_store import DuckStore
from tests.support.owner_in_process import CallsOfTest
from tests.support.reading_process import NOTE, PREDICTION, READING, event_texts, publish_now, reading_process

pytestmark = pytest.mark.usefixtures("own_process")


def test_a_reading_process_writes_nothing(owner: DuckStore) -> None:
    reads = reading_process(owner)
    changing = [
        name for name, method in METHODS.items() if method.action not in ("read", "query", "write", "rules") and name not in READING
    ]
    assert len(changing) > 15
    for name in changing:
        with pytest.raises(UsageError, match="done at the owner of the store"):
            getattr(reads.store, name)()
    with pytest.raises(UsageError, match="done at the owner"), reads.store.write():
        pass
    assert event_texts(reads.store) == ["first"]
    reads.close()


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_a_saved_record_arrives_once_even_if_answers_are_lost(owner: DuckStore, lost: int) -> None:
    calls, told = CallsOfTest(owner, lose=lost), list[datetime]()
    calls.told = told.append
    reads = reading_process(owner, calls)
    reads.store.write_records([{"kind": "event", "what": "note", "text": "saved"}, {"kind": "event", "what": "note", "text": "beside"}])
    assert calls.sent == lost + 1
    assert sorted(event_texts(owner)) == ["beside", "first", "saved"]
    assert len(told) == 1
    assert event_texts(reads.store) == ["first"]
    publish_now(owner)
    reads.look()
    assert sorted(event_texts(reads.store)) == ["beside", "first", "saved"]
    assert reads.as_of > told[0]
    reads.close()


def test_a_person_is_told_what_the_owner_refuses_or_does_not_answer(owner: DuckStore) -> None:
    reads = reading_process(owner, calls := CallsOfTest(owner, lose=99))
    with pytest.raises(StoreBusyError, match="may not be saved"):
        reads.store.write_records([NOTE])
    assert calls.sent == 3
    with pytest.raises(UsageError, match="refused it"):
        reads.store.write_records([{"kind": "event", "what": "no such word", "text": "x"}])
    reads.close()


def test_calls_use_the_rights_of_the_person_that_the_owner_knows(owner: DuckStore) -> None:
    """The token must have the role administrator. The owner looks up the rights of the person, and logs each call once, under the person's
    name.
    """
    for name, role in (("root", "administrator"), ("ann", "analyst"), ("vic", "viewer")):
        accounts.add_account(owner.home, name, role, f"four random words {role[:2]}")
    publish_now(owner)
    reads = reading_process(owner, calls := CallsOfTest(owner))
    audit_log.log_elsewhere(calls.send)
    note = {"kind": "action", "action": "a1", "author": "somebody else", "text": "look", "state": "open"}
    cast("DuckStore", GuardedStore(reads.store, Person("ann", "analyst"))).write_records([note])
    (action,) = owner.actions()
    assert [entry.author for entry in action.entries] == ["ann"]
    assert [(each["author"], each["does"]) for each in audit_log.access_entries(owner.home)] == [("ann", "changed")]
    promoted = cast("DuckStore", GuardedStore(reads.store, Person("vic", "administrator")))  # an older state may have this role
    with pytest.raises(UsageError, match="may not"):
        promoted.write_records([note])
    accounts.disable_account(owner.home, "ann")
    with pytest.raises(UsageError, match="disabled"):
        cast("DuckStore", GuardedStore(reads.store, Person("ann", "analyst"))).write_records([note])
    with pytest.raises(UsageError, match="disabled or gone"):  # people sign in at the owner, but the call names no person
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


def test_a_person_of_the_provider_has_only_the_rights_in_the_owners_lists(owner: DuckStore) -> None:
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
    assert known("Root@example.org", "viewer").role == "viewer"  # the role given by the provider's groups
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
    publish_now(owner)
    reads = reading_process(owner, calls := CallsOfTest(owner))
    seen = reads.store.catalog().model("m").settings

    def held() -> ModelSettings:
        return owner.catalog().model("m").settings

    calls.lose, calls.sent = 1, 0
    reads.store.update_settings("m", replace(seen, slices=("carrier=AA",), limits={"drift/psi": 0.3}, team="a", class_names={"1": "late"}))
    assert calls.sent == 2
    assert (held().slices, held().limits, held().team, held().class_names) == (("carrier=AA",), {"drift/psi": 0.3}, "a", {"1": "late"})
    # the reader's older state still has the old value; a second change based on it undoes nothing
    reads.store.update_settings("m", replace(seen, limits={"drift/ks": 0.2}, owner="desk"))
    assert (held().limits, held().owner, held().team) == ({"drift/psi": 0.3, "drift/ks": 0.2}, "desk", "a")
    for late in (replace(seen, team="b"), replace(seen, slices=("carrier=UA",)), replace(seen, limits={"drift/psi": 0.4})):
        with pytest.raises(UsageError, match="changed meanwhile"):
            reads.store.update_settings("m", late)
    publish_now(owner)
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
    publish_now(owner)
    reads = reading_process(owner)
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
    with pytest.raises(UsageError, match="not in the store"):  # the error does not reveal the value of the setting
        hidden.update_settings("m", replace(seen, threshold=0.9))
    assert owner.catalog().model("m").settings.team is None
    reads.close()


def test_accesses_are_logged_at_the_owner(owner: DuckStore) -> None:
    accounts.add_account(owner.home, "root", "administrator", "four random words")
    publish_now(owner)
    reads = reading_process(owner, calls := CallsOfTest(owner))
    audit_log.log_elsewhere(calls.send)
    audit_log.note_access(reads.home, "root", "saw", what="case", prediction="p1")
    assert not (reads.home / audit_log.FILE).exists()
    (entry,) = audit_log.access_entries(owner.home, prediction="p1")
    assert (entry["author"], entry["does"]) == ("root", "saw")
    reads.close()


def test_an_access_is_logged_once_though_the_answer_is_lost(owner: DuckStore) -> None:
    accounts.add_account(owner.home, "root", "administrator", "four random words")
    publish_now(owner)
    reads = reading_process(owner, calls := CallsOfTest(owner, lose=2))
    audit_log.log_elsewhere(calls.send)
    audit_log.note_access(reads.home, "root", "signed in")
    audit_log.note_access(reads.home, "root", "signed out")
    assert calls.sent == 4
    assert [entry["does"] for entry in audit_log.access_entries(owner.home)] == ["signed out", "signed in"]
    reads.close()


def test_files_made_at_a_reader_are_recorded_for_the_person_who_asked(owner: DuckStore) -> None:
    """This also holds for viewers, who may write nothing else."""
    accounts.add_account(owner.home, "root", "administrator", "four random words")
    publish_now(owner)
    reads = reading_process(owner)
    told = list[datetime]()
    reads.owner.told = told.append
    reads.store.write_records([own_export("rows.csv", "vic", rows=3)])
    with owner.cursor() as cursor:
        assert cursor.execute("SELECT text FROM events WHERE what = 'export'").fetchall() == [("rows.csv",)]
    assert told == []
    with pytest.raises(UsageError, match="unknown call"):
        reads.owner.send("note_exports", records=[NOTE])
    reads.close()
