"""A model of three classes is shown by class with the figures that scikit-learn gives for the raw rows: errors, and the confidence in one
class.
"""

import json
from io import StringIO

import pandas as pd
import pytest
from sklearn.metrics import precision_recall_fscore_support

from tests.browser.accessibility import serious
from tests.browser.conftest import Visit
from tests.browser.pages import download, words
from tests.support import raw_rows
from tests.support.length import LONG
from tests.support.running import Dashboard

pytestmark = pytest.mark.browser
MODEL = "sentiment"


def week() -> pd.DataFrame:
    """The labelled rows of the last week, with `decided` (the class with the largest probability) and `confidence` (this probability)."""
    rows = raw_rows.last_week(raw_rows.predictions(MODEL)).dropna(subset=["label"])
    scores = pd.DataFrame([each if isinstance(each, dict) else json.loads(each) for each in rows["score"]], index=rows.index)
    return rows.assign(decided=scores.idxmax(axis=1), confidence=scores.max(axis=1))


@pytest.mark.long  # tests/dashboard/test_per_class.py
def test_metrics_of_each_class_match_scikit_learn(fleet: Dashboard, visit: Visit) -> None:
    rows, page = week(), visit(f"{fleet.url}/performance?model={MODEL}")
    shown = pd.read_csv(StringIO(download(page, "classes-csv"))).set_index(["class", "metric"])["value"]
    names = sorted(rows["label"].unique())
    theirs = precision_recall_fscore_support(rows["label"], rows["decided"], labels=names)
    for place, name in enumerate(names):
        for metric, values in zip(("precision", "recall", "f1"), theirs):
            assert shown[name, metric] == pytest.approx(values[place]), (name, metric)
    least = names[int(theirs[1].argmin())]
    text = words(page)
    assert f"Lowest recall: {least}, {raw_rows.percent(theirs[1].min())} (" in text
    assert f") of {(rows['label'] == least).sum()} labelled predictions" in text
    assert serious(page) == []


@pytest.mark.long  # test_metrics_of_each_class_match_scikit_learn, tests/dashboard/test_figures.py
def test_calibration_of_one_class_matches_the_raw_rows(fleet: Dashboard, visit: Visit) -> None:
    rows, page = week(), visit(f"{fleet.url}/calibration?model={MODEL}&class=positive")
    own = rows[rows["decided"] == "positive"]
    right = raw_rows.percent((own["label"] == "positive").mean())
    assert f"positive: accuracy {right}, mean confidence" in words(page) and f"{len(own)} labelled predictions" in words(page)
    groups = pd.read_csv(StringIO(download(page, "reliability-csv")))
    assert groups.loc[groups["side"] == "now", "n"].sum() == len(own)
    if LONG:  # in every run tests/dashboard/test_sample_pages.py checks the same sentence without a browser
        assert "names the class joyful, which this model does not have" in words(
            visit(f"{fleet.url}/calibration?model={MODEL}&class=joyful")
        )
