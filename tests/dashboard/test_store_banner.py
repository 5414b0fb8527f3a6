"""The banner of pages says what is wrong with the store and its loader, and what to do; repairs can be read and hidden."""

import pytest

from observability.dashboard import load
from observability.server import health
from observability.store.db.repairs import note_repair
from observability.store.ingest import landing
from tests.store.conftest import land
from tests.support.dashboard_pages import opened, words
from tests.support.record_lines import prediction


@pytest.mark.parametrize("page", ["store", "health", "performance"])
def test_what_is_wrong_stands_on_every_page(page, empty, monkeypatch):
    assert not opened(page).error
    monkeypatch.setattr(health, "loader_problems", lambda: ["New records are not loaded, they wait in landing. The disk <b>is full</b>."])
    (banner,) = opened(page).error
    assert "they wait in landing" in banner.value and "<b>" not in banner.value.replace("\\<b>", "")
    assert ("Open Store" in banner.value) == (page != "store")


def test_repairs_are_read_and_hidden_on_the_store_page(empty):
    note_repair(empty.home, "The database was missing. A new one was made.", "records of last year", [])
    app = opened("store")
    assert "records of last year" in app.error[0].value and "records of last year" in words(app)
    next(each for each in app.button if each.label == "Hide repairs").click().run()
    assert not app.error and not app.exception
    assert "records of last year" in words(app), "the log stays"
    assert empty.problems() == []


def test_segments_that_were_set_aside_are_taken_again(empty):
    land(empty, prediction())
    landing.set_segment_aside(empty.landing, landing.published_segments(empty.landing)[0], "a reason")
    load.store_summary()
    app = opened("store")
    assert "a reason" in app.error[0].value
    next(each for each in app.button if each.label == "Retry what was set aside").click().run()
    assert "1 stored" in app.success[0].value
    assert [model.name for model in empty.catalog().models] == ["loan"]
