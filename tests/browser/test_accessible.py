"""Every page works with a screen reader, in the dark theme and on a phone, without errors or outside requests.

The fixture `visit` fails a test for an error on the console, an answer of 400 or more, or a request to another machine.
"""

from urllib.parse import quote

import pytest

from observability.dashboard.links import page_files
from tests.browser.accessibility import STREAMLIT, excused, serious, turn, violations
from tests.browser.conftest import Visit
from tests.browser.pages import complete, heading, settle
from tests.support.length import LONG
from tests.support.running import Dashboard

pytestmark = pytest.mark.browser
VIEWS = {
    "health": "/",
    "model": "/model?model=flights-delay",
    "findings": "/findings?severity=act",
    "cases": "/cases?model=flights-late&q=outcome%20%3D%20wrong%20and%20carrier%20%3D%20UA",
    "case": "/case?model=flights-late&id=20131231-EWR-UA1631",
    "quality": "/quality?model=flights-delay",
    "batches": "/batches",
    "cleaning": "/cleaning",
    "vendors": "/vendors",
    "batch_gate": "/batch_gate?model=flights-delay",
    "devices": "/devices?window=Chosen+dates&from=2013-02-10&to=2013-02-17",
    "datasets": "/datasets",
    "storage": "/storage?model=flights-late",
    "lineage": "/lineage?thing=version:flights-late/1",
    "labelling": "/labelling",
    "labels": "/labels?model=flights-delay",
    "drift": "/drift?model=flights-delay",
    "multivariate_drift": "/multivariate_drift?model=flights-delay",
    "performance": "/performance?model=flights-late&from=2013-07-01&to=2013-08-01&by=carrier",
    "fairness": "/fairness?model=flights-late",
    "audits": "/audits?model=employment",
    "live_guard": "/live_guard?model=employment",
    "explanations": "/explanations?model=flights-late",
    "calibration": "/calibration?model=flights-late",
    "estimated_performance": "/estimated_performance?model=flights-late",
    "latency": "/latency?model=flights-late",
    "runs": "/runs?run=flights-delay-fold-3",
    "energy": "/energy?model=flights-late",
    "cost": "/cost?model=flights-late",
    "lab": "/lab?model=flights-late&fault=slow_replica",
    "compare": "/compare?model=flights-late&b_version=reference%20of%201",
    "slices": "/slices?model=flights-delay",
    "why_changed": "/why_changed?model=flights-delay",
    "requests": "/requests?model=flights-delay",
    "personal_data": "/personal_data?model=sentiment&window=Everything",
    "review": "/review",
    "changes": "/changes?window=Everything",
    "alerts": "/alerts",
    "incident": "/incident?model=flights-late&id=97971f2bf2656738",
    "actions": "/actions",
    "rules": "/rules?model=flights-delay",
    "store": "/store",
    "access": "/access",
    "add_model": "/add_model",
    "annotate": "/annotate?project=sentiment",
    "label_quality": "/label_quality?project=sentiment",
    "compare_runs": "/compare_runs?run=sentiment-fold-1&run=sentiment-fold-2",
    "distributed": "/distributed?run=flights-late-mlp-4-processes&window=Everything",
    "studies": "/studies?window=Everything",
    "selection": "/selection?model=flights-late",
    "trade_offs": "/trade_offs?model=employment",
    "edge_fleet": "/edge_fleet?window=Everything",
    "exports": "/exports?window=Everything",
    "controllers": "/controllers?controller=route-cache",
    "dashboards": "/dashboards",
    "query": "/query?sql=SELECT%20count(*)%20AS%20n%20FROM%20batches",
}
TABLES = ("health", "case", "findings")
"""Pages with tables that scroll sideways on a phone."""
PHONE = {"width": 390, "height": 844}
IN_DARK = ("health", "case", "drift", "review", "lineage", "add_model")
"""Pages whose contrast is measured in the dark theme in every run; a long run measures it on all of them."""


def test_every_page_is_looked_at() -> None:
    assert set(VIEWS) == set(page_files())


@pytest.mark.parametrize("name", VIEWS)
def test_a_page_is_accessible_in_light_and_dark_and_fits_a_phone(name: str, fleet: Dashboard, visit: Visit) -> None:
    page = visit(fleet.url + VIEWS[name])
    complete(page)
    assert heading(page)
    assert serious(page) == [], "light"
    if LONG or name in IN_DARK:
        turn(page, "dark")
        assert serious(page, others=False) == [], "dark"  # a theme changes colours only

    page.set_viewport_size({"width": PHONE["width"], "height": PHONE["height"]})
    settle(page)
    wide = page.evaluate("""() => {
      const main = document.querySelector('[data-testid="stMain"]')
      return [document.documentElement.scrollWidth, main.scrollWidth]
    }""")
    assert max(wide) <= PHONE["width"], wide
    if name in TABLES:
        assert serious(page) == [], "phone"


@pytest.mark.parametrize("name", ["health", "drift", "add_model"])
def test_a_page_that_is_opened_on_a_phone_shows_its_title(name: str, fleet: Dashboard, visit: Visit) -> None:
    page = visit(fleet.url + VIEWS[name], **PHONE, motion="no-preference")
    box = page.locator("h1").first.bounding_box()
    assert box and 0 <= box["x"] < PHONE["width"] and box["y"] < PHONE["height"] / 2
    assert page.get_by_test_id("stSidebar").evaluate("bar => bar.getBoundingClientRect().right") <= 1


PLANTED = """<title>Planted</title><style>body { color: #111; background: #fff } .grey { color: #bbb } .dark { background: #222 }</style>
<main><h1>Planted</h1><p>Good</p><p>Good too</p><p class="grey">A bad class</p><p style="color: #ccc">A bad style</p>
<div class="dark"><p>On a bad ground</p></div><p hidden style="color: #ddd">Nobody sees it</p><p style="color: #ddd">But this</p>
<p style="font-size: 10px; color: #767676">Too small</p><p><img src="data:," id="unnamed"></p>
<span style="display: contents"><b style="color: #cbb">In a span without a box</b></span>
<p style="visibility: hidden">Hidden <b style="visibility: visible; color: #bcb">but for this</b></p><div id="host"></div></main>
<script>host.attachShadow({mode: 'open'}).innerHTML = '<p>Good inside</p><p style="color: #aaa">Bad inside</p>'</script>"""


def test_each_kind_of_text_without_contrast_is_found(visit: Visit) -> None:
    page = visit("data:text/html," + quote(PLANTED), ready=False)
    page.wait_for_function("() => window.host?.shadowRoot")
    found = [line.split(": ", 1) for line in serious(page)]
    assert sorted(rule for rule, _ in found) == ["color-contrast"] * 7 + ["html-has-lang", "image-alt"]
    named = " ".join(line for _, line in found)
    for text in ("A bad class", "A bad style", "On a bad ground", "But this", "Bad inside", "without a box", "but for this", "unnamed"):
        assert text in named


def test_every_excuse_is_still_needed(fleet: Dashboard, visit: Visit) -> None:
    excuses = set()
    for name, scheme in (("health", "light"), ("compare_runs", "dark")):
        page = visit(fleet.url + VIEWS[name], scheme=scheme)
        found = violations(page, others=False)
        excuses |= {each["id"] for each in found if any(excused(page, each["id"], node["target"]) for node in each["nodes"])}
    assert excuses == {rule for rule, _ in STREAMLIT}
