"""A stranger's file becomes a model in the browser, from the upload to the first page, without a command line. A wrong file is refused."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.browser.accessibility import serious
from tests.browser.conftest import Visit
from tests.browser.pages import choose, download, heading, said, settle, words
from tests.support import outside_project
from tests.support.running import Dashboard, dashboard

pytestmark = pytest.mark.browser
EMPTY = {
    "runs": "No training run has been logged yet.",
    "lineage": "Nothing is linked yet.",
    "alerts": "No predictions yet.",
    "performance?model=nobody": "nobody",
}
"""Pages of an empty store, with the text that each shows."""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """A dashboard over an empty store."""
    with dashboard(tmp_path_factory.mktemp("shop") / "home") as running:
        yield running


def name_it(page: Page, model: str) -> None:
    """Type the name of the model."""
    box = page.get_by_test_id("stMain").get_by_role("textbox", name="Model")
    box.fill(model)
    box.press("Enter")
    settle(page)


def upload(page: Page, path: Path, place: int = 0) -> None:
    """Put a file into a file box: the reference, the model file, or the logs."""
    page.locator('[data-testid="stFileUploader"] input[type=file]').nth(place).set_input_files(path)
    page.get_by_test_id("stFileUploader").nth(place).get_by_text(path.name).first.wait_for()
    settle(page)


def type_new(page: Page, label: str, option: str) -> None:
    """Type an option that a select box does not offer yet."""
    box = page.get_by_role("combobox", name=label)
    box.click()
    box.fill(option)
    box.press("Enter")


def test_an_empty_store_shows_the_next_step_and_empty_or_failed_pages_are_accessible(shop: Dashboard, visit: Visit) -> None:
    """Axe also checks states that a full store does not show: an empty page with a greyed example, and a link to something that does not
    exist.
    """
    page = visit(shop.url)
    assert "No predictions yet." in words(page) and "being analyzed" not in page.get_by_test_id("stMain").inner_text()
    assert serious(page) == [], "Home without a model"
    page.get_by_test_id("stMain").get_by_role("link", name="Add a model").click()
    page.wait_for_url("**/add_model**")
    settle(page)
    assert heading(page) == "Add a model"
    for address, shows in EMPTY.items():
        page.goto(f"{shop.url}/{address}")
        settle(page)
        assert shows in page.get_by_test_id("stMain").inner_text(), address
        assert serious(page) == [], address


@pytest.mark.long  # tests/dashboard/test_add_model.py
def test_a_wrong_file_gets_one_clear_sentence(shop: Dashboard, visit: Visit, tmp_path: Path) -> None:
    page = visit(f"{shop.url}/add_model")
    name_it(page, "wrong")
    for name, (path, word) in outside_project.wrong_files(tmp_path).items():
        upload(page, path)
        problem = page.get_by_test_id("stAlert").filter(has_text="This file cannot be read")
        problem.filter(has_text=word).wait_for()
        text = problem.inner_text()
        assert "Traceback" not in text and "Exception" not in text, name
        assert page.get_by_role("button", name="Register").count() == 0, name
    status = shop.status()
    assert status["models"] == [] and not any(status["records"].values())
    assert not [each for each in (shop.home / "uploads").rglob("*") if each.is_file()]


def test_an_external_projects_file_becomes_a_model(shop: Dashboard, visit: Visit, tmp_path: Path) -> None:
    reference, logs = tmp_path / "held_out.csv", tmp_path / "march.csv"
    outside_project.held_out().to_csv(reference, index=False)
    outside_project.served().to_csv(logs, index=False)
    page = visit(f"{shop.url}/add_model")
    name_it(page, "shop-churn")
    upload(page, reference)
    said(page, "No column has a usual name of the label")

    choose(page, "Task", "Binary classification")
    choose(page, "Label (ground truth)", outside_project.LABEL)
    choose(page, "Score", outside_project.SCORE)
    choose(page, "Time", outside_project.WHEN)
    type_new(page, "Positive class (binary)", "left")
    page.get_by_role("button", name="Apply").click()
    held_out, served = outside_project.held_out(), outside_project.served()
    left = int((held_out[outside_project.LABEL] == "left").sum())
    said(page, f"churned is the label: stayed ({len(held_out) - left:,}), left ({left:,}); left is the positive class.")
    said(page, "p_churn is the score, the probability of the positive class.")
    said(page, "4 features: 2 numbers (spend_eur, visits); 2 categories (channel, member).")
    said(
        page,
        f"On these rows the accuracy is {100 * outside_project.accuracy(held_out):.1f} %, the ROC AUC {outside_project.auc(held_out):.3f};",
    )
    assert shop.status()["models"] == []

    page.get_by_role("button", name="Register version 1").click()
    said(page, f"shop-churn version 1 is registered with {len(held_out):,} reference rows.")
    upload(page, logs, 2)
    choose(page, "Id of the prediction", outside_project.TICKET)
    page.get_by_role("button", name="Load", exact=True).click()
    said(page, f"{len(served):,} lines: {len(served):,} stored, 0 duplicates, 0 rejected.")

    page.get_by_role("button", name="Open its first page").click()
    page.wait_for_url("**/model?**")
    settle(page)
    assert heading(page) == "shop-churn"
    said(page, f"{len(served):,} predictions, 4 to 18 Mar 2024")
    said(page, f"Accuracy {100 * outside_project.accuracy(served):.1f} % ")
    performance = visit(f"{shop.url}/performance?model=shop-churn&window=all")
    found = {each["metric"]: each for each in json.loads(download(performance, "performance-json"))}
    assert found["accuracy"]["n"] == len(served)
    assert found["accuracy"]["value"] == pytest.approx(outside_project.accuracy(served), rel=1e-9)
    assert found["roc_auc"]["value"] == pytest.approx(outside_project.auc(served), abs=1e-3)
    assert not [each for each in (shop.home / "uploads").rglob("*") if each.is_file()]


@pytest.mark.long  # tests/dashboard/test_latency.py checks the same without a browser
def test_a_model_without_latencies_is_told_how_to_log_them(shop: Dashboard, visit: Visit) -> None:
    page = visit(f"{shop.url}/latency?model=shop-churn&window=all")
    assert "No latency was logged in this window." in words(page) and "latency_ms" in words(page)
    assert "requests, none failed." in words(page)
