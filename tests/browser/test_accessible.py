"""Check every page with axe in the light theme, and its height on a laptop. The short form checks some pages, which together have each kind
of component. Some pages (in a long run all) are also checked for contrast in the dark theme, for width and height on a phone, and for width
at a zoom of 200 %.

On a phone, axe runs only for the pages with wide tables; docs/accessibility.md names the lists.

The fixture `visit` fails a test for an error on the console, an answer of 400 or more, or a request to another machine.
"""

from pathlib import Path
from urllib.parse import quote

import pytest

from observability.dashboard.links import DEFAULT_PAGE, page_files
from tests.browser.accessibility import IN_DARK, ON_PHONE, TABLES, accessible, serious
from tests.browser.conftest import Visit
from tests.browser.heights import PHONE
from tests.support.running import Dashboard

pytestmark = pytest.mark.browser
VIEWS = {
    "findings": "/findings?severity=act",
    "cases": "/cases?model=flights-late&q=outcome%20%3D%20wrong%20and%20carrier%20%3D%20UA",
    "case": "/case?model=flights-late&id=20131231-EWR-UA1631",
    "prediction_map": "/prediction_map?model=flights-late&id=20131231-EWR-UA1631",
    "vendors": "/vendors",
    "lab": "/lab?model=flights-late&fault=slow_replica",
    "slices": "/slices?model=flights-delay",
    "why_changed": "/why_changed?model=flights-delay",
    "requests": "/requests?model=flights-delay",
    "review": "/review",
    "programme": "/programme",
    "rules": "/rules?model=flights-delay",
    "access": "/access",
    "add_model": "/add_model",
    "exports": "/exports?window=Everything",
    "dashboards": "/dashboards",
}
EVERY_RUN = ("findings", "case", "prediction_map", "lab", "slices", "review", "add_model", "dashboards")
"""The views that the short form checks: lists, a case, a map of points, forms, small figures, an agenda, an upload, a board."""
ELSEWHERE = {
    **dict.fromkeys(("health", "model", "quality", "drift", "performance", "fairness", "store"), "test_figures.py"),
    **dict.fromkeys(("annotate", "compare_runs", "controllers", "edge_fleet", "label_quality", "lineage"), "test_pipeline_pages.py"),
    **dict.fromkeys(("personal_data", "query", "selection", "storage", "trade_offs"), "test_pipeline_pages.py"),
    **dict.fromkeys(("batches", "cleaning", "datasets", "devices", "labelling"), "test_pipeline_pages.py"),
    **dict.fromkeys(("actions", "alerts", "incident"), "test_desk.py"),
    **dict.fromkeys(("runs", "distributed", "studies"), "test_runs.py"),
    **{
        name: f"test_{name}.py"
        for name in (
            "calibration",
            "compare",
            "cost",
            "energy",
            "estimated_performance",
            "explanations",
            "labels",
            "latency",
            "multivariate_drift",
        )
    },
    **dict.fromkeys(("audits", "live_guard"), "test_audits.py"),
    "batch_gate": "test_promises.py",
    "changes": "test_review.py",
}
"""Pages that another test checks (`accessible`) after reading them, so that one visit serves both."""


def test_every_page_has_an_accessibility_check() -> None:
    assert sorted([*VIEWS, *ELSEWHERE]) == sorted(page_files())
    for name, file in ELSEWHERE.items():
        text = (Path(__file__).parent / file).read_text(encoding="utf-8")
        assert "accessible(" in text and (f"/{name}" in text or name == DEFAULT_PAGE), name


def test_the_documentation_names_the_pages_that_are_measured_in_part() -> None:
    text = (Path(__file__).parents[2] / "docs" / "accessibility.md").read_text(encoding="utf-8")
    assert set(TABLES) < set(ON_PHONE) < {*VIEWS, *ELSEWHERE}
    for names in (IN_DARK, ON_PHONE, TABLES):
        assert f"{', '.join(names[:-1])} and {names[-1]}" in text


@pytest.mark.parametrize("name", [pytest.param(name, marks=() if name in EVERY_RUN else pytest.mark.long) for name in VIEWS])
def test_a_page_is_accessible_in_light_and_dark_and_fits_a_phone(name: str, fleet: Dashboard, visit: Visit) -> None:
    accessible(visit(fleet.url + VIEWS[name]))


@pytest.mark.parametrize(
    "address", ["/", *(pytest.param(each, marks=pytest.mark.long) for each in ("/drift?model=flights-delay", "/add_model"))]
)
def test_a_page_that_is_opened_on_a_phone_shows_its_title(address: str, fleet: Dashboard, visit: Visit) -> None:
    page = visit(fleet.url + address, **PHONE, motion="no-preference")
    box = page.locator("h1").first.bounding_box()
    assert box and 0 <= box["x"] < PHONE["width"] and box["y"] < PHONE["height"] / 2
    assert page.get_by_test_id("stSidebar").evaluate("bar => bar.getBoundingClientRect().right") <= 1


PLANTED = """<title>Planted</title><style>body { color: #111; background: #fff } .grey { color: #bbb } .dark { background: #222 }
.tiny { all: unset; display: inline-block; width: 8px; height: 8px }</style>
<main><h1>Planted</h1><p>Good</p><p>Good too</p><p class="grey">A bad class</p><p style="color: #ccc">A bad style</p>
<div class="dark"><p>On a bad ground</p></div><p hidden style="color: #ddd">Nobody sees it</p><p style="color: #ddd">But this</p>
<p style="font-size: 10px; color: #767676">Too small</p><p><img src="data:," id="unnamed"></p>
<span style="display: contents"><b style="color: #cbb">In a span without a box</b></span>
<div style="font-size: 0"><button class="tiny" aria-label="One"></button><button class="tiny" aria-label="Two"></button></div>
<p style="visibility: hidden">Hidden <b style="visibility: visible; color: #bcb">but for this</b></p><div id="host"></div></main>
<script>host.attachShadow({mode: 'open'}).innerHTML = '<p>Good inside</p><p style="color: #aaa">Bad inside</p>'</script>"""


def test_the_check_finds_each_planted_low_contrast_text_and_too_small_target(visit: Visit) -> None:
    page = visit("data:text/html," + quote(PLANTED), ready=False)
    page.wait_for_function("() => window.host?.shadowRoot")
    found = [line.split(": ", 1) for line in serious(page)]
    assert sorted(rule for rule, _ in found) == ["color-contrast"] * 7 + ["html-has-lang", "image-alt", "target-size", "target-size"]
    named = " ".join(line for _, line in found)
    for text in ("A bad class", "A bad style", "On a bad ground", "But this", "Bad inside", "without a box", "but for this", "unnamed"):
        assert text in named
