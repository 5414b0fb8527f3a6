"""The cost page shows predictions times price, forecasts the month, and saves a budget that is set there."""

import json
from io import StringIO

import pandas as pd
import pytest

from tests.browser.accessibility import accessible
from tests.browser.conftest import Visit
from tests.browser.pages import download, said, settle, words
from tests.support import raw_rows
from tests.support.running import Dashboard

pytestmark = pytest.mark.browser
LATE, PRICE = "flights-late", 0.0002
JULY = f"/cost?model={LATE}&from=2013-07-01&to=2013-07-20"


@pytest.mark.long  # tests/dashboard/test_cost.py
def test_costs_are_predictions_times_the_price_and_errors_use_the_owners_costs(fleet: Dashboard, visit: Visit) -> None:
    page = visit(fleet.url + JULY)
    rows = raw_rows.between(raw_rows.predictions(LATE), "2013-07-01", "2013-07-20")
    days = pd.read_csv(StringIO(download(page, "parts-0-csv")))
    assert days["serving"].sum() == pytest.approx(PRICE * len(rows), rel=1e-9) and len(days) == 19
    found = {each["metric"]: each for each in json.loads(download(page, "cost-json"))}
    known = rows.dropna(subset=["label"])
    late = known["score"] >= raw_rows.threshold(LATE)
    lost = ((late & (known["label"] == 0)).sum() * 7 + (~late & (known["label"] == 1)).sum() * 13) / len(known) * 1000
    assert found["money_lost_per_thousand"]["value"] == pytest.approx(lost, rel=1e-9)
    right = (late == (known["label"] == 1)).mean()
    assert found["cost_per_correct_decision"]["value"] == pytest.approx(PRICE / right, rel=1e-9)
    month = pd.read_csv(StringIO(download(page, "month-csv")))
    spent = month[month["low"].isna()]
    assert spent["value"].iloc[-1] == pytest.approx(PRICE * len(rows), rel=1e-9) and len(month) == 31
    whole = PRICE * len(raw_rows.between(raw_rows.predictions(LATE), "2013-07-01", "2013-08-01"))
    last = month.iloc[-1]
    assert last["low"] <= whole <= last["high"], "the forecast of 20 July contains the actual cost of July"
    accessible(page)


@pytest.mark.long  # tests/analyzers/operations/test_cost.py, tests/dashboard/test_cost.py
def test_a_budget_that_is_set_is_kept_and_judged(own: Dashboard, visit: Visit) -> None:
    page = visit(own.url + JULY)
    assert "within the budget of USD 2.00" in words(page)
    page.get_by_role("button", name="Budget: USD 2.00 per month").click()
    page.get_by_label("Budget per month").fill("1.5")
    page.get_by_role("button", name="Save").click()
    said(page, "above the budget of USD 1.50")
    settle(page)
    assert "Critical" in words(page)
    assert "above the budget of USD 1.50" in words(visit(own.url + JULY))
