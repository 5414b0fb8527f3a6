"""The calibration page shows the values that scikit-learn gives for the raw rows: by score, over time, and for a regression."""

from io import StringIO

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

from tests.browser.accessibility import accessible
from tests.browser.conftest import Visit
from tests.browser.pages import choose, download, figure, heading, tables, words
from tests.support import raw_rows
from tests.support.running import Dashboard

pytestmark = pytest.mark.browser
JULY = "window=dates&from=2013-07-01T00:00:00Z&to=2013-08-01T00:00:00Z"


def july(model: str) -> pd.DataFrame:
    return raw_rows.between(raw_rows.predictions(model), "2013-07-01", "2013-08-01").dropna(subset=["label"])


@pytest.mark.long  # tests/dashboard/test_calibration.py
def test_the_calibration_curve_matches_the_raw_rows(fleet: Dashboard, visit: Visit) -> None:
    page = visit(f"{fleet.url}/calibration?model=flights-late&{JULY}")
    assert heading(page) == "Calibration"
    groups = pd.read_csv(StringIO(download(page, "reliability-csv")))
    now, known = groups[groups["side"] == "now"], july("flights-late")
    assert now["n"].sum() == len(known)
    assert (now["rate"] * now["n"]).sum() == pytest.approx(known["label"].sum())
    order = np.sort(known["score"].to_numpy())
    ends = np.cumsum(now["n"].to_numpy()).astype(int)
    means = [part.mean() for part in np.split(order, ends[:-1])]
    assert list(now["score"]) == pytest.approx(means, abs=0.003), "the mean score of each group is within half a bin"
    rates = [part.mean() for part in np.split(known.sort_values("score", kind="stable")["label"].to_numpy(), ends[:-1])]
    assert list(now["rate"]) == pytest.approx(rates, abs=0.012)
    (said,) = figure(r"Scores deviate ([\d.]+) points from outcomes", words(page))
    ece = (now["n"] / now["n"].sum() * (now["rate"] - now["score"]).abs()).sum()
    assert float(said) == pytest.approx(100 * ece, abs=0.06)
    (chance,) = figure(r"sampling noise \(95 % point ([\d.]+) %\)", words(page))
    rng, place = np.random.default_rng(1), np.repeat(np.arange(len(now)), now["n"].astype(int))
    drawn = [
        np.abs(np.bincount(place, rng.random(order.size) < order) / order.size - np.bincount(place, order) / order.size).sum()
        for _ in range(400)
    ]
    assert float(chance) / 100 == pytest.approx(np.quantile(drawn, 0.95), rel=0.12)
    listed = tables(page)["Findings about calibration"]
    assert len(listed) == 2 and {each["Status"]["text"] for each in listed} <= {"Critical", "Warning"}
    assert all("expected daily range up to" in each["What"]["text"] for each in listed if "Scores deviate" in each["What"]["text"])
    accessible(page)


@pytest.mark.long  # tests/dashboard/test_sample_pages.py checks the same
def test_the_reference_year_shows_no_deviation_and_a_regression_shows_its_slope(fleet: Dashboard, visit: Visit) -> None:
    page = visit(f"{fleet.url}/calibration?model=employment")
    assert "No score range deviates significantly" in words(page) and "OK" in words(page)
    choose(page, "Model", "flights-delay")
    known = raw_rows.last_week(raw_rows.predictions("flights-delay")).dropna(subset=["label"])
    fitted = LinearRegression().fit(known[["score"]].to_numpy(), known["label"])
    (slope,) = figure(r"Calibration slope (-?[\d.]+) \(", words(page).replace("\u2212", "-"))
    assert float(slope) == pytest.approx(fitted.coef_[0], abs=0.006)
