"""The room of the weekly review over a small log: every step is accessible, and a decision is written down."""

import pytest

from observability.dashboard.review.review import STEP_NAMES
from tests.browser.accessibility import accessible, serious
from tests.browser.conftest import Visit
from tests.browser.pages import said, settle, tables, until, until_row, words
from tests.support.length import LONG
from tests.support.review_world import BROKEN
from tests.support.running import Dashboard

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("scheme", ["light", "dark"] if LONG else ["light"])
def test_every_step_is_accessible(scheme: str, meeting: Dashboard, visit: Visit) -> None:
    page = visit(f"{meeting.url}/review?review={BROKEN}", scheme=scheme)
    for step in STEP_NAMES:
        assert serious(page) == [], step
        if step != STEP_NAMES[-1]:
            page.keyboard.press("ArrowRight")
            page.wait_for_url(f"**step={STEP_NAMES[STEP_NAMES.index(step) + 1]}**")
            settle(page)


def test_a_decision_and_a_signature_are_written_down(meeting: Dashboard, visit: Visit) -> None:
    page = visit(f"{meeting.url}/review?review={BROKEN}&step=decide")
    name = page.get_by_test_id("stMain").get_by_role("textbox", name="Your name")
    name.fill("Carla")
    name.press("Enter")
    settle(page)
    page.get_by_role("textbox", name="Decision", exact=True).fill("Retrain before the holidays")
    page.get_by_role("button", name="Save").click()
    said(page, "at least one piece of evidence")
    page.get_by_role("combobox", name="Evidence").click()
    page.get_by_role("option").filter(has_text="km").first.click()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Save").click()
    (decision,) = until(page, "Decisions", lambda rows: len(rows) == 1)
    assert (decision["Decision"]["text"], decision["Decided by"]["text"]) == ("Retrain before the holidays", "Carla")
    assert decision["Evidence"]["text"].startswith(str(BROKEN))
    page.get_by_role("table", name="Decisions").get_by_role("link").click()
    page.wait_for_url("**item=incident**")
    settle(page)
    assert "km" in words(page)
    page = visit(f"{meeting.url}/changes")  # today's decision lies in the window, or stands above it if the log ended earlier
    assert until_row(page, "Description", "Retrain before the holidays")["By"]["text"] == "Carla"
    page = visit(f"{meeting.url}/changes?window=Everything")
    box = page.get_by_role("textbox", name="Search")
    box.fill("holidays")
    box.press("Enter")
    settle(page)
    assert any(each["Description"]["text"] == "Retrain before the holidays" for each in tables(page).get("Changes, newest first", []))
    accessible(page)
