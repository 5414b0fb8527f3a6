"""Without a stored explanation a case is useful at once; the waterfall follows with a progress bar and is two clicks away."""

from collections.abc import Iterator

import pytest

from observability.store.opener import open_store
from tests.browser.conftest import Visit
from tests.browser.pages import until
from tests.support.running import Dashboard, dashboard
from tests.support.sample_home import lent

pytestmark = pytest.mark.browser
MODEL = "flights-late"
SEEN = """() => {
  const marks = {
    concluded: () => [...document.querySelectorAll('[data-testid="stExpander"]')].some((each) => each.innerText.includes('Decide')),
    progress: () => [...document.querySelectorAll('[data-testid="stProgress"]')].length > 0,
    waterfall: () => document.querySelector('.st-key-waterfall-average .js-plotly-plot') !== null,
  }
  window.seen = {}
  const look = () => {
    for (const [name, there] of Object.entries(marks)) if (!(name in window.seen) && there()) window.seen[name] = performance.now()
    requestAnimationFrame(look)
  }
  document.addEventListener('DOMContentLoaded', look)
}"""
"""JavaScript that notes when each part of the page first appears."""


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Dashboard, str]]:
    """A dashboard over a copy of the fleet, and a prediction without a stored explanation."""
    with lent(tmp_path_factory, "first") as home:
        with open_store(home) as store:
            key = store.catalog().model(MODEL).key
            ((name,),) = (
                store.cursor()
                .execute(
                    f"SELECT id FROM predictions_{key} WHERE id NOT IN (SELECT id FROM attributions_{key}) ORDER BY sample_hash DESC LIMIT 1"
                )
                .fetchall()
            )
        with dashboard(home) as running:
            yield running, name


@pytest.mark.long  # test_case.py::test_pasting_an_id_leads_to_the_waterfall_and_back
def test_the_case_page_is_usable_at_once_and_the_waterfall_loads_with_progress(fresh: tuple[Dashboard, str], visit: Visit) -> None:
    running, name = fresh
    page = visit(f"{running.url}/case?model={MODEL}&id={name}", script=f"({SEEN})()", ready=False)
    page.get_by_text("Decide", exact=True).wait_for()
    until(page, "Main inputs", bool)  # parts that need no model are drawn before the model is asked
    page.locator(".st-key-waterfall-average .js-plotly-plot").wait_for()
    page.wait_for_function("window.seen.waterfall !== undefined")  # it is noted with the next frame
    seen = page.evaluate("window.seen")
    assert seen["concluded"] < seen["waterfall"] and seen["progress"] < seen["waterfall"]
    again = visit(f"{running.url}/case?model={MODEL}&id={name}", height=2400)
    again.locator(".st-key-waterfall-average .js-plotly-plot").wait_for()
    assert again.get_by_test_id("stProgress").count() == 0, "computed evidence is stored, so there is no progress bar"


@pytest.mark.long  # test_pasting_an_id_leads_to_the_waterfall_and_back
def test_the_home_page_leads_to_a_waterfall_in_two_clicks(fresh: tuple[Dashboard, str], visit: Visit) -> None:
    running, _ = fresh
    page = visit(running.url, height=2400)
    page.get_by_role("link", name="Investigate").click()
    (worst, *_) = [each for each in until(page, "Largest loss, the first of each model", bool) if each["Model"]["text"] == MODEL]
    page.get_by_role("link", name=worst["Case"]["text"]).first.click()
    page.locator(".st-key-waterfall-average .js-plotly-plot").wait_for()
