"""In the time range Live the browser asks for changes by itself; if there are none, the page stays as it is."""

import pytest

from tests.browser.conftest import Visit
from tests.support.running import Dashboard

pytestmark = pytest.mark.browser
COUNT_RUNS = """() => {
  const app = document.querySelector('[data-testid="stApp"]')
  window.looks = 0
  new MutationObserver(() => { if (app.dataset.testScriptState === "running") window.looks += 1 }).observe(app, { attributes: true })
}"""


def test_the_live_page_refreshes_by_itself_without_scrolling(fleet: Dashboard, visit: Visit) -> None:
    page = visit(f"{fleet.url}/model?model=flights-delay&window=Live", height=400)
    page.get_by_text("Live, every 5 s. Newest record 1 Jan 2014").wait_for()
    page.get_by_test_id("stMain").evaluate("main => main.scrollTo(0, 120)")
    page.evaluate(COUNT_RUNS)
    page.wait_for_function("window.looks > 0", polling=300)
    assert page.get_by_test_id("stMain").evaluate("main => main.scrollTop") == 120
