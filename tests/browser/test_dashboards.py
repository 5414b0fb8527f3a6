"""In a dashboard that a person made, figures are pinned, a text is added, and both are rearranged; they stay after a reload and are
exported as a file.
"""

import json
import re

import pytest

from tests.browser.accessibility import serious
from tests.browser.conftest import Visit
from tests.browser.pages import download, heading, open_figure_menu, said, settle
from tests.support.running import Dashboard

pytestmark = pytest.mark.browser
DATES = "window=Chosen+dates&from=2013-07-01T00:00&to=2013-08-01T00:00"


@pytest.mark.long  # tests/dashboard/test_boards.py
def test_figures_are_pinned_arranged_kept_and_exported(own: Dashboard, visit: Visit) -> None:
    page = visit(f"{own.url}/quality?model=flights-delay&{DATES}")
    for name, place in (("Mornings", "quality"), (None, "performance")):
        if place == "performance":
            page = visit(f"{own.url}/performance?model=flights-late&{DATES}")
        open_figure_menu(page)
        page.get_by_role("button", name="Pin", exact=True).click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Your name").fill("Ann")
        dialog.get_by_label("Your name").press("Enter")
        settle(page)
        if name:
            box = dialog.get_by_role("combobox", name="Dashboard")
            box.fill(name)
            box.press("Enter")
            settle(page)
        dialog.get_by_role("button", name="Pin", exact=True).click()
        dialog.wait_for(state="detached")
        settle(page)

    page = visit(f"{own.url}/dashboards")
    page.get_by_role("link", name="Mornings").click()
    page.wait_for_function("document.querySelector('h1').innerText === 'Mornings'")
    settle(page)
    titles = page.locator("h3")
    assert titles.all_inner_texts() == ["Data quality: volume", "Performance: over time"]
    assert page.locator(".js-plotly-plot").count() == 2
    said(page, "flights-delay · 1 to 31 Jul 2013")

    page.get_by_text("Arrange", exact=True).click()
    settle(page)
    page.get_by_label("Your name").fill("Ann")
    page.get_by_label("Your name").press("Enter")
    settle(page)
    page.get_by_label("Text", exact=True).fill("Look at the weather first.")
    page.get_by_label("Text", exact=True).press("Control+Enter")
    settle(page)
    page.get_by_role("button", name="Add text").click()
    settle(page)
    page.get_by_role("button", name="Up", exact=True).nth(1).click()
    settle(page)
    assert titles.all_inner_texts() == ["Performance: over time", "Data quality: volume"]
    assert serious(page) == []

    page = visit(page.url)
    assert heading(page) == "Mornings"
    assert page.locator("h3").all_inner_texts() == ["Performance: over time", "Data quality: volume"]
    said(page, "Look at the weather first.")
    text = download(page, "board-export")
    drawn = [json.loads(found) for found in re.findall(r'<script type="application/json">(.*?)</script>', text)]
    assert len(drawn) == 2 and "Look at the weather first." in text
    page.set_viewport_size({"width": 390, "height": 844})
    settle(page)
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= 390
