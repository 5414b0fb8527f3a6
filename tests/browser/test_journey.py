"""A person finds the failing model and its fault with clicks only."""

import re

import pytest
from playwright.sync_api import Locator, Page

from tests.browser.conftest import Visit
from tests.browser.pages import choose, figure, heading, said, settle, words
from tests.support import raw_rows
from tests.support.running import Dashboard

pytestmark = pytest.mark.browser
FEATURE = "humidity_percent"


def click_middle(page: Page, mark: Locator) -> None:
    """Click a mark of a chart at the position where it is drawn, because a layer of plotly above the marks takes the clicks."""
    box = mark.bounding_box()
    assert box
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)


def test_clicks_lead_from_the_home_page_to_a_feature_overlay(fleet: Dashboard, visit: Visit) -> None:
    page = visit(fleet.url)
    assert heading(page) == "Fleet health"

    page.get_by_role("table", name="Models, most severe first").get_by_role("link", name="flights-delay", exact=True).click()
    page.wait_for_url("**/model?**model=flights-delay**")
    settle(page)
    assert heading(page) == "flights-delay"

    page.get_by_test_id("stMain").get_by_role("link", name="Input drift").click()
    page.wait_for_url("**/drift?**model=flights-delay**")
    settle(page)
    assert heading(page) == "Input drift"
    assert FEATURE not in page.url

    bars = page.locator(".st-key-ranking")
    names = bars.locator(".ytick text").all_text_contents()
    click_middle(page, bars.locator(".barlayer .point").nth(names.index(FEATURE)))
    page.wait_for_url(f"**feature={FEATURE}**")
    settle(page)

    overlay = page.locator(".st-key-overlay")
    assert overlay.locator(".xtitle").text_content() == FEATURE
    assert sorted(overlay.locator(".legendtext").all_text_contents()) == ["current", "reference"]
    psi = raw_rows.psi(raw_rows.reference("flights-delay")[FEATURE], raw_rows.last_week(raw_rows.predictions("flights-delay"))[FEATURE])
    assert FEATURE in words(page)
    assert figure(r"in this window\. PSI ([\d.]+) \(", words(page)) == (f"{psi:.3g}",)


@pytest.mark.long  # test_clicks_lead_from_the_home_page_to_a_feature_overlay
def test_a_heatmap_cell_opens_the_feature_overlay(fleet: Dashboard, visit: Visit) -> None:
    page = visit(f"{fleet.url}/drift?model=flights-delay")
    days = page.locator(".st-key-days")
    names = days.locator(".ytick text").all_text_contents()
    days.locator(".scatterlayer .point").nth(0).wait_for(state="attached")
    tick = days.locator(".ytick text").nth(names.index("dew_point_f")).bounding_box()
    plot = days.locator(".nsewdrag").first.bounding_box()
    assert tick and plot
    page.mouse.click(plot["x"] + plot["width"] / 2, tick["y"] + tick["height"] / 2)
    page.wait_for_url("**feature=dew_point_f**")
    settle(page)
    assert page.locator(".st-key-overlay .xtitle").text_content() == "dew_point_f"


@pytest.mark.long  # test_clicks_lead_from_the_home_page_to_a_feature_overlay
def test_a_slice_of_the_worst_level_is_one_click_away(fleet: Dashboard, visit: Visit) -> None:
    page = visit(f"{fleet.url}/performance?model=flights-delay&from=2013-07-01&to=2013-08-01")
    choose(page, "Column", "carrier")
    july = raw_rows.between(raw_rows.predictions("flights-delay"), "2013-07-01", "2013-08-01").dropna(subset=["label"])
    errors = (july["score"] - july["label"]).abs().groupby(july["carrier"]).agg(["mean", "size"])
    worst = errors[errors["size"] >= 100]["mean"].idxmax()
    table = page.get_by_role("table", name="Mean absolute error by carrier, worst first")
    assert table.get_by_role("link").first.inner_text() == worst

    table.get_by_role("link").first.click()
    page.wait_for_url(f"**slice=carrier%3D{worst}**")
    settle(page)
    assert page.get_by_role("combobox", name="Slice").input_value() == f"carrier={worst}"
    said(page, f"Mean absolute error {errors.loc[worst, 'mean']:.3g} ")
    assert page.get_by_role("combobox", name="Column").input_value() == "carrier"


@pytest.mark.long  # tests/dashboard/test_pages.py::test_the_fleet_table_counts_incidents_and_names_their_suspected_sources
def test_an_incident_on_the_home_page_links_to_its_page_and_to_the_affected_columns(fleet: Dashboard, visit: Visit) -> None:
    page = visit(fleet.url)
    worst = page.get_by_role("table", name="Incidents, most urgent first").get_by_role("link").filter(has_text="is null in").first
    address = worst.get_attribute("href")
    assert address and "/incident?" in address
    worst.click()
    page.wait_for_url("**/incident?**id=**")
    settle(page)
    said(page, "Suspected source")
    page.get_by_text(re.compile(r"^\d+ related findings$")).click()
    table = page.get_by_role("table", name="Related findings, worst first")
    assert table.get_by_role("link").count() > 7, "the table also has the incidents that the first page folds"
    table.get_by_role("link").filter(has_text="moved").first.click()
    page.wait_for_url("**/drift?**feature=**")
    settle(page)
    feature = page.url.split("feature=")[1].split("&")[0]
    assert page.locator(".st-key-overlay .xtitle").text_content() == feature
