"""A box drawn along a chart chooses the periods whose marks are in it."""

from datetime import UTC, datetime

import pandas as pd
import pytest
from streamlit.proto.PlotlyChart_pb2 import PlotlyChart

from observability.dashboard import box_select, clicks, frame, load_findings
from observability.dashboard.scope import Scope
from tests.support.dashboard_pages import WHOLE, opened
from tests.support.dashboard_world import World

DAYS = pd.Series(pd.date_range("2026-03-01", periods=10))


def box(*ends: str) -> dict[str, object]:
    """The selection that Streamlit returns after a drag between these two times."""
    return {"points": [{"x": ends[0]}], "box": [{"xref": "x", "x": list(ends), "y": [0, 1]}]}


@pytest.mark.parametrize("ends", [("2026-03-02 20:11", "2026-03-05 03:00"), ("2026-03-05 03:00", "2026-03-02 20:11")])
def test_days_under_the_drag_are_chosen_whole_in_either_direction(ends):
    assert box_select.dragged_dates(box(*ends), DAYS) == (datetime(2026, 3, 3, tzinfo=UTC), datetime(2026, 3, 6, tzinfo=UTC))


def test_hours_are_chosen_where_the_chart_is_by_hour():
    hours = pd.Series(pd.date_range("2026-03-01", periods=48, freq="h")).repeat(2)
    found = box_select.dragged_dates(box("2026-03-01 05:30:12.25", "2026-03-01 08:10"), hours)
    assert found == (datetime(2026, 3, 1, 6, tzinfo=UTC), datetime(2026, 3, 1, 9, tzinfo=UTC))


def test_a_click_or_a_drag_over_no_mark_selects_nothing():
    assert box_select.dragged_dates(box("2026-03-02 06:00", "2026-03-02 18:00"), DAYS) is None
    assert box_select.dragged_dates({"points": [{"x": "2026-03-02"}], "box": []}, DAYS) is None
    assert box_select.dragged_dates(box("nothing", "2026-03-02"), DAYS) is None
    assert box_select.dragged_dates({"box": [{"x": []}]}, DAYS) is None


def test_a_drag_over_a_single_mark_selects_one_day():
    found = box_select.dragged_dates(box("2026-02-28", "2026-03-02 12:00"), DAYS[:1])
    assert found == (datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC))


@pytest.mark.parametrize(("ends", "chosen"), [(("2026-03-02 20:11", "2026-03-05"), [("2026-03-03", "2026-03-06")]), (None, [])])
def test_a_chart_whose_marks_have_no_links_supports_drag_but_not_click(monkeypatch, ends, chosen):
    state = {"lag": {"selection": box(*ends) if ends else {"points": [{"x": "2026-03-02"}]}}}
    monkeypatch.setattr(clicks.st, "session_state", state)
    monkeypatch.setattr(box_select.st, "session_state", state)
    dates = []
    monkeypatch.setattr(box_select, "set_dates", lambda start, end: dates.append((f"{start:%Y-%m-%d}", f"{end:%Y-%m-%d}")))
    selection = clicks.DateSelection("lag", DAYS)
    selection()
    assert dates == chosen and selection.drawn == ("lag-drag-1" if ends else "lag")


@pytest.mark.parametrize("dragged", [True, False])
def test_a_heat_map_cell_distinguishes_click_and_drag(monkeypatch, dragged):
    """The click is read under the key with which the chart is drawn; this key changes with each drag."""
    selected = {"selection": box("2026-03-02 20:11", "2026-03-05") if dragged else {"points": [{"x": "2026-03-02"}], "box": []}}
    state = {"drags-days": 2, "days-drag-2": selected}
    monkeypatch.setattr(clicks.st, "session_state", state)
    monkeypatch.setattr(box_select.st, "session_state", state)
    monkeypatch.setattr(box_select, "set_dates", lambda start, end: done.append("dates"))
    done: list[str] = []
    clicks.DateSelection("days", DAYS, then=done.append)()
    assert done == (["dates"] if dragged else ["days-drag-2"])


@pytest.mark.parametrize(("page", "model"), [("drift", "price"), ("quality", "price"), ("incident", None)])
def test_charts_over_time_support_drag_selection(current: World, page: str, model: str | None) -> None:
    named = {"model": model} if model else {"id": load_findings.scope_report(Scope()).incidents[0].id}
    charts = opened(page, **named, **WHOLE).get("plotly_chart")
    assert any(PlotlyChart.BOX in chart.proto.selection_mode for chart in charts)


def test_a_chart_says_click_only_where_a_click_does_something() -> None:
    """Regression: a chart that supports only a drag said "Click a mark"."""
    drags, both = clicks.DateSelection("days", DAYS), clicks.DateSelection("days", DAYS, then=lambda key: None)
    assert frame.hint_label(drags.hint) == drags.hint == "Drag across dates"
    assert frame.hint_label(both.hint) == frame.hint_label(clicks.cases_on_click("days", lambda point: None).hint) == "Click a mark"
    assert frame.hint_label(clicks.AreaSelection("map").hint) == "Lasso or box-select points"
