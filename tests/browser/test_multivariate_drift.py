"""The page about joint drift of all inputs shows what scikit-learn and pandas compute from the raw rows, and has links to further pages."""

from io import StringIO

import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from tests.browser.accessibility import accessible
from tests.browser.conftest import Visit
from tests.browser.heights import LAPTOP
from tests.browser.pages import choose, download, figure, heading, settle, words
from tests.support import raw_rows
from tests.support.running import Dashboard

pytestmark = pytest.mark.browser
NUMBERS = ["temperature_f", "dew_point_f", "humidity_percent", "wind_direction_degrees", "wind_speed_mph", "pressure_mb", "departure_hour"]


def apart(reference: pd.DataFrame, current: pd.DataFrame) -> float:
    """The AUC of gradient boosted trees that separate the rows, on held-out rows."""
    both = pd.concat([reference.assign(now=0), current.assign(now=1)], ignore_index=True)
    folds = StratifiedKFold(5, shuffle=True, random_state=1)
    model = HistGradientBoostingClassifier(max_iter=40, random_state=1)
    return roc_auc_score(both["now"], cross_val_predict(model, both[NUMBERS], both["now"], cv=folds, method="predict_proba")[:, 1])


@pytest.mark.long  # tests/dashboard/test_charts_domain.py
def test_a_week_of_different_weather_is_distinguished_from_the_reference_by_the_changed_inputs(fleet: Dashboard, visit: Visit) -> None:
    page = visit(f"{fleet.url}/multivariate_drift?model=flights-delay")
    assert heading(page) == "Multivariate drift"
    said = words(page)
    (auc,) = figure(r"\(domain-classifier AUC ([\d.]+), limit", said)
    reference, current = raw_rows.reference("flights-delay"), raw_rows.last_week(raw_rows.predictions("flights-delay"))
    assert 0.85 < float(auc) <= apart(reference.sample(2000, random_state=1), current) + 0.02
    drawn = pd.read_csv(StringIO(download(page, "together-csv"))).set_index("name")
    assert drawn.loc["all inputs together", "auc"] == pytest.approx(float(auc), abs=0.006)
    assert drawn["null_low"].iloc[0] < 0.5 < drawn["null_high"].iloc[0] < 0.55
    before, after = figure(r"dew_point_f and pressure_mb, rank correlation (−?\d\.\d+) in the reference, (−?\d\.\d+) now", said)
    for value, rows in ((before, reference), (after, current)):
        assert float(value.replace("−", "-")) == pytest.approx(rows[["dew_point_f", "pressure_mb"]].corr("spearman").iloc[0, 1], abs=0.1)
    lost = pd.read_csv(StringIO(download(page, "losses-csv")))
    assert lost["loss"].is_monotonic_decreasing and len(lost) == 20
    first = lost["subject"].iloc[0]
    accessible(page)
    page.set_viewport_size(LAPTOP)
    settle(page)
    page.get_by_role("link", name=f"{first}: reference and current").click()
    settle(page)
    assert heading(page) == "Input drift" and f"feature={first}" in page.url
    assert figure(rf"{first} (moved|differs|is stable|cannot be judged)", words(page))


@pytest.mark.long  # tests/analyzers/serving/test_multivariate_drift.py
def test_a_week_like_the_reference_is_not_distinguished_from_it(fleet: Dashboard, visit: Visit) -> None:
    page = visit(f"{fleet.url}/multivariate_drift?model=employment")
    assert "The AUC is within sampling noise, so no input stands out." in words(page)
    choose(page, "Model", "sentiment")
    said = words(page)
    assert said.index("AUC") < said.index("correlation"), "the sentence about all inputs comes before the sentence about a pair"
    (n, m) = figure(r"over ([\d,]+) predictions and ([\d,]+) reference rows", said)
    assert (n, m) == ("630", "1,680")
