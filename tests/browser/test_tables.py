"""Tables sort and filter. The first page says each thing once, in few words, and does not move while it refreshes."""

import pytest
from playwright.sync_api import Browser, Page, Route

from tests.browser.conftest import Visit
from tests.browser.heights import LAPTOP, TABLET
from tests.browser.pages import REFRESHES, complete, refresh, settle
from tests.support.running import Dashboard

pytestmark = pytest.mark.browser
WORDS = """() => {
  const main = document.querySelector('[data-testid="stMain"]')
  const tables = [...main.querySelectorAll('*')].flatMap((each) => [...(each.shadowRoot?.querySelectorAll('#ledger') ?? [])])
  const shown = main.innerText, title = main.querySelector('h1').innerText
  const text = [shown.slice(shown.indexOf(title)), ...tables.map((each) => each.innerText)].join(' ')
  const icons = [...main.querySelectorAll('[data-testid="stIconMaterial"]')].filter((each) => each.offsetParent && !each.closest('.st-key-scope-bar'))
  return text.split(/\\s+/).filter((word) => /[A-Za-z]{2,}/.test(word)).length - icons.length
}"""
COMPONENTS = "**/BidiComponent.*.js"
"""The script that draws tables."""
NEW_TAB = "'a tab of its own, which has not compiled the script of tables'"
KEPT = """() => document.querySelector('[data-testid="stElementContainer"].st-key-fleet')?.getBoundingClientRect().height"""
"""Pixels that the table of models takes; none before it is there."""
OWN = """() => document.querySelector('.st-key-fleet [data-drawn]').shadowRoot.querySelector('#ledger').getBoundingClientRect().height"""
"""Pixels of the drawn table of models itself."""
MARGIN = 4
"""Pixels around the filter box and the table, which the height of the table itself leaves out."""
STALE = """() => {
  const main = document.querySelector('[data-testid="stMain"]')
  window.seen = []
  const look = () => {
    const grey = [...main.querySelectorAll('[data-stale="true"]')].filter((each) => each.offsetHeight && Number(getComputedStyle(each).opacity) < 1).length
    window.seen.push([main.scrollTop, main.scrollHeight, grey])
    requestAnimationFrame(look)
  }
  main.scrollTop = 200
  look()
}"""


def column_of(page: Page, caption: str, place: int) -> list[str]:
    """The first line of each cell in one column of a table, in the visible rows only."""
    rows = page.get_by_role("table", name=caption).locator("tbody:not([hidden]) tr:first-child")
    return [text.split("\n")[0] for text in rows.locator(f"xpath=*[{place + 1}]").all_inner_texts()]


def before_its_script(chromium: Browser, visit: Visit, url: str) -> tuple[Page, float]:
    """The page once it is complete, and the pixels that its table of models took before the script of tables had come."""
    held: list[Route] = []
    let_through = False
    chromium.contexts[0].route(COMPONENTS, lambda route: route.continue_() if let_through else held.append(route))
    try:
        page = visit(url, ready=False, script=NEW_TAB)
        kept = float(page.wait_for_function(KEPT).json_value())
        let_through = True
        for route in held:
            route.continue_()
        settle(page)
    finally:
        chromium.contexts[0].unroute(COMPONENTS)
    return page, kept


def test_a_table_keeps_its_height_before_its_script_sorts_by_a_title_and_filters(fleet: Dashboard, chromium: Browser, visit: Visit) -> None:
    page, kept = before_its_script(chromium, visit, fleet.url)
    own = float(page.evaluate(OWN))
    assert 0.8 * own <= kept <= own + 1, "nothing below the table jumps by more than broken lines of text, and never upwards"
    assert page.evaluate(KEPT) == pytest.approx(own, abs=MARGIN)
    models = page.get_by_role("table", name="Models, most severe first")
    first = column_of(page, "Models, most severe first", 0)
    models.get_by_role("button", name="Model", exact=True).click()
    assert column_of(page, "Models, most severe first", 0) == sorted(first, key=str.casefold)
    models.get_by_role("button", name="Model", exact=True).click()
    assert column_of(page, "Models, most severe first", 0) == sorted(first, key=str.casefold, reverse=True)
    models.get_by_role("button", name="Model", exact=True).click()
    assert column_of(page, "Models, most severe first", 0) == first

    box = page.get_by_role("searchbox", name="Filter: Models, most severe first")
    box.fill("employment")
    left = column_of(page, "Models, most severe first", 0)
    assert 0 < len(left) < len(first) and all("employment" in name for name in left)
    assert page.evaluate(KEPT) == pytest.approx(page.evaluate(OWN), abs=MARGIN) and page.evaluate(OWN) < own, (
        "a filtered table leaves no gap"
    )
    box.fill("")
    selected = page.get_by_role("group", name="Selected rows")
    assert not selected.is_visible()
    boxes = page.get_by_role("checkbox", name="Select")
    boxes.nth(0).check()
    assert "1 selected" in selected.inner_text() and not selected.get_by_role("button", name="Merge").count(), (
        "a single selected row offers no merge"
    )
    boxes.nth(1).check()
    selected.get_by_role("button", name="Merge").click()
    settle(page)
    assert "resolved as its duplicates" in page.get_by_role("dialog").inner_text()


