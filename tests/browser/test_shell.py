"""The scope bar, the menu and the command palette, as a reader uses them."""

import json

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.accessibility import serious, turn
from tests.browser.conftest import Visit
from tests.browser.pages import complete, heading, open_figure_menu, open_search, parameters, settle
from tests.support.running import Dashboard

pytestmark = pytest.mark.browser
LAPTOP: dict[str, int] = {"width": 1366, "height": 768}
SCROLLED = """() => {
  const main = document.querySelector('[data-testid=stMain]')
  main.scrollTo(0, main.scrollHeight)
  return main.scrollTop > 300
}"""
"""Scrolls to the end, and returns whether the page is there; parts that are still growing may move it back once."""


def bar_box(page: Page) -> tuple[float, float]:
    """The upper edge and the height of the scope bar."""
    box = page.locator(".st-key-scope-bar").locator("xpath=..").bounding_box()
    assert box
    return box["y"], box["height"]


def entries(page: Page) -> int:
    """The number of entries in the browser's history."""
    found: int = page.evaluate("history.length")
    return found


def test_the_scope_bar_stays_visible_and_each_choice_adds_one_history_entry(fleet: Dashboard, visit: Visit) -> None:
    page = visit(f"{fleet.url}/quality?model=flights-late&window=28d", **LAPTOP)
    menu = page.get_by_role("navigation", name="Main menu")
    links = menu.get_by_role("link")
    assert 5 < links.count() <= 12
    last = links.last.bounding_box()
    assert last and last["y"] + last["height"] <= LAPTOP["height"]
    page.wait_for_function(SCROLLED)
    top, height = bar_box(page)
    assert top == 0 and height <= 56

    before, time_range = entries(page), page.locator("[class*=st-key-time-range] button").first
    time_range.click()
    page.get_by_role("button", name="Last 90 days").click()
    settle(page)
    page.get_by_role("button", name="Earlier").click()
    settle(page)
    assert parameters(page)["from"] == "2013-07-06T00:00" and parameters(page)["to"] == "2013-10-04T00:00"
    tabs = page.get_by_role("navigation", name="Pages of this part")
    assert len(set(tabs.locator("ul").first.locator("li").evaluate_all("tabs => tabs.map((tab) => tab.offsetTop)"))) == 1, (
        "the tabs are in one line"
    )
    tabs.get_by_role("link", name="Fairness").click()
    page.get_by_role("heading", name="Fairness").wait_for()
    settle(page)
    assert parameters(page)["from"] == "2013-07-06T00:00" and entries(page) == before + 3
    page.go_back(wait_until="commit")
    page.go_back(wait_until="commit")
    page.wait_for_function("() => location.search.includes('90+days')")
    settle(page)
    assert heading(page) == "Data quality" and "Last 90 days" in time_range.inner_text()


