"""In Chromium, the compare page shows the values of the raw rows of two weeks, and offers the Evidently report."""

import json
from datetime import timedelta

import pandas as pd
import pytest

from tests.browser.accessibility import accessible
from tests.browser.conftest import Visit
from tests.browser.pages import PATIENCE, choose, download, link_of, row, said, settle, tables, words
from tests.support import raw_rows
from tests.support.running import Dashboard

pytestmark = pytest.mark.browser
LATE = "flights-late"
SIDES, ERRORS = "The two sides", "Errors"


def week(first: str) -> pd.DataFrame:
    """The rows of seven days, from a midnight on."""
    start = pd.Timestamp(first, tz="UTC")
    return raw_rows.between(raw_rows.predictions(LATE), start, start + timedelta(days=7))


def test_two_compared_weeks_match_the_raw_rows_and_can_be_swapped(fleet: Dashboard, visit: Visit) -> None:
    page = visit(f"{fleet.url}/compare?model={LATE}&from=2013-12-08&to=2013-12-15", height=5200)
    now, then = week("2013-12-08"), week("2013-12-01")
    assert [each["Predictions"]["text"] for each in tables(page)[SIDES]] == [f"{len(now):,}", f"{len(then):,}"]
    of = [raw_rows.classification(rows, raw_rows.threshold(LATE)) for rows in (now, then)]
    accuracy = row(page, ERRORS, "What", "Accuracy")
    assert [accuracy[side]["text"] for side in ("A", "B")] == [raw_rows.percent(each["accuracy"]) for each in of]
    figures = pd.read_csv(download_as_file(page, "all-csv")).set_index(["section", "metric", "subject"])
    for metric in ("recall", "f1", "brier", "log_loss"):
        found = figures.loc[("performance", metric, "model")]
        assert (found["a"], found["b"]) == pytest.approx((of[0][metric], of[1][metric]), rel=1e-9), metric
    temperature = figures.loc[("inputs", "psi", "temperature_f")]
    assert temperature["n_a"] == len(now) and temperature["verdict"] == "differs"

    page.get_by_role("button", name="Swap").click()
    said(page, "1 to 7 Dec 2013")
    settle(page)
    assert [each["Predictions"]["text"] for each in tables(page)[SIDES]] == [f"{len(then):,}", f"{len(now):,}"]
    again = visit(link_of(page), height=5200)
    assert tables(again)[ERRORS] == tables(page)[ERRORS] and tables(again)[SIDES] == tables(page)[SIDES]
    accessible(again)


def download_as_file(page, key: str):
    """The content of a download, as a file to read."""
    from io import StringIO

    return StringIO(download(page, key))


@pytest.mark.long  # tests/dashboard/test_compare.py
def test_side_b_is_chosen_in_its_boxes(fleet: Dashboard, visit: Visit) -> None:
    page = visit(f"{fleet.url}/compare?model={LATE}&from=2013-12-08&to=2013-12-15", height=4200)
    choose(page, "Side B: version", "reference of 1")
    said(page, "the reference holds other rows")
    assert [each["Predictions"]["text"] for each in tables(page)[SIDES]][1] == f"{len(raw_rows.reference(LATE)):,}"
    assert page.get_by_role("button", name="Swap").is_disabled()
    page.get_by_role("button", name="Reset", exact=True).click()
    said(page, "the dates differ")


@pytest.mark.long  # tests/export/test_evidently.py makes it
def test_the_evidently_report_is_made_and_downloaded(fleet: Dashboard, visit: Visit, tmp_path) -> None:
    page = visit(f"{fleet.url}/drift?model={LATE}&from=2013-12-08&to=2013-12-15", height=3600)
    page.get_by_role("button", name="Evidently report").click()
    page.get_by_role("button", name="Make the report").click()
    page.get_by_role("button", name="JSON snapshot").wait_for(timeout=3 * PATIENCE)
    n = len(week("2013-12-08"))
    snapshot = json.loads(download(page, "evidently-json"))
    assert snapshot["metadata"]["rows_current"] == f"{n}" and snapshot["metadata"]["rows_reference"] == "5000"
    with page.expect_download() as waiting:
        page.locator(".st-key-evidently-html button").click()
    assert waiting.value.suggested_filename == f"evidently-{LATE}-20131208-20131215-{n}-current-5000-reference-rows.html"
    file = tmp_path / "report.html"
    waiting.value.save_as(file)
    asked: list[str] = []
    report = page.context.new_page()
    report.on("request", lambda request: asked.append(request.url))
    report.goto(file.as_uri(), wait_until="load")
    report.get_by_text("Dataset Drift", exact=False).first.wait_for()
    assert f"all {n:,} predictions of the current window" in words_of(report)
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    report.close()


def words_of(page) -> str:
    """All text of a page that is not a dashboard page."""
    return " ".join(page.locator("body").inner_text().split())


@pytest.mark.long
def test_an_empty_side_b_shows_a_message(fleet: Dashboard, visit: Visit) -> None:
    """In every run tests/dashboard/test_compare.py checks the same sentence without a browser."""
    page = visit(f"{fleet.url}/compare?model={LATE}&from=2013-12-08&to=2013-12-15&b_from=2001-01-01T00:00", height=2000)
    assert "Side B has no predictions, so nothing can be compared." in words(page)
