"""Pasting an id leads to the waterfall, a case is followed to a verdict, and Back returns to the same place.

The independent figures are LightGBM's own contributions to the row, and tests/investigation/triage_key.json, whose sources were fixed
beforehand.
"""

import json
import re
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Page

from tests.browser.conftest import Visit
from tests.browser.pages import download, figure, heading, open_search, parameters, said, settle, tables, words
from tests.support import raw_rows
from tests.support.length import LONG, some
from tests.support.lightgbm_contributions import lightgbm_contributions
from tests.support.running import Dashboard

pytestmark = pytest.mark.browser
MODEL, CASE = "flights-late", "20131104-LGA-EV5333"
FIXED = json.loads((Path(__file__).parents[1] / "investigation" / "triage_key.json").read_text(encoding="utf-8"))
SOURCES = {"input": "Missing or wrong input", "label": "Suspect label"}
WALKED = [CASE, "tweet-0421"]


def find(page: Page, typed: str) -> None:
    """Type into the command palette, and open the page of its first entry."""
    field = open_search(page)
    field.fill(typed)
    field.press("Enter")


def test_pasting_an_id_leads_to_the_waterfall_and_back(own: Dashboard, visit: Visit) -> None:
    page = visit(own.url + f"/performance?model={MODEL}&slice=origin%3DJFK", height=6000)
    find(page, CASE)
    page.locator(".st-key-waterfall-average").wait_for()
    settle(page)
    assert heading(page) == "Case" and parameters(page)["id"] == CASE and parameters(page)["model"] == MODEL
    shown = pd.read_csv(StringIO(download(page, "waterfall-average-csv")))
    rows = raw_rows.predictions(MODEL)
    values = lightgbm_contributions(MODEL, rows[rows["id"] == CASE]).iloc[0]
    named = shown[shown["label"].str.contains(" = ")]
    for label, moved in zip(named["label"], named["attribution"], strict=True):
        assert moved == pytest.approx(values[label.split(" = ")[0]], rel=1e-4)
    assert shown["end"].iloc[-1] == pytest.approx(shown["start"].iloc[0] + values.sum(), abs=1e-4)
    page.get_by_role("button", name="Back to Performance").click()
    page.get_by_role("heading", name="Performance").wait_for()
    settle(page)
    assert parameters(page)["slice"] == "origin=JFK"


def test_changed_inputs_give_a_new_score_marked_as_simulated(own: Dashboard, visit: Visit) -> None:
    page = visit(own.url + f"/case?model={MODEL}&id={CASE}&section=edge", height=4500)
    slider = page.get_by_role("slider").first
    slider.focus()
    for _ in range(3):
        slider.press("ArrowLeft")
    said(page, "simulated")
    settle(page)
    _, own_score = figure(r"simulated \w+ (?:Another|Same) decision: .*?\(([\d.]+)\); score of \w+ was ([\d.]+)", words(page))
    rows = raw_rows.predictions(MODEL)
    assert float(own_score) == pytest.approx(rows.loc[rows["id"] == CASE, "score"].item(), abs=5e-4)
    page.get_by_role("button", name="Draw response curves").click()
    page.get_by_text("One feature varies at a time").wait_for()
    settle(page)
    moves = "moves the score of late between"
    assert words(page).count(moves) == 6 and f"carrier {moves}" in words(page) and "locked" in words(page)


@pytest.mark.parametrize("name", some(WALKED, 1))
def test_a_case_can_be_reviewed_up_to_a_verdict(name: str, own: Dashboard, visit: Visit) -> None:
    fixed = next(each for each in FIXED if each["id"] == name)
    page = visit(own.url + f"/case?model={fixed['model']}&id={name}&section=said", height=3000)
    settle(page)
    page.get_by_text(re.compile(r"Evidence of \d+ possible source")).click()
    page.get_by_text("Decide", exact=True).click()
    page.get_by_test_id("stForm").get_by_label("Note").wait_for()
    first = tables(page)["Suspected sources, best first"][0]
    assert first["Suspected source"]["text"] == SOURCES[fixed["group"]]
    if fixed["group"] == "label":
        page.get_by_role("radiogroup", name="Was the prediction wrong?").get_by_text("The label is wrong").click()
    author = page.get_by_test_id("stMain").get_by_role("textbox", name="Your name")
    author.fill("Ada")
    author.press("Enter")
    settle(page)
    form = page.get_by_test_id("stForm")
    form.get_by_label("Note").fill("=1+1 <b>seen</b> by a test")
    form.get_by_role("button", name="Save").click()
    said(page, "=1+1 <b>seen</b> by a test")
    if name == CASE:  # everybody sees the written text
        page = visit(own.url + f"/case?model={fixed['model']}&id={name}&section=said", height=3000)
        settle(page)
    text = words(page)
    concluded = "The label is wrong" if fixed["group"] == "label" else "It was wrong"
    assert f"{concluded}; {SOURCES[fixed['group']].lower()}" in text and "=1+1 <b>seen</b> by a test" in text
    if name != CASE:
        return
    page.get_by_role("button", name="Export").click()
    file = download(page, "case-html")
    assert "Frozen on" in file and "<script" not in file and "&lt;b&gt;seen" in file
    assert f"<{own.url}/case?id={name}&model={fixed['model']}>" in download(page, "case-md")
    assert "'=1+1" in download(page, "case-csv") or "note: =1+1" in download(page, "case-csv")


