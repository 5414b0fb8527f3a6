"""Back returns to the previous page in one step, with its window, scope and selection."""

from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import Visit
from tests.browser.pages import PATIENCE, choose, click_in, heading, parameters, settle
from tests.support.running import Dashboard

pytestmark = pytest.mark.browser
WEEK = "model=flights-delay&from=2013-06-24T00%3A00&to=2013-07-01T00%3A00&window=Chosen+dates"

NEWEST = "model=flights-delay&from=2013-12-26T00%3A00&to=2014-01-02T00%3A00&window=Chosen+dates"
"""The week whose findings the first page already has. For another week it takes 10 seconds of processor time, which is more than any test
waits on a busy machine.
"""


def view(page: Page) -> tuple[str, str, dict[str, str]]:
    """Path, title and parameters of a page after it is drawn."""
    return urlsplit(page.url).path, heading(page), parameters(page)


def entries(page: Page) -> int:
    """The number of entries in the browser's history."""
    found: int = page.evaluate("history.length")
    return found


def go(page: Page, path: str, act: Callable[[], object]) -> None:
    """Do something that leads to another page, and wait until that page is drawn."""
    act()
    page.wait_for_function("(path) => location.pathname === path", arg=path, timeout=PATIENCE)
    settle(page)


def test_each_opened_page_adds_one_entry_to_the_browser_history(fleet: Dashboard, visit: Visit) -> None:
    page = visit(f"{fleet.url}/?{NEWEST}", height=3000)
    inside = page.get_by_test_id("stMain")
    steps: list[tuple[str, Callable[[], object]]] = [
        ("/model", lambda: inside.get_by_role("link", name="flights-delay").first.click()),
        ("/drift", lambda: inside.get_by_role("link", name="Input drift").first.click()),
        ("/cases", lambda: click_in(page, "overlay", 0.6, 0.9)),
        ("/case", lambda: inside.locator("tbody th a").first.click()),
    ]
    seen = [view(page)]
    before = entries(page)
    for path, act in steps:
        go(page, path, act)
        if path == "/drift":
            choose(page, "Column", "humidity_percent")
        seen.append(view(page))
        assert entries(page) - before == len(seen) - 1, seen
    assert [each[2].get("model") for each in seen] == ["flights-delay"] * 5
    for step in reversed(seen[:-1]):
        go(page, step[0], lambda: page.go_back(wait_until="commit"))
        assert view(page) == step


@pytest.mark.long  # test_each_opened_page_adds_one_entry_to_the_browser_history
def test_a_double_click_and_a_click_while_the_next_page_loads_add_no_entries(fleet: Dashboard, visit: Visit) -> None:
    page = visit(f"{fleet.url}/drift?{WEEK}&feature=humidity_percent", height=3000)
    before, first = entries(page), view(page)

    def impatient() -> None:
        click_in(page, "overlay", 0.6, 0.9)
        for wait in (50, 150, 300, 600):
            page.wait_for_timeout(wait)
            page.mouse.click(700, 8)

    go(page, "/cases", impatient)
    page.get_by_role("heading", name="Find a case").wait_for()
    settle(page)
    assert entries(page) == before + 1 and parameters(page)["to"] == "2013-07-01T00:00"
    go(page, "/drift", lambda: page.go_back(wait_until="commit"))
    assert view(page) == first


@pytest.mark.long  # test_shell.py::test_the_scope_bar_stays_visible_and_each_choice_adds_one_history_entry
def test_a_choice_on_a_page_adds_one_history_entry(fleet: Dashboard, visit: Visit) -> None:
    page = visit(f"{fleet.url}/drift?{WEEK}&feature=humidity_percent", height=3000)
    before = entries(page)
    click_in(page, "ranking", 0.02, 0.02)
    page.wait_for_function("() => !location.search.includes('feature=humidity_percent')")
    settle(page)
    assert entries(page) == before + 1
    go(page, "/drift", lambda: page.go_back(wait_until="commit"))
    page.wait_for_function("() => document.querySelector('.st-key-overlay .xtitle')?.textContent === 'humidity_percent'")
    assert parameters(page)["feature"] == "humidity_percent"