@pytest.mark.long  # tests/dashboard/test_finding_lines.py
def test_fine_findings_are_folded_until_they_are_asked_for(fleet: Dashboard, visit: Visit) -> None:
    page = visit(f"{fleet.url}/findings?model=sentiment")
    assert "OK" not in column_of(page, "Findings, most urgent first", 0)
    page.locator(".st-key-severity button").filter(has_text="OK").first.click()
    settle(page)
    assert set(column_of(page, "Findings, most urgent first", 0)) == {"OK"}


def test_the_home_page_is_short_and_does_not_move_while_it_refreshes(fleet: Dashboard, visit: Visit) -> None:
    page = visit(fleet.url, height=700, script=REFRESHES)
    complete(page)
    assert page.evaluate(WORDS) <= 250
    page.evaluate(STALE)
    refresh(page)
    refresh(page)
    seen = {tuple(each) for each in page.evaluate("window.seen")}
    assert len(seen) == 1 and next(iter(seen))[2] == 0, seen


def test_a_table_stays_a_table_on_a_phone_and_scrolls_by_key_with_its_first_column_in_sight(fleet: Dashboard, visit: Visit) -> None:
    page = visit(fleet.url, width=390, height=844)
    models = page.get_by_role("table", name="Models, most severe first")
    whole = page.get_by_role("button", name="All columns").first
    assert [title.inner_text() for title in models.locator("thead th:visible").all()] == ["Model", "Status", "Outcome"]
    assert models.evaluate("(table) => table.parentElement.scrollWidth <= table.parentElement.clientWidth + 1"), (
        "the columns fit into the frame"
    )
    whole.click()
    frame = page.get_by_role("region", name="Models, most severe first, scrolls sideways")
    heads = frame.locator("thead th")
    heads.nth(3).wait_for()
    assert heads.first.bounding_box()["y"] == heads.last.bounding_box()["y"], "the columns are side by side"
    kept = frame.locator("tbody th").first
    before = kept.bounding_box()
    frame.focus()
    for _ in range(12):
        frame.press("ArrowRight")
    page.wait_for_function("(frame) => frame.scrollLeft > 100", arg=frame.element_handle())
    after = kept.bounding_box()
    assert before and after and after["x"] == before["x"], "the column of names stays visible"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page itself does not scroll sideways"


def test_a_table_beside_an_open_menu_on_a_tablet_shows_the_columns_of_a_phone(fleet: Dashboard, visit: Visit) -> None:
    """Regression: names were broken after three letters, and the page was 4.3 screens tall."""
    page = visit(f"{fleet.url}/devices", **LAPTOP)
    heads = page.get_by_role("table", name="Devices and what they delivered").locator("thead th:visible")
    assert heads.count() > 4
    page.set_viewport_size(TABLET)
    heads.nth(4).wait_for(state="hidden")
    assert [head.inner_text() for head in heads.all()] == ["Device", "Status", "Completeness", "Rejected"]
    assert page.get_by_role("button", name="All columns").first.is_visible()


def test_a_table_with_sentences_below_its_rows_fits_beside_the_open_menu_of_a_tablet(fleet: Dashboard, visit: Visit) -> None:
    """Regression: the sentence was as wide as the frame, and a margin of seven pixels beside it made the table scroll sideways."""
    page = visit(f"{fleet.url}/runs", **TABLET)
    runs = page.get_by_role("table", name="Training runs", exact=True)
    runs.locator("tr.note").first.wait_for()
    assert [title.inner_text() for title in runs.locator("thead th:visible").all()] == ["Run", "Status"]
    assert runs.evaluate("(table) => table.parentElement.scrollWidth <= table.parentElement.clientWidth + 1")
