"""A reused tab remembers nothing of the previous visit, so each page is tested as if it were the first one that the browser opens."""

import pytest
from playwright.sync_api import Browser

from tests.browser.pages import opened, settle
from tests.support.running import Dashboard

pytestmark = pytest.mark.browser
LEAVES = """() => {
  localStorage.setItem('left', '1')
  sessionStorage.setItem('left', '1')
  document.cookie = 'left=1'
  window.name = 'left'
  for (const step of [1, 2, 3]) History.prototype.pushState.call(history, null, '', '?left=' + step)
}"""
REMEMBERS = """() => [localStorage.getItem('left'), sessionStorage.getItem('left'), document.cookie.includes('left'), window.name,
  history.length, ...['print', '(prefers-color-scheme: dark)', '(prefers-reduced-motion: reduce)'].map((each) => matchMedia(each).matches), innerWidth]"""


def test_a_browser_tab_reused_between_visits_keeps_no_state(fleet: Dashboard, chromium: Browser) -> None:
    first = opened(chromium, f"{fleet.url}/store", width=1360, height=900, scheme="dark", motion="no-preference")
    settle(first.page)
    first.page.evaluate(LEAVES)
    first.page.emulate_media(media="print")
    left = first.page.evaluate(REMEMBERS)
    assert left[:4] == ["1", "1", True, "left"] and left[4] >= 4 and left[5:] == [True, True, False, 1360]
    first.close()
    again = opened(chromium, f"{fleet.url}/store", width=800, height=600)
    settle(again.page)
    assert again.page is first.page
    assert again.page.evaluate(REMEMBERS) == [None, None, False, "", 2, False, False, True, 800], (
        "the history has two entries: the empty page and the new page"
    )
    again.close()
    assert not first.problems and not again.problems
