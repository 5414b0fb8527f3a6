"""The page about labels shows counts that agree with the raw files."""

from io import StringIO

import pandas as pd
import pytest

from tests.browser.accessibility import accessible
from tests.browser.conftest import Visit
from tests.browser.pages import download, figure, heading, words
from tests.support import raw_rows
from tests.support.running import Dashboard

pytestmark = pytest.mark.browser


@pytest.mark.long  # tests/dashboard/test_labels.py
def test_the_labelled_predictions_of_a_week_match_the_raw_file(fleet: Dashboard, visit: Visit) -> None:
    page = visit(f"{fleet.url}/labels?model=flights-delay")
    assert heading(page) == "Labels"
    rows = raw_rows.last_week(raw_rows.predictions("flights-delay"))
    labelled, served = figure(r"([\d,]+) of ([\d,]+) predictions are labelled", words(page))
    assert (int(labelled.replace(",", "")), int(served.replace(",", ""))) == (int(rows["label"].notna().sum()), len(rows))
    drawn = pd.read_csv(StringIO(download(page, "labels-csv")), parse_dates=["period"]).tail(7)
    by_day = rows.groupby(rows["at"].dt.tz_localize(None).dt.floor("D"))["label"].agg(["size", "count"])
    assert drawn["served"].tolist() == by_day["size"].tolist() and drawn["labelled"].tolist() == by_day["count"].tolist()
    accessible(page)