def test_the_palette_finds_features_pages_and_cases_by_keyboard(own: Dashboard, visit: Visit) -> None:
    page = visit(f"{own.url}/latency?model=flights-late&window=28d", **LAPTOP)
    field = open_search(page)
    field.fill("rain_3h")
    line = page.get_by_role("option", name="rain_3h_in flights-late", exact=True)
    line.wait_for()
    assert line.get_attribute("aria-selected") == "true" and serious(page) == []
    turn(page, "dark")
    assert serious(page, others=False) == []
    field.press("Enter")
    page.wait_for_function("() => location.pathname === '/drift'")
    settle(page)
    assert parameters(page)["feature"] == "rain_3h_in" and parameters(page)["window"] == "Last 28 days"

    open_search(page).fill("My rain")
    page.get_by_role("option", name="Pin this view as My rain").click()
    open_search(page).fill("Rain of all")
    page.get_by_role("option", name="Share this view as Rain of all").click()
    share = page.get_by_role("dialog", name="Share this view")
    share.get_by_role("textbox", name="Your name").fill("Ann")
    share.get_by_role("textbox", name="Your name").press("Enter")
    share.get_by_role("button", name="Share", exact=True).and_(page.locator(":enabled")).click()
    share.wait_for(state="hidden")
    settle(page)
    page.get_by_role("button", name="Copy link").click()
    page.get_by_role("button", name="Open here first").click()
    page.get_by_role("button", name="Open Home first").wait_for()
    page.locator(".stToast").wait_for(state="hidden")  # the notice covers the link
    settle(page)
    assert page.locator("[data-testid=stPopoverButton][aria-expanded=true]").count() == 1 and serious(page) == []
    page.keyboard.press("Escape")

    page.keyboard.press("?")
    shortcuts = page.get_by_role("dialog", name="Keyboard shortcuts")
    shortcuts.wait_for()
    assert serious(page) == []
    page.keyboard.press("Escape")
    shortcuts.wait_for(state="hidden")
    page.keyboard.press("g")
    page.keyboard.press("i")
    page.get_by_role("heading", name="Find a case").wait_for()
    settle(page)
    open_search(page)
    page.get_by_role("option", name="Rain of all Ann", exact=True).wait_for()
    page.get_by_role("option", name="My rain").click()
    page.get_by_role("heading", name="Input drift").wait_for()
    settle(page)
    assert parameters(page)["feature"] == "rain_3h_in" and parameters(page)["window"] == "Last 28 days"
    page.goto(own.url)
    page.get_by_role("heading", name="Input drift").wait_for()
    settle(page)
    assert parameters(page)["feature"] == "rain_3h_in", "the address names the view that opens first"

    page.set_viewport_size({"width": 390, "height": 844})
    model = page.get_by_test_id("stMain").get_by_role("combobox", name="Model")
    model.wait_for(state="hidden")
    page.get_by_role("button", name="Scope: flights-late").click()
    model.wait_for()
    assert serious(page) == []


@pytest.mark.long  # tests/dashboard/test_tour.py
def test_the_sample_tour_continues_across_pages_and_stays_closed(fleet: Dashboard, visit: Visit) -> None:
    page = visit(f"{fleet.url}/changes", **LAPTOP)
    tour = page.locator("#tour")
    tour.get_by_role("button", name="Start").click()
    page.wait_for_function("() => location.pathname === '/'")
    settle(page)
    assert "1 of 5" in tour.inner_text() and serious(page) == []
    tour.get_by_role("button", name="Next").click()
    page.wait_for_function("() => location.pathname === '/model'")
    settle(page)
    assert "2 of 5" in tour.inner_text()
    tour.get_by_role("button", name="Leave").click()
    page.reload()
    settle(page)
    assert tour.inner_text().strip() == "Tour of the sample"


def test_charts_are_drawn_without_restyling_the_page_and_follow_a_theme_change(fleet: Dashboard, chromium: Browser, visit: Visit) -> None:
    chromium.start_tracing(categories=["devtools.timeline"])
    page = visit(f"{fleet.url}/latency?model=flights-late", **LAPTOP)
    events = json.loads(chromium.stop_tracing())["traceEvents"]
    styled = sum(event["args"]["elementCount"] for event in events if event["name"] == "UpdateLayoutTree")
    elements = page.evaluate("document.querySelectorAll('*').length")
    assert elements < styled < 20 * elements, (
        "plotly measures texts, and a style rule with a wide selector is applied to the whole page each time"
    )
    complete(page)
    box = page.locator(".js-plotly-plot").first.bounding_box()
    assert box
    page.mouse.move(box["x"] + 400, box["y"] + 120)
    page.mouse.move(box["x"] + 420, box["y"] + 120)
    page.wait_for_function("document.querySelectorAll('.crosshair').length > 1")
    open_figure_menu(page)
    with page.expect_download() as saved:
        page.get_by_role("link", name="SVG").click()
    page.keyboard.press("Escape")
    drawn = saved.value.path().read_text(encoding="utf-8")
    assert saved.value.suggested_filename == "requests.svg" and drawn.startswith("<svg") and drawn.count("<path") > 7
    page.mouse.move(2, 2)
    page.wait_for_function("!document.querySelector('.crosshair')")
    first = "rgb(0, 114, 178)"  # the first palette colour of the light theme, which the dark theme does not have
    drawn = "[...document.querySelectorAll('.stPlotlyChart path')].map((path) => `${path.style.stroke} ${path.style.fill}`).join()"
    for scheme in ("dark", "light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_function(
            f"([first, light]) => {drawn}.includes('rgb') && {drawn}.includes(first) === light", arg=[first, scheme == "light"]
        )
