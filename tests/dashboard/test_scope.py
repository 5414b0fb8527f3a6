"""The scope survives the way through an address and back."""

from datetime import UTC, datetime, timedelta

import pytest

from observability.core.window import Slice
from observability.dashboard import links, load, scope
from observability.dashboard.scope import Scope
from tests.support.dashboard_pages import opened, words
from tests.support.dashboard_world import END, World


@pytest.mark.parametrize(
    ("written", "instant"),
    [
        ("2013-07-01", datetime(2013, 7, 1)),
        ("2013-07-01T06:30", datetime(2013, 7, 1, 6, 30)),
        ("2013-07-01T06:30:59Z", datetime(2013, 7, 1, 6, 30)),
        ("2013-07-01T06:00:00+02:00", datetime(2013, 7, 1, 4)),
        ("2013-07-01T06:00:00 02:00", datetime(2013, 7, 1, 4)),
        ("next week", None),
        ("", None),
    ],
)
def test_instants_of_an_address(written, instant) -> None:
    assert scope.parse_instant(written) == instant


def test_parameters_and_back() -> None:
    there = Scope("loan", "1", "dates", datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 8, tzinfo=UTC), Slice((("a&b", "x=y"),)))
    parameters = there.parameters()
    state = {**parameters, "from": scope.parse_instant(parameters["from"]), "to": scope.parse_instant(parameters["to"])}
    assert scope.scope_from_state(state) == there


def test_a_relative_window_stays_relative_and_the_default_is_left_out() -> None:
    assert Scope("loan").parameters() == {"model": "loan"}
    assert scope.scope_from_state({"model": "loan", "window": "Last 28 days", "from": datetime(2026, 1, 1)}) == Scope("loan", span="28d")


def test_version_and_slice_belong_to_their_model() -> None:
    here = Scope("loan", "1", "28d", slice=Slice((("sex", "F"),)))
    assert here.about("price") == Scope("price", span="28d")
    assert here.about("loan") is here
    assert scope.scope_from_state({"version": "1", "slice": "sex=F"}) == Scope()


def test_addresses_are_relative_and_encoded() -> None:
    assert links.page_address("health") == "./"
    assert links.page_address("drift", Scope("a b&c"), feature="<x>") == "./drift?model=a%20b%26c&feature=%3Cx%3E"


def test_every_page_has_a_name_of_its_own() -> None:
    assert {"health", "model", "findings", "quality", "drift", "performance", "store", "add_model"} <= set(links.page_files())


def test_a_link_of_the_browser_leads_to_known_pages_only(monkeypatch) -> None:
    went = []
    monkeypatch.setattr(links.st, "switch_page", lambda page, **_: went.append(page))
    links.follow_link({"page": "../../etc/passwd", "parameters": {"model": "x"}})
    links.follow_link({"parameters": None})
    assert went == []
    links.follow_link({"page": "drift", "parameters": {"model": "x"}})
    assert went == [str(links.page_files()["drift"])]


def test_a_relative_window_is_of_whole_days_and_takes_in_the_day_under_way(current, monkeypatch) -> None:
    instant = END - timedelta(days=1, hours=9, minutes=25)
    monkeypatch.setattr(load, "page_clock", lambda: instant)
    for span, days in (("7d", 7), ("28d", 28)):
        found = load.window(Scope("loan", span=span), "loan")
        assert (found.start, found.end) == (END - timedelta(days=1 + days), END - timedelta(days=1))
    monkeypatch.setattr(load, "page_clock", lambda: END)
    assert load.window(Scope("loan"), "loan").end == END


def test_a_page_about_one_model_shows_the_one_that_needs_action_most_and_then_the_last_one(current: World) -> None:
    """Nobody chose a model: the page says which it shows, why, and how to change it; a chosen one needs no words."""
    app = opened("drift", window="Everything")
    assert app.session_state["model"] == "price" and "price is the model that needs action most" in words(app)
    box = next(each for each in app.selectbox if each.label == "Model")
    box.select("loan").run()
    assert "This page is about one model" not in words(app) and "loan" in words(app)
    next(each for each in app.selectbox if each.label == "Model").set_value(None).run()
    assert app.session_state["model"] == "loan" and "loan is the model you looked at last" in words(app)
    fleet = opened("findings", window="Everything")
    assert fleet.session_state["model"] is None, "a page about the fleet stays one"
