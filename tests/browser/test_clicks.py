"""In a real browser, a click on a mark of a chart leads to the predictions behind it, and Back returns."""

from datetime import datetime

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import Visit
from tests.browser.pages import click_in, heading, parameters, said, settle, words
from tests.support import raw_rows
from tests.support.running import Dashboard

pytestmark = pytest.mark.browser
MODEL, DAYS = "flights-delay", "from=2013-06-24T00%3A00&to=2013-07-01T00%3A00&window=Chosen+dates"


def after_a_click(visit: Visit, url: str, key: str, across: float, down: float, height: int) -> Page:
    """The page Cases, opened by a click inside a chart."""
    page = visit(url, height=height, ready=False)
    page.locator(f".st-key-{key} .nsewdrag").first.wait_for()
    settle(page)
    click_in(page, key, across, down)
    page.get_by_role("heading", name="Find a case").wait_for()
    settle(page)
    return page


@pytest.mark.long  # tests/dashboard/test_clicks.py
def test_a_click_on_a_distribution_bin_or_day_lists_its_predictions(fleet: Dashboard, visit: Visit) -> None:
    page = after_a_click(visit, fleet.url + f"/drift?model={MODEL}&feature=humidity_percent&{DAYS}", "overlay", 0.6, 0.9, 3000)
    asked = parameters(page)
    assert asked["q"].startswith('"humidity_percent" >= ') and asked["order"] == "largest loss first" and asked["model"] == MODEL
    low, high = (float(part.rpartition(" ")[2]) for part in asked["q"].split(" and "))
    rows = raw_rows.predictions(MODEL)
    inside = rows[
        (rows["at"] >= "2013-06-24") & (rows["at"] < "2013-07-01") & (rows["humidity_percent"] >= low) & (rows["humidity_percent"] < high)
    ]
    assert len(inside) > 100
    said(page, "the first 100 predictions")
    page.go_back()
    page.get_by_role("heading", name="Input drift").wait_for()

    page = after_a_click(visit, fleet.url + f"/quality?model={MODEL}&{DAYS}", "volume", 0.5, 0.95, 2400)
    assert parameters(page)["q"] == "id != null" and parameters(page)["from"].startswith("2013-06-2")
    assert heading(page) == "Find a case" and "the first 100 predictions" in words(page)

    page = after_a_click(visit, fleet.url + f"/compare?model={MODEL}&feature=humidity_percent&{DAYS}", "overlay", 0.6, 0.9, 5200)
    asked = parameters(page)
    assert asked["q"].startswith('"humidity_percent" >= ') and asked["from"].startswith("2013-06-24"), "side A is this window"


def test_a_drag_along_a_chart_chooses_its_days_and_then_its_hours(fleet: Dashboard, visit: Visit) -> None:
    page = visit(f"{fleet.url}/quality?model={MODEL}&{DAYS}", height=1200)
    for (across, to), chosen in (((0.3, 0.75), ("2013-06-26T00:00", "2013-06-29T00:00")), ((0.34, 0.65), None)):
        plot = page.locator("[class*=st-key-volume] .nsewdrag").first
        plot.scroll_into_view_if_needed()
        box = plot.bounding_box()
        assert box is not None
        middle = box["y"] + box["height"] / 2
        page.mouse.move(box["x"] + across * box["width"], middle)
        page.mouse.down()
        page.mouse.move(box["x"] + to * box["width"], middle, steps=5)
        before = page.url
        page.mouse.up()
        page.wait_for_url(lambda url, before=before: url != before)
        settle(page)
        found = parameters(page)
        assert chosen is None or (found["from"], found["to"]) == chosen
        assert page.locator(".select-outline, .selectionlayer path").count() == 0, "the selection box is removed from the chart"
    box, before = plot.bounding_box(), page.url
    assert box is not None
    axis = "() => document.querySelector('[class*=st-key-volume] .js-plotly-plot')._fullLayout.yaxis.range[1]"
    high = page.evaluate(axis)
    page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 0.2 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.8 * box["height"], steps=5)
    page.mouse.up()
    page.wait_for_function(f"(high) => ({axis})() < high", arg=high)
    settle(page)
    assert page.url == before, "a box over both axes zooms and does not change the address"
    start, end = (datetime.fromisoformat(found[name]) for name in ("from", "to"))
    assert datetime(2013, 6, 26, 12) < start < end < datetime(2013, 6, 28, 12) and end.minute == start.minute == 0
    page.go_back()
    page.wait_for_url("**from=2013-06-26T00**")


def test_a_download_clicked_during_a_rerun_still_arrives(fleet: Dashboard, visit: Visit) -> None:
    page = visit(f"{fleet.url}/findings?model={MODEL}&{DAYS}")
    for wait in (50, 150, 300):
        page.locator(".st-key-severity button").filter(has_text="Warning").first.click()
        page.wait_for_timeout(wait)
        with page.expect_download() as waiting:
            page.locator(".st-key-findings-csv button").click()
        assert waiting.value.suggested_filename == "findings.csv"
        settle(page)
