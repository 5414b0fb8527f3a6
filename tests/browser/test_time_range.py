"""The two date boxes are next to each other, so that the calendar of one does not cover the other."""

import pytest

from tests.browser.conftest import Visit
from tests.browser.pages import settle
from tests.support.running import Dashboard

pytestmark = pytest.mark.browser
DATES = "window=Chosen+dates&from=2013-12-01&to=2013-12-08"


def test_the_calendar_of_the_start_does_not_cover_the_box_of_the_end(fleet: Dashboard, visit: Visit) -> None:
    """Regression: the calendar opened over the box below it, so the end date could not be picked."""
    page = visit(f"{fleet.url}/changes?{DATES}", width=1366, height=768)
    page.locator("[class*=st-key-time-range] button").first.click()
    start, end = (page.get_by_test_id("stDateInput").filter(has_text=label) for label in ("From (UTC)", "To (UTC)"))
    for width in (1366, 390):
        page.set_viewport_size({"width": width, "height": 900})
        if width == 390:
            settle(page)
            page.get_by_role("button", name="Scope:").click()
            page.locator("[class*=st-key-time-range] button").first.click()
        start.get_by_role("button").last.click()
        calendar = page.get_by_role("dialog").last.bounding_box()
        box = end.get_by_test_id("stDateInputField").bounding_box()
        assert (
            calendar
            and box
            and not (
                calendar["x"] < box["x"] + box["width"]
                and box["x"] < calendar["x"] + calendar["width"]
                and calendar["y"] < box["y"] + box["height"]
                and box["y"] < calendar["y"] + calendar["height"]
            )
        )
        end.get_by_role("button").last.click()
        page.get_by_role("dialog").last.wait_for()
        page.keyboard.press("Escape")
        page.keyboard.press("Escape")


def test_enter_accepts_the_typed_date(fleet: Dashboard, visit: Visit) -> None:
    """Regression: Streamlit accepts a date only when the focus leaves the box, so Enter did nothing."""
    page = visit(f"{fleet.url}/changes?{DATES}", width=1366, height=768)
    page.locator("[class*=st-key-time-range] button").first.click()
    end = page.get_by_test_id("stDateInput").filter(has_text="To (UTC)")
    end.get_by_role("spinbutton").last.click()
    page.keyboard.type("05")
    page.keyboard.press("Enter")
    page.wait_for_url("**to=2013-12-06**")


def test_the_time_range_closes_only_once_the_end_is_set(fleet: Dashboard, visit: Visit) -> None:
    """Regression: the menu of the time range stayed open over the page after both dates were typed."""
    page = visit(f"{fleet.url}/changes?{DATES}", width=1366, height=768)
    choice = page.get_by_test_id("stPopoverBody")
    page.locator("[class*=st-key-time-range] button").first.click()
    page.get_by_test_id("stDateInput").filter(has_text="From (UTC)").get_by_role("spinbutton").last.click()
    page.keyboard.type("02")
    page.keyboard.press("Enter")
    page.wait_for_url("**from=2013-12-02**")
    settle(page)
    assert choice.count() == 1
    page.get_by_test_id("stDateInput").filter(has_text="To (UTC)").get_by_role("spinbutton").last.click()
    page.keyboard.type("05")
    page.keyboard.press("Enter")
    page.wait_for_url("**from=2013-12-02**to=2013-12-06**")
    choice.wait_for(state="detached")
    assert "2 to 5 Dec 2013" in page.locator("[class*=st-key-time-range] button").first.inner_text()
