"""Exported files (review, slides, model card, case) are readable on screen and in print, offline.

The fixture `visit` fails a test for any request that a file makes. tests/support/html_rules.py checks that the files are valid,
tests/review/test_freeze.py how they print.
"""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import expect

from observability.core.weeks import Week
from observability.export import card as export_card
from observability.export import case as export_case
from observability.export import review as export_review
from observability.export import review_deck
from observability.export.case import FrozenCase
from observability.investigation.case import case
from observability.investigation.explanation_sentences import explanation_sentences
from observability.investigation.model_answers import AttributionContrast, Bar
from observability.review import freeze
from tests.browser.accessibility import violations
from tests.browser.conftest import Visit
from tests.browser.pages import PATIENCE
from tests.support.dashboard_world import START, build
from tests.support.html_rules import invalid
from tests.support.length import LONG

pytestmark = pytest.mark.browser
NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
FILES = ("review", "slides", "card", "case")
CUT = """() => [...document.querySelectorAll('table, svg, p, h1, h2, h3')].filter((each) => {
  const box = each.getBoundingClientRect()
  return box.left < 0 || box.right > document.documentElement.clientWidth + 1
}).map((each) => each.outerHTML.slice(0, 100))"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the four files of a small fleet in which inputs drifted and groups differ."""
    folder = tmp_path_factory.mktemp("files")
    with build(tmp_path_factory.mktemp("fleet")).store as store:
        week = Week.of(START).back(-1)
        freeze.freeze(store, week, author="ann", now=NOW)
        bars = (Bar("sex", "F", 0.4), Bar("size", 51.0, -0.1))
        contrast = AttributionContrast("average", "the reference", 100, 0.0, 0.3, 0.0, True, "identity", bars, "exact", "computed", words=explanation_sentences(bars, 0.0, 0.3, "identity", "the average"))  # fmt: skip
        frozen = FrozenCase(case(store, "l40", model="loan"), contrast, store.verdicts(), store.actions(), NOW)
        pages = (
            export_review.review_html(store, str(week), NOW),
            review_deck.review_deck(store, str(week), NOW),
            export_card.model_card_html(store, "loan", NOW),
            export_case.case_html(frozen),
        )
        for name, page in zip(FILES, pages, strict=True):
            (folder / f"{name}.html").write_text(page, encoding="utf-8")
    return folder


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_valid_and_accessible_on_screen_on_a_phone_and_in_print(name: str, files: Path, visit: Visit) -> None:
    path = files / f"{name}.html"
    allowed = ["<script> is not for a report"] if name == "slides" else []
    assert invalid(path.read_text(encoding="utf-8")) == allowed
    page = visit(path.as_uri(), width=1000, height=1400, ready=False)
    page.wait_for_load_state()
    for media, width in (("screen", 1000), ("screen", 390), ("print", 700)):
        if not LONG and width == 390 and name != "review":  # the files share their styles, and contrast does not depend on the width
            continue
        page.emulate_media(media=media)
        page.set_viewport_size({"width": width, "height": 1400})
        found = [f"{each['id']}: {node['html'][:160]}" for each in violations(page) for node in each["nodes"]]
        assert found == [], (media, width)
        assert width == 390 or page.evaluate(CUT) == [], (media, width)


def test_slides_move_by_keys_and_show_notes_and_a_timer(files: Path, visit: Visit) -> None:
    page = visit((files / "slides.html").as_uri(), width=1280, height=720, ready=False)
    page.wait_for_load_state()
    slides, place = page.locator(".slide"), page.locator("#place")
    number = slides.count()
    assert number > 2
    shown = page.locator(".slide.shown")
    assert place.inner_text() == f"1 of {number}" and shown.count() == 1
    page.keyboard.press("ArrowRight")
    assert place.inner_text() == f"2 of {number}"
    notes = shown.locator(".notes")
    assert not notes.is_visible()
    page.keyboard.press("n")
    assert notes.is_visible() and notes.inner_text().strip()
    page.keyboard.press("t")
    expect(page.locator("#timer")).to_contain_text(re.compile(r"\d\d:(0[1-9]|[1-5]\d) of"), timeout=PATIENCE)
    page.keyboard.press("t")
    assert "stopped" in page.locator("#timer").inner_text()
    page.keyboard.press("End")
    assert place.inner_text() == f"{number} of {number}" and "Decisions and actions" in shown.inner_text()
    page.keyboard.press("Home")
    assert place.inner_text() == f"1 of {number}"
