"""The explanations page shows LightGBM's own contributions for the same rows, explains on request with a button, and names missing data.

The independent figure: mean |SHAP| from LightGBM's pred_contrib over the rows of the sample, chosen here by the MD5 of their ids.
"""

import hashlib
from io import StringIO

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Page

from tests.browser.accessibility import accessible
from tests.browser.conftest import Visit
from tests.browser.pages import choose, download, said, settle, words
from tests.support import raw_rows
from tests.support.lightgbm_contributions import lightgbm_contributions
from tests.support.running import Dashboard

pytestmark = pytest.mark.browser
MODEL = "flights-late"
PAGE = f"/explanations?model={MODEL}"
PER_DAY = 100


def sample() -> pd.DataFrame:
    """The rows of the last week that are explained: for each day, those with the smallest hash. `stands`: the number of predictions that
    each row represents.
    """
    week = pd.concat([raw_rows.last_week(raw_rows.predictions(MODEL)), raw_rows.searched()], ignore_index=True)
    week = week.assign(
        hash=[int.from_bytes(hashlib.md5(name.encode()).digest()[:8], "little") for name in week["id"]], day=week["at"].dt.floor("D")
    )
    chosen = week.sort_values("hash").groupby("day").head(PER_DAY)
    return chosen.assign(stands=chosen["day"].map(week.groupby("day").size()) / chosen.groupby("day")["id"].transform("size"))


def explained(page: Page) -> Page:
    """The page after its button was pressed, if there is a button."""
    button = page.get_by_role("button", name="Explain now")
    if button.count():
        button.click()
        page.get_by_role("heading", name="Importance").wait_for()
        settle(page)
    return page


def test_the_explain_button_draws_bars_that_match_lightgbm(own: Dashboard, visit: Visit) -> None:
    page = visit(own.url + PAGE)
    assert "None of the 7 days with predictions is explained yet" in words(page)
    explained(page)
    rows = sample()
    values = lightgbm_contributions(MODEL, rows).abs()
    mean = pd.Series(np.average(values, axis=0, weights=rows["stands"]), index=values.columns)
    shown = pd.read_csv(StringIO(download(page, "importance-csv"))).set_index("feature")
    assert dict(shown["mean"]) == pytest.approx(dict(mean), rel=1e-5)
    assert dict(shown["share"]) == pytest.approx(dict(mean / mean.sum()), rel=1e-5)
    assert set(shown["n"]) == {len(rows)} and shown["mean"].is_monotonic_decreasing
    first = raw_rows.percent(mean.max() / mean.sum()).split(".")[0].split(" ")[0]
    text = words(page)
    assert f"Main drivers of the scores: {mean.idxmax()} (" in text and f"on {len(rows):,} of " in text and first in text
    page.get_by_test_id("stCaptionContainer").filter(has_text="explained predictions of").get_by_test_id("stTooltipHoverTarget").hover()
    method = page.get_by_test_id("stTooltipContent").inner_text()
    assert "native pred_contrib" in method and "in log odds" in method
    page.mouse.move(0, 0)
    for other in ("swarm-csv", "over-time-csv", "dependence-csv"):
        assert len(pd.read_csv(StringIO(download(page, other)))) > 20
    accessible(page)


@pytest.mark.long  # tests/dashboard/test_explanations.py
def test_another_feature_and_slice_can_be_chosen_and_unknown_ones_show_a_message(own: Dashboard, visit: Visit) -> None:
    page = explained(visit(own.url + PAGE))
    everyone = len(pd.read_csv(StringIO(download(page, "dependence-csv"))))
    choose(page, "Feature", "carrier")
    said(page, "highest for")
    assert "feature=carrier" in page.url
    assert "names shoe_size, which is not an explained feature" in words(visit(own.url + PAGE + "&feature=shoe_size"))
    page = visit(own.url + PAGE + "&slice=origin%3DEWR")
    assert 0 < len(pd.read_csv(StringIO(download(page, "dependence-csv")))) < everyone
    page = visit(own.url + PAGE + "&from=2011-01-01&to=2011-01-08")
    assert "No predictions in this window" in words(page)
