"""Pages for a signed-in person: hidden models appear nowhere, names come from the sign-in, and a viewer can save nothing."""

import contextlib
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from observability.core.errors import ForbiddenError
from observability.dashboard import frame, load, person_name, sign_in
from observability.dashboard.operations import access as access_page
from observability.records.values import new_record_id
from observability.server import audit_log
from observability.server.access import Person
from tests.support.dashboard_pages import PAGES, by_name, opened, words
from tests.support.dashboard_world import World
from tests.support.length import LONG, a_third
from tests.support.signed_in import sign

ONE = Person("ann", None, (("loan", "viewer"),), "oidc")
VIEWER, ANALYST, ADMINISTRATOR = Person("vic", "viewer"), Person("ann", "analyst"), Person("ada", "administrator")


NAMED = a_third(PAGES, 2)


@pytest.mark.parametrize("path", PAGES, ids=by_name)
def test_a_hidden_model_appears_on_no_page(path: Path, current: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """No page shows the hidden model, neither by itself nor for a link that names it. A short run opens such a link to every third page."""
    sign(monkeypatch, ONE)
    for parameters in ({}, {"model": "price"}) if path in NAMED else ({},):
        said = words(opened(path.stem, **parameters)).replace("names the model price, which is not in this store", "")
        assert "model=price" not in said and '"price"' not in said and "price@" not in said, path.stem


@pytest.mark.parametrize("path", a_third(PAGES, 0), ids=by_name)
def test_each_page_opens_for_the_other_roles(path: Path, current: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test runs a page up to its title: navigation, scope and the person's view of the store. The parts after the title only call
    methods that test_roles.py tests.

    A short run takes one of the two roles for each page in turn.
    """
    titles: list[str] = []

    def title_and_stop(page: str, *_about: object, **_more: object) -> None:
        titles.append(page)
        st.stop()

    people = (ANALYST, ADMINISTRATOR) if LONG else (ANALYST, ADMINISTRATOR)[PAGES.index(path) % 2 :][:1]
    monkeypatch.setattr(frame, "page_title", title_and_stop)
    for person in people:
        sign(monkeypatch, person)
        opened(path.stem)
    assert titles == [path.stem] * len(people)


def test_cached_answers_of_one_person_are_not_shown_to_another(current: World, monkeypatch: pytest.MonkeyPatch) -> None:
    every = {model.name for model in load.catalog().models}
    assert len(load.stream_activity()["model"].unique()) == 3
    sign(monkeypatch, ONE)
    assert set(load.stream_activity()["model"]) == {"loan"}
    assert [model.name for model in load.catalog().models] == ["loan"]
    sign(monkeypatch, VIEWER)
    assert set(load.stream_activity()["model"]) == {model.name for model in load.catalog().models} == every


def test_entries_use_the_sign_in_name_and_a_viewer_has_none(current: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Your name" in [box.label for box in opened("review").text_input]
    for person, name in ((ANALYST, "ann"), (VIEWER, None)):
        sign(monkeypatch, person)
        assert person_name.person_name_box() == name
        app = opened("review")
        assert "Your name" not in [box.label for box in app.text_input]
        assert ("Saved as ann" if name else "is read-only") in words(app)
    assert person_name.why_not_saved() == "Your role is read-only."


def test_a_role_for_one_model_applies_to_entries_about_it(current: World, monkeypatch: pytest.MonkeyPatch) -> None:
    sign(monkeypatch, Person("ann", "analyst", (("loan", "viewer"),)))
    assert [person_name.person_name_box(model=model) for model in ("loan", "price", None)] == [None, "ann", "ann"]
    app = opened("case", id="l1", model="loan")
    assert "is read-only for loan" in words(app) and "Saved as ann" not in words(app)


def settings_of_loan() -> None:
    """The script of a page with the forms for a model's budget and service level."""
    from types import SimpleNamespace

    from observability.dashboard import load
    from observability.dashboard.operations import cost
    from observability.dashboard.serving import service_level

    here = SimpleNamespace(model=load.catalog().model("loan"))
    cost.budget_form(here, SimpleNamespace(currencies=()))
    service_level.service_level_form(here, here.model.settings)


def test_settings_are_shown_only_to_roles_that_may_change_them(current: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for person, boxes in ((VIEWER, set()), (ANALYST, {"p99 latency, in ms"}), (ADMINISTRATOR, {"p99 latency, in ms", "Budget per month"})):
        sign(monkeypatch, person)
        app = AppTest.from_function(settings_of_loan).run(timeout=30)
        assert not app.exception and {box.label for box in app.number_input} - {"Successful requests, in %"} == boxes


def test_the_criterion_of_fairness_is_offered_to_analysts(current: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for person, offered in ((VIEWER, False), (ANALYST, True)):
        sign(monkeypatch, person)
        assert any(button.label.startswith("Use ") for button in opened("fairness", model="loan").button) is offered


def test_only_administrators_see_the_access_log(current: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for person, shown in ((VIEWER, False), (ANALYST, False), (ADMINISTRATOR, True)):
        sign(monkeypatch, person)
        app = opened("access")
        assert ("Audit log" in [header.value for header in app.header]) is shown
        assert f"Signed in as {person.name}" in words(app)
    sign(monkeypatch, VIEWER)
    with pytest.raises(ForbiddenError):
        access_page.audit_section()
    with pytest.raises(ForbiddenError):
        sign_in.require_of_person("settings")


def test_masked_values_are_for_administrators_and_revealing_them_is_logged(current: World, monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[tuple[str, str]] = []
    monkeypatch.setattr(audit_log, "note_access", lambda _home, author, does, **_about: logged.append((author, does)))
    for person, allowed in ((VIEWER, False), (ANALYST, False), (ADMINISTRATOR, True)):
        sign(monkeypatch, person)
        monkeypatch.setattr(sign_in, "note_case_seen", lambda *_about: None)
        boxes = [box.label for box in opened("case", id="l40", model="loan").checkbox]
        assert ("Show sensitive values in the file" in boxes) is allowed
        with contextlib.nullcontext() if allowed else pytest.raises(ForbiddenError, match="reveal masked values"):
            sign_in.reveal_masked_values("loan", "l40", None)
    assert logged == [("ada", "revealed")]


def test_the_settings_of_alerts_are_for_administrators(current: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for person, offered in ((VIEWER, False), (ANALYST, False), (ADMINISTRATOR, True)):
        sign(monkeypatch, person)
        app = opened("alerts")
        assert ("Change channels, routes and quiet hours" in [each.label for each in app.expander]) is offered
        assert ("An administrator adds one" in words(app)) is not offered


def test_a_person_with_read_only_roles_cannot_arrange_dashboards(current: World, monkeypatch: pytest.MonkeyPatch) -> None:
    board = new_record_id()
    about = {"kind": "dashboard", "dashboard": board, "author": "ada"}
    current.store.write_records([{**about, "name": "Ours", "visibility": "shared", "scope": "model=loan"}])
    try:
        for person, arranges in ((ONE, False), (Person("ann", "viewer", (("loan", "analyst"),)), True)):
            sign(monkeypatch, person)
            app = opened("dashboards", dashboard=board)
            assert "Nothing is pinned yet" in words(app)
            assert ("board-arrange" in [each.key for each in app.toggle]) is arranges
    finally:
        current.store.write_records([{**about, "state": "withdrawn"}])


def test_a_viewer_changes_no_setting(current: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    settings = current.store.catalog().model("loan").settings
    sign(monkeypatch, VIEWER)
    with pytest.raises(ForbiddenError):
        load.store().update_settings("loan", replace(settings, threshold=0.9))
    assert current.store.catalog().model("loan").settings == settings
