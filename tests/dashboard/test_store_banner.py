"""The banner of pages says what is wrong with the store and its loader, and what to do; notes about repairs can be read and hidden."""

import pytest

from observability.core.errors import ForbiddenError
from observability.dashboard import load
from observability.dashboard.operations import confinement
from observability.server import health
from observability.server.access import Person
from observability.store.db.repairs import note_repair
from observability.store.ingest import landing
from observability.worker import confine, permission
from tests.support.dashboard_pages import opened, words
from tests.support.landing import land
from tests.support.record_lines import prediction
from tests.support.signed_in import sign


@pytest.mark.parametrize("page", ["store", "health", "performance"])
def test_a_loading_problem_is_shown_on_every_page(page, empty, monkeypatch):
    assert not opened(page).error
    monkeypatch.setattr(health, "loader_problems", lambda: ["New records are not loaded, they wait in landing. The disk <b>is full</b>."])
    (banner,) = opened(page).error
    assert "they wait in landing" in banner.value and "<b>" not in banner.value.replace("\\<b>", "")
    assert ("Open Store" in banner.value) == (page != "store")


def test_repair_notes_are_shown_and_can_be_hidden_on_the_store_page(empty):
    note_repair(empty.home, "The database was missing. A new one was made.", "records of last year", [])
    app = opened("store")
    assert "records of last year" in app.error[0].value and "records of last year" in words(app)
    next(each for each in app.button if each.label == "Hide repairs").click().run()
    assert not app.error and not app.exception
    assert "records of last year" in words(app), "the log of repairs still lists it"
    assert empty.problems() == []


def test_only_an_administrator_sees_the_buttons_of_the_store_page(empty, monkeypatch):
    note_repair(empty.home, "The database was missing. A new one was made.", "records of last year", [])
    offered = {"Load now", "Hide repairs"}
    for person, shown in ((Person("vic", "viewer"), set()), (Person("ann", "analyst"), set()), (Person("ada", "administrator"), offered)):
        sign(monkeypatch, person)
        app = opened("store")
        assert offered & {each.label for each in app.button} == shown
        assert "records of last year" in words(app)


def test_set_aside_segments_can_be_loaded_again(empty):
    land(empty, prediction())
    landing.set_segment_aside(empty.landing, landing.published_segments(empty.landing)[0], "a reason")
    load.store_summary()
    app = opened("store")
    assert "a reason" in app.error[0].value
    next(each for each in app.button if each.label == "Retry what was set aside").click().run()
    assert "1 stored" in app.success[0].value
    assert [model.name for model in empty.catalog().models] == ["loan"]


def test_running_models_without_confinement_needs_a_persons_reason_and_every_page_says_so(empty, monkeypatch):
    monkeypatch.setattr(permission, "_home", empty.home)
    monkeypatch.setattr(confine.landlock, "landlock_version", lambda: 0)
    app = opened("store")
    assert "do not run" in app.error[0].value

    def press(label: str, reason: str) -> None:
        app.text_input(key="unconfined-box").set_value("ada").run()
        app.text_input(key="unconfined-reason").set_value(reason)
        next(each for each in app.button if each.label == label).click().run()

    press("Allow models without confinement", "")
    assert not permission.unconfined_allowed() and "needs a reason" in app.warning[0].value
    press("Allow models without confinement", "every file is ours")
    assert permission.unconfined_allowed() and "every file is ours" in words(app)
    assert "run without full confinement" in opened("health").error[0].value
    press("Withdraw the permission", "a file came from outside")
    assert [(each.allowed, each.author) for each in permission.confinement_decisions(empty.home)] == [(True, "ada"), (False, "ada")]
    assert "allowed models without confinement" in words(opened("changes", window="Everything"))
    for person, offered in ((Person("vic", "viewer"), False), (Person("ada", "administrator"), True)):
        sign(monkeypatch, person)
        shown = opened("store")
        assert any(each.label == "Allow models without confinement" for each in shown.button) is offered
        assert "a file came from outside" in words(shown), "every role sees why the model file may not run"
    sign(monkeypatch, Person("vic", "viewer"))
    with pytest.raises(ForbiddenError):
        confinement.save_decision(True, "vic", "please")
