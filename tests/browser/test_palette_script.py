"""The script of the palette, tested without a dashboard: late cleanup calls by Streamlit, and lost answers."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from observability.dashboard import components, palette
from observability.dashboard.overview import incident_actions
from observability.dashboard.review import agenda

pytestmark = pytest.mark.browser
SCRIPT = (components.ASSETS / "palette.js").read_text(encoding="utf-8")
SET_UP = """async (script) => {
  document.body.innerHTML = '<div id="palette"></div>'
  const address = URL.createObjectURL(new Blob([script], { type: 'text/javascript' }))
  const draw = (await import(address)).default
  window.sent = []
  const parts = { items: [], summary: 'All models', shortcuts: [], keys: [], here: {}, share: true, cookies: {}, full: false, opened: null }
  window.draw = (data) => draw({
    data: { ...parts, ...data }, parentElement: document.body, setTriggerValue: (...trigger) => window.sent.push(trigger),
  })
}"""
VIEW = {"kind": "Incidents", "t": "Rain of all", "hint": "Ann", "go": {"page": "drift", "parameters": {}}}


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A page that contains only the palette."""
    page = chromium.contexts[0].new_page()
    page.bring_to_front()
    page.evaluate(SET_UP, SCRIPT)
    yield page
    page.close()


def openings(page: Page) -> list[Any]:
    """The numbers of the openings that the palette has sent."""
    return [value for name, value in page.evaluate("sent") if name == "open"]


def test_palette_keys_work_after_data_are_replaced_before_drawing(page: Page) -> None:
    # Streamlit 1.67 draws both. After the second, it calls the function that the first returned, if any.
    page.evaluate("() => { const first = draw({}); draw({}); first?.() }")
    page.keyboard.press("Control+k")
    page.get_by_role("dialog", name="Search").wait_for(timeout=2_000)
    page.keyboard.press("Escape")
    page.evaluate("document.getElementById('palette').remove()")
    page.keyboard.press("Control+k")
    assert len(openings(page)) == 1, "a removed palette does not react to keys"


def test_the_palette_repeats_a_lost_request_and_numbers_each_opening(page: Page) -> None:
    page.evaluate("draw({})")
    page.keyboard.press("Control+k")
    (first,) = openings(page)
    page.evaluate("(opened) => draw({ opened })", first)
    again = openings(page)[-1]
    assert len(openings(page)) == 2 and again > first
    page.keyboard.type("Rain")
    page.evaluate("([opened, item]) => draw({ opened, full: true, items: [item] })", [again, VIEW])
    page.get_by_role("option", name="Rain of allAnn").wait_for(timeout=2_000)
    page.evaluate("(opened) => draw({ opened })", again)
    assert len(openings(page)) == 2 and page.get_by_role("option", name="Rain of allAnn").is_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("Control+k")
    assert len(openings(page)) == 3 and openings(page)[-1] > again


def test_the_list_of_shortcuts_names_the_keys_of_lists_and_pages(page: Page) -> None:
    page.evaluate("(keys) => draw({ keys, shortcuts: [{ key: 'h', t: 'Home', go: {} }] })", palette.key_rows())
    page.keyboard.press("?")
    listed = page.get_by_role("dialog", name="Keyboard shortcuts")
    rows = dict(zip(listed.locator("dt").all_inner_texts(), listed.locator("dd").all_inner_texts(), strict=True))
    assert rows["j k"] == "Next and previous row of a list" and {"Enter", "x", "a", "e", "s", "a w c", "← →", "g h", "?"} <= {*rows}
    assert rows["s"] == "Snooze the incident" and rows["a w c"].endswith("act, watch, accept")
    assert {*incident_actions.KEYS} <= {*rows} and " ".join(agenda.KEYS) in rows, "the help lists the keys that the tables accept"
    assert listed.locator("dl").evaluate("list => list.tabIndex") == 0, "the list can be scrolled by keyboard on a low screen"


def test_marks_set_in_two_tabs_are_both_kept_in_the_cookie(page: Page) -> None:
    marks = {"most": 3, "length": 1}

    def held() -> str:
        (cookie,) = [each for each in page.context.cookies(page.url) if each["name"] == "marks"]
        return str(cookie["value"]).replace("%22", "")

    def draw(*changes: dict[str, Any]) -> str:
        page.evaluate("(given) => draw({ cookies: { marks: given } })", {**marks, "changes": list(changes)})
        return held()

    page.route("http://palette.test/", lambda route: route.fulfill(body="<!doctype html>", content_type="text/html"))
    page.goto("http://palette.test/")  # an empty page has no cookies
    page.evaluate(SET_UP, SCRIPT)
    first = {"turn": 1, "add": ["aw", "bw"], "drop": ["a", "b"]}
    assert draw(first) == "aw.bw"
    page.evaluate("document.cookie = 'marks=%22cw.bw%22; path=/'")  # another tab read c, and marked a as unread
    assert draw(first) == "cw.bw", "each change is applied once"
    assert draw(first, {"turn": 2, "add": ["ba"], "drop": ["b"]}) == "ba.cw", "each name has one mark"
    assert draw({"turn": 3, "add": [], "drop": ["c"]}, {"turn": 4, "add": ["dw", "ew", "fw"], "drop": ["d", "e", "f"]}) == "dw.ew.fw"
    page.context.clear_cookies(name="marks")
