"""The page shows the estimate that isotonic regression gives for the raw rows, the measured value next to it, and where the estimate
failed.
"""

from io import StringIO

import numpy as np
import pandas as pd
import pytest
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import roc_auc_score

from tests.browser.accessibility import accessible
from tests.browser.conftest import Visit
from tests.browser.pages import choose, download, heading, link_of, row, said, words
from tests.support import raw_rows
from tests.support.running import Dashboard

pytestmark = pytest.mark.browser
MODEL, JULY = "flights-late", "window=dates&from=2013-07-01T00:00:00Z&to=2013-08-01T00:00:00Z"


@pytest.mark.long  # tests/dashboard/test_estimated_performance.py
def test_the_estimate_is_that_of_the_raw_rows_and_the_truth_stands_beside_it(fleet: Dashboard, visit: Visit) -> None:
    page = visit(f"{fleet.url}/estimated_performance?model={MODEL}&{JULY}")
    assert heading(page) == "Estimated performance" and "concept drift" in words(page)
    base, served = raw_rows.reference(MODEL), raw_rows.between(raw_rows.predictions(MODEL), "2013-07-01", "2013-08-01")
    chance = IsotonicRegression(out_of_bounds="clip").fit(base["score"], base["label"]).predict(served["score"])
    decided, known = served["score"] >= raw_rows.threshold(MODEL), served["label"].notna()
    wanted = np.where(decided, chance, 1 - chance).mean()
    shown = row(page, "Estimated metrics", "Metric", "Accuracy")
    assert float(shown["Estimate"]["text"].removesuffix(" %")) == pytest.approx(100 * wanted, abs=0.25)
    truth = (decided[known] == served.loc[known, "label"]).mean()
    assert shown["Last measurement"]["text"] == raw_rows.percent(truth)
    assert "is not trusted" in words(page) and shown["Status"]["text"] == "Unknown"
    days = pd.read_csv(StringIO(download(page, "over-time-csv")))
    assert len(days) == 31 and days["served"].sum() == len(served)
    assert np.average(days["estimated"], weights=days["served"]) == pytest.approx(wanted, abs=0.0025)
    assert np.average(days["measured"], weights=days["labelled"]) == pytest.approx(truth, abs=1e-6)
    accessible(page)


@pytest.mark.long  # tests/browser/test_links.py
def test_another_metric_is_chosen_and_kept_in_the_link(fleet: Dashboard, visit: Visit) -> None:
    page = visit(f"{fleet.url}/estimated_performance?model={MODEL}&{JULY}")
    choose(page, "Metric", "ROC AUC")
    said(page, "Estimated ROC AUC")
    assert "metric=roc_auc" in link_of(page)
    days = pd.read_csv(StringIO(download(page, "over-time-csv")))
    first = raw_rows.between(raw_rows.predictions(MODEL), "2013-07-01", "2013-07-02").dropna(subset=["label"])
    assert days["measured"].iloc[0] == pytest.approx(roc_auc_score(first["label"], first["score"]), abs=1e-3)


@pytest.mark.long  # tests/dashboard/test_sample_pages.py checks the same
def test_a_regression_without_estimates_says_so(fleet: Dashboard, visit: Visit) -> None:
    page = visit(f"{fleet.url}/estimated_performance?model=flights-delay")
    assert "have not been estimated for these days yet" in words(page)