def test_browser_back_returns_to_the_case(own: Dashboard, visit: Visit) -> None:
    page = visit(own.url + f"/case?model={MODEL}&id={CASE}&section=alike", height=3000)
    page.get_by_role("button", name="Find similar errors").click()
    page.get_by_role("heading", name="Find a case").wait_for()
    settle(page)
    page.go_back()
    page.get_by_role("heading", name="Similar errors").wait_for()
    settle(page)
    assert heading(page) == "Case" and parameters(page)["id"] == CASE and CASE in words(page)


@pytest.mark.parametrize("width", some([390, 1360], 1))
def test_the_section_bar_fits_stays_visible_and_opens_sections_by_key(width: int, own: Dashboard, visit: Visit) -> None:
    page = visit(own.url + f"/case?model={MODEL}&id={CASE}", width=width, height=844)
    sections = page.get_by_role("navigation", name="Sections of this case")
    for name, title in (("Like this", "Similar errors"), ("Inputs", "Input checks")):
        settle(page)
        sections.get_by_role("link", name=name).press("Enter")
        page.wait_for_function("(title) => document.activeElement.innerText === title", arg=title)
        shown, kept = page.get_by_role("heading", name=title, exact=True).bounding_box(), sections.bounding_box()
        assert shown and kept and 0 < kept["y"] and kept["y"] + kept["height"] <= shown["y"] < 260
    settle(page)
    assert parameters(page)["section"] == "inputs"
    boxes = [link.bounding_box() for link in sections.get_by_role("link").all()]
    assert len(boxes) == 7 and all(box and 0 <= box["x"] and box["x"] + box["width"] <= width for box in boxes)
    assert sections.evaluate("(nav) => [...nav.querySelectorAll('*')].every((each) => each.scrollWidth <= each.clientWidth + 1)")
    page.go_back()
    page.get_by_role("heading", name="Similar errors").wait_for()
    if width > 390:
        page = visit(own.url + f"/case?model={MODEL}&id={CASE}#label", width=width, height=844)
        page.wait_for_function("() => document.activeElement.innerText === 'Label check'")


def test_waterfall_numbers_do_not_overlap_names_on_a_phone(own: Dashboard, visit: Visit) -> None:
    page = visit(own.url + f"/case?model={MODEL}&id={CASE}", width=390, height=9000)
    page.locator(".st-key-waterfall-average .ytick text").first.wait_for()
    boxes = page.evaluate(
        """() => { const plot = document.querySelector('.st-key-waterfall-average .js-plotly-plot'), box = (each) => each.getBoundingClientRect()
        return {names: [...plot.querySelectorAll('.ytick text')].map(box), marks: [...plot.querySelectorAll('.bars .point path, .scatterlayer .point')].map(box),
          texts: plot.querySelectorAll('.bartext, .textpoint').length, plot: box(plot)} }"""
    )
    assert boxes["texts"] == 0 and len(boxes["marks"]) == len(boxes["names"]) == 8
    assert max(each["right"] for each in boxes["names"]) < min(each["left"] for each in boxes["marks"])
    assert all(
        boxes["plot"]["left"] <= each["left"] and each["right"] <= boxes["plot"]["right"] for each in boxes["names"] + boxes["marks"]
    )
    assert "(-" not in words(page) and "\u22120.15" in words(page)


@pytest.mark.long  # tests/dashboard/test_case.py
def test_an_unknown_id_shows_the_next_step(own: Dashboard, visit: Visit) -> None:
    page = visit(f"{own.url}/store")
    find(page, "no-such-flight")
    said(page, "No prediction has the id, subject or id prefix no-such-flight")
    assert heading(page) == "Find a case"
    if LONG:  # in every run tests/dashboard/test_cases.py checks the same sentence without a browser
        page = visit(own.url + f"/case?id=tweet-1943&model={MODEL}")
        assert "Prediction tweet-1943 belongs to sentiment" in words(page)
