"""The latency page shows the values that numpy computes from the Parquet file, compares two workers, and applies a service level that is
set on the page.
"""

from io import StringIO

import numpy as np
import pandas as pd
import pytest

from tests.browser.accessibility import accessible
from tests.browser.conftest import Visit
from tests.browser.pages import download, row, said, settle, tables, words
from tests.support import raw_rows
from tests.support.running import Dashboard

pytestmark = pytest.mark.browser
MODEL = "flights-late"
BIN_ERROR = 0.0201


@pytest.mark.long  # tests/dashboard/test_latency.py
def test_percentiles_are_those_of_the_parquet_file(fleet: Dashboard, visit: Visit) -> None:
    page = visit(f"{fleet.url}/latency?model={MODEL}&window=Chosen%20dates&from=2013-06-01&to=2013-06-29")
    served = raw_rows.between(raw_rows.predictions(MODEL), "2013-06-01", "2013-06-29")
    assert f"All {len(served):,} " in words(page) and "succeeded" in words(page)
    exact = pd.read_csv(StringIO(download(page, "replica-csv"))).set_index("name")
    assert sorted(exact.index) == sorted(served["replica"].unique())
    for name, part in served.groupby("replica"):
        assert exact.loc[name, "n"] == len(part)
        for q in (50, 95, 99):
            assert exact.loc[name, f"latency_p{q}"] == pytest.approx(
                np.percentile(part["latency_ms"], q, method="inverted_cdf"), rel=BIN_ERROR
            )
        shown = row(page, "Service by replica", "Replica", name)
        assert float(shown["Latency p50, ms"]["text"]) == pytest.approx(np.percentile(part["latency_ms"], 50), rel=BIN_ERROR)
    days = pd.read_csv(StringIO(download(page, "percentiles-csv")))
    assert days["n"].sum() == len(served)
    day = served[served["at"].dt.date.astype(str) == days["period"].iloc[10][:10]]
    assert days["p95"].iloc[10] == pytest.approx(np.percentile(day["latency_ms"], 95, method="inverted_cdf"), rel=BIN_ERROR)
    accessible(page)


@pytest.mark.long  # tests/browser/test_journey.py, test_links.py
def test_the_log_scale_is_kept_in_the_address_and_a_click_on_a_replica_sets_the_slice(fleet: Dashboard, visit: Visit) -> None:
    page = visit(f"{fleet.url}/latency?model={MODEL}")
    page.get_by_text("Logarithmic scale").click()
    page.wait_for_url("**log=true**")
    settle(page)
    page.get_by_role("link", name="worker-2", exact=True).click()
    page.wait_for_url("**slice=replica*worker-2**")
    settle(page)
    assert page.get_by_role("combobox", name="Slice").input_value() == "replica=worker-2"
    assert "requests, none failed." in words(page)


@pytest.mark.long  # tests/analyzers/serving/test_latency.py
def test_a_service_level_is_set_on_the_page_and_judged(own: Dashboard, visit: Visit) -> None:
    page = visit(f"{own.url}/latency?model={MODEL}")
    assert "has no service level" in words(page)
    page.get_by_role("button", name="Set a service level").click()
    page.get_by_label("Successful requests, in %").fill("99.9")
    page.get_by_label("p99 latency, in ms").fill("0.08")
    page.get_by_role("button", name="Save").click()
    said(page, "Burn rate")
    settle(page)
    found = {each["Objective"]["text"]: each for each in tables(page)["Service level"]}
    assert found["Availability"]["Target"]["text"] == "99.9 %" and found["Availability"]["Error budget left"]["text"] == "100 %"
    assert found["Latency"]["Target"]["text"] == "99 % within 0.08 ms" and found["Latency"]["Status"]["text"] in ("Critical", "Warning")
    assert len(tables(page)["Burn-rate alerts at the window's end"]) == 6
    assert "beyond the 0.08 ms of the service level" in words(page)
