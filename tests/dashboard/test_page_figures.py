"""Figures of pages are collected while the page computes them."""

import json
from datetime import timedelta
from types import SimpleNamespace

import pytest

from observability.dashboard import page_figures, sign_in
from observability.dashboard.page_figures import FigurePlace
from observability.dashboard.scope import Scope
from observability.server.access import Person
from tests.support.dashboard_pages import opened
from tests.support.dashboard_world import END, START, World

DATES = Scope("loan", span="dates", start=START, end=END)


def test_a_collected_figure_equals_the_figure_on_its_page(current: World) -> None:
    app = opened("drift", model="loan", **{"from": "2026-03-02T00:00", "to": "2026-03-16T00:00", "window": "Chosen dates"})
    drawn = [json.loads(each.proto.spec) for each in app.get("plotly_chart")]
    place = FigurePlace("drift", DATES)
    found = page_figures.figures_of_page(place, ["ranking", "overlay"]).found
    assert set(found) == {"ranking", "overlay"}
    collected = [json.loads(each.figure.to_json()) for each in found.values()]
    assert [each["data"] for each in collected] == [each["data"] for each in drawn[:2]]
    feature = page_figures.figures_of_page(FigurePlace("drift", DATES, (("feature", ("age",)),)), ["overlay"]).found["overlay"]
    assert "age" in feature.alt


def test_a_figure_that_cannot_be_drawn_states_the_reason(current: World) -> None:
    def why(place: FigurePlace, key: str = "ranking", person: Person | None = None) -> str:
        found = page_figures.figures_of_page(place, [key], person)
        assert found.found == {}
        return found.why_missing(key)

    early = Scope("loan", span="dates", start=START - timedelta(days=30), end=START - timedelta(days=20))
    assert "No predictions in this window" in why(FigurePlace("quality", early), "volume")
    assert "choose one in the bar above" in why(FigurePlace("drift", Scope()))
    assert "is gone" in why(FigurePlace("nowhere", DATES))
    assert "not in this store, or you may not see it" in why(FigurePlace("drift", Scope("gone")))
    assert "does not show the figure “other”" in why(FigurePlace("drift", DATES), "other")
    wrong = Scope("loan", span="dates", start=END, end=START)
    assert "start" in why(FigurePlace("drift", wrong)), "the reason is the error of the page"
    assert "could not be computed" not in why(FigurePlace("drift", wrong)), (
        "the page stops on purpose, so the reason is not a failed computation"
    )


def test_a_figure_is_computed_with_the_rights_of_its_person(current: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign_in, "read_access_settings", lambda _home: SimpleNamespace(method="accounts"))
    place = FigurePlace("drift", DATES)
    loans, prices = (Person("ann", None, ((model, "viewer"),)) for model in ("loan", "price"))
    assert set(page_figures.figures_of_page(place, ["ranking"], loans).found) == {"ranking"}
    assert "you may not see it" in page_figures.figures_of_page(place, ["ranking"], prices).why_missing("ranking")
