"""A page is accessible even while it is being drawn: its title, its scope and the skeletons of the parts to come."""

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.accessibility import BACKGROUNDS, IN_COLOUR, fits, serious
from tests.browser.conftest import Visit
from tests.browser.heights import LAPTOP, PHONE, TABLET
from tests.browser.pages import complete
from tests.support.running import Dashboard

pytestmark = pytest.mark.browser
SKELETON, TITLE = '[data-testid="stSkeleton"]', '[data-testid="stMain"] h1'
CHARTS = "**/PlotlyChart.*.js"
"""The script that draws charts. Until it is loaded, a skeleton takes the place of each chart."""
NEW_TAB = "'a tab of its own, which has not compiled the script of charts'"

SHIFTS = """{
  window.shifts = []
  const moved = (shift) => shift.sources.map((source) => source.node?.outerHTML?.slice(0, 200))
  const note = (list) => {
    for (const shift of list.getEntries()) if (!shift.hadRecentInput) window.shifts.push([shift.value, moved(shift)])
  }
  new PerformanceObserver(note).observe({ type: "layout-shift", buffered: true })
}"""
"""A script for a visit: notes the layout shifts of the page, each with what moved."""
GOOD_SHIFT = 0.1
"""The cumulative layout shift up to which a page counts as still (https://web.dev/articles/cls)."""


def test_a_page_that_loads_is_accessible_in_light_and_dark_and_fits_a_phone(fleet: Dashboard, chromium: Browser, visit: Visit) -> None:
    chromium.contexts[0].route(CHARTS, lambda _: None)
    try:
        page = visit(f"{fleet.url}/drift?model=flights-delay", ready=False, script=NEW_TAB)
        page.locator(SKELETON).first.wait_for()
        loads_well(page)
    finally:
        chromium.contexts[0].unroute(CHARTS)


def loads_well(page: Page) -> None:
    """Check the loading page for accessibility, in light, in dark and at the width of a phone."""
    page.locator(TITLE).wait_for()
    page.set_viewport_size(LAPTOP)
    page.locator(SKELETON).first.wait_for()
    assert page.locator(SKELETON).count() and serious(page) == [], "the skeleton is accessible in the light theme"
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(IN_COLOUR, arg=BACKGROUNDS["dark"])
    assert serious(page, others=False) == [], "the skeleton is accessible in the dark theme"
    page.set_viewport_size(PHONE)
    fits(page, PHONE)
    assert page.locator(SKELETON).count(), "the page is still loading"


@pytest.mark.parametrize("address", ["model?model=flights-delay", "review", "runs", "drift?model=flights-delay&only=ranking"])
def test_what_a_page_shows_stays_in_its_place_while_the_rest_comes(fleet: Dashboard, visit: Visit, address: str) -> None:
    """Regression: the grey block of the page was pushed down by each part that came, and rows of boxes grew when their script had come:
    0.39 on a model's page, 0.17 on Review. A figure alone moved by the width of a menu that it does not have.
    """
    page = visit(f"{fleet.url}/{address}", script=SHIFTS, **LAPTOP)
    complete(page)
    assert sum(value for value, _ in page.evaluate("window.shifts")) <= GOOD_SHIFT, page.evaluate("window.shifts")


def test_a_page_stays_in_its_place_when_its_menu_comes_on_a_tablet(fleet: Dashboard, visit: Visit) -> None:
    """Regression: a place for the menu was kept only from 849 pixels on, so the page moved by 0.22 when the menu came at 820."""
    page = visit(f"{fleet.url}/drift?model=flights-delay", script=SHIFTS, **TABLET)
    complete(page)
    assert sum(value for value, _ in page.evaluate("window.shifts")) <= GOOD_SHIFT, page.evaluate("window.shifts")


def test_a_page_opened_from_a_figure_alone_keeps_a_place_for_its_menu(fleet: Dashboard, visit: Visit) -> None:
    """Regression: the document stayed one of a figure alone, and the page moved by the width of its menu."""
    alone = "document.documentElement.classList.contains('single-figure')"
    page = visit(f"{fleet.url}/drift?model=flights-delay&only=ranking", **LAPTOP)
    assert page.evaluate(alone)
    page.get_by_role("button", name="Open its page").click()
    page.wait_for_url(lambda address: "only=" not in address)
    assert not page.evaluate(alone)
