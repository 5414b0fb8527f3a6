"""A lasso on the map selects predictions, and the rule that describes the selection becomes the slice of the page."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.browser.conftest import Visit
from tests.browser.pages import figure, tables, words
from tests.support import raw_rows
from tests.support.running import Dashboard

pytestmark = pytest.mark.browser
CORNERS = ((0.02, 0.02), (0.5, 0.02), (0.5, 0.98), (0.02, 0.98), (0.02, 0.04))


@pytest.mark.long  # tests/dashboard/test_prediction_map.py
def test_a_lasso_selects_points_and_their_rule_becomes_the_slice(fleet: Dashboard, visit: Visit) -> None:
    page = visit(f"{fleet.url}/prediction_map?model=flights-delay", height=1500)
    rows = len(raw_rows.last_week(raw_rows.predictions("flights-delay")))
    page.locator(".js-plotly-plot .scatterlayer .point").first.wait_for()
    assert figure(r"All ([\d,]+) predictions;", words(page)) == (f"{rows:,}",)
    area = page.locator(".js-plotly-plot .nsewdrag").first.bounding_box()
    assert area is not None
    for place, (right, down) in enumerate(CORNERS):
        page.mouse.move(area["x"] + right * area["width"], area["y"] + down * area["height"], steps=6)
        if place == 0:
            page.mouse.down()
    page.mouse.up()
    page.get_by_text("points selected").wait_for()
    page.get_by_role("button", name="Use as slice").wait_for()
    (chosen,) = figure(rf"([\d,]+) of {rows:,} points selected", words(page))
    sides = [row["Labelled of points"]["text"] for row in tables(page)["Errors of the selected points and of the others"][:2]]
    of = [int(side.rpartition(" ")[2].replace(",", "")) for side in sides]
    assert of == [int(chosen.replace(",", "")), rows - int(chosen.replace(",", ""))] and min(of) > 0
    page.get_by_role("button", name="Use as slice").click()
    page.wait_for_url(re.compile("slice="))
    assert parse_qs(urlsplit(page.url).query)["model"] == ["flights-delay"]
