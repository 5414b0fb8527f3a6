"""The first figure of a page begins on its first screen, on a desktop, a laptop and a phone, and no page is wider than its screen.

A page is opened once and then made as wide as each screen. A long run looks at every page.
"""

import pytest

from tests.browser.conftest import Visit
from tests.browser.pages import complete
from tests.support.length import LONG
from tests.support.running import Dashboard

pytestmark = pytest.mark.browser
SCREENS = {"desktop": (1440, 900), "laptop": (1024, 768), "phone": (390, 844)}
PAGES = {
    "Home": "/",
    "Model": "/model?model=flights-delay",
    "Input drift": "/drift?model=flights-delay",
    "Cost": "/cost?model=flights-late",
    "Slices": "/slices?model=flights-delay",
    "Fairness": "/fairness?model=employment",
    "Performance": "/performance?model=flights-late",
    "Data quality": "/quality?model=flights-delay",
    "Multivariate drift": "/multivariate_drift?model=flights-delay",
    "Why it changed": "/why_changed?model=flights-delay",
    "Calibration": "/calibration?model=flights-late",
    "Latency": "/latency?model=flights-late",
    "Energy": "/energy?model=flights-late",
    "Exports": "/exports?window=Everything",
    "Studies": "/studies?window=Everything",
    "Trade-offs": "/trade_offs?model=employment",
    "Audits": "/audits?model=employment",
}
FIRST_FIGURE = """() => {
  const main = document.querySelector('[data-testid="stMain"]')
  const tables = [...main.querySelectorAll('*')].flatMap((each) => [...(each.shadowRoot?.querySelectorAll('table') ?? [])])
  const boxes = [...main.querySelectorAll('[data-testid="stPlotlyChart"]'), ...tables].map((each) => each.getBoundingClientRect())
  const tops = boxes.filter((box) => box.height > 0).map((box) => box.top + main.scrollTop)
  return [Math.min(...tops), document.documentElement.scrollWidth - innerWidth]
}"""
"""The upper edge of the first chart or table, in pixels, and by how much the page is wider than its screen."""


@pytest.mark.parametrize("name", list(PAGES) if LONG else list(PAGES)[:4])
def test_the_first_figure_begins_on_the_first_screen(fleet: Dashboard, visit: Visit, name: str) -> None:
    page = visit(f"{fleet.url}{PAGES[name]}", width=1440, height=900)
    complete(page)
    found = {}
    for screen, (width, height) in SCREENS.items():
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_function("(width) => innerWidth === width", arg=width)
        page.wait_for_timeout(400)  # charts are drawn anew
        found[screen] = page.evaluate(FIRST_FIGURE)
    assert all(top < SCREENS[screen][1] and wider <= 0 for screen, (top, wider) in found.items()), found
