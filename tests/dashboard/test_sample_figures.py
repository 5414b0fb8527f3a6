"""Empty pages say how to log, and show the page's own figure of the sample as an example."""

import json
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from observability.core.bundle import bundle_folder
from observability.dashboard import sample_figures
from observability.dashboard.data import batches, devices, storage_view
from observability.dashboard.operations import controllers, trade_offs
from observability.dashboard.sample_figures import CAPTION, error_by_day_figure
from observability.dashboard.serving import batch_gate, edge_fleet, vendors
from observability.dashboard.trust import audits, exports
from observability.store.db.database import Database
from tests.support.dashboard_pages import opened, words


@pytest.mark.parametrize(
    "page",
    [audits, batch_gate, batches, controllers, devices, edge_fleet, exports, storage_view, trade_offs, vendors],
    ids=lambda page: page.__name__.split(".")[-1],
)
def test_an_example_is_drawn_from_the_sample(page: ModuleType) -> None:
    figure = page._sample_figure(bundle_folder() / "sample_data")
    assert sum(len(trace.y) for trace in figure.data if trace.y is not None) > 3


@pytest.mark.parametrize("page", ["batches", "controllers", "devices", "edge_fleet", "exports", "storage", "trade_offs", "vendors"])
def test_an_empty_page_says_how_to_log_and_that_its_figure_is_the_samples(empty: Database, page: str) -> None:
    app = opened(page)
    assert app.code and CAPTION in words(app)


def test_an_example_is_built_once_and_is_the_same_each_time(empty: Database) -> None:
    drawn = [opened("batches").get("plotly_chart")[0].proto.spec for _ in range(2)]
    before = sample_figures._drawn_figure.cache_info().misses
    drawn += [opened("batches").get("plotly_chart")[0].proto.spec]
    assert sample_figures._drawn_figure.cache_info().misses == before and len(set(drawn)) == 1
    fresh = json.loads(batches._sample_figure(bundle_folder() / "sample_data").to_json())
    assert json.loads(drawn[0])["data"] == fresh["data"], "nothing that a page does to a figure stays in it"


def test_the_example_of_devices_shows_the_share_that_the_sample_holds() -> None:
    """Counted from the file, without the page's code."""
    rows = pd.read_parquet(bundle_folder() / "sample_data" / "sensors.batches.parquet")
    rows = rows[rows["at"] >= rows["at"].max() - pd.Timedelta(days=28)]
    stats = [pd.DataFrame(json.loads(each) if isinstance(each, str) else each) for each in rows["stats"]]
    worst = max(each.loc["null_share"].to_numpy(float).max() for each in stats)
    heat = devices._sample_figure(bundle_folder() / "sample_data").data[0]
    assert np.nanmax(np.array(heat.z, float)) == pytest.approx(worst) and worst > 0
    assert len(heat.y) == rows["device"].nunique()


@pytest.mark.parametrize("page", ["annotate", "label_quality"])
def test_a_page_of_labels_says_without_a_project_how_to_begin_one(empty: Database, page: str) -> None:
    """The lines logged a prediction, and stood on Annotate beside the empty box, in the row of the boxes of a project."""
    app = opened(page)
    code = app.code[-1].value  # the first is the link to the page
    assert "items tweets.csv --project moods" in code and "log.prediction" not in code and "There is nothing to label yet." in words(app)


@pytest.mark.parametrize("page", ["health", "performance", "drift"])
def test_a_store_without_a_model_shows_the_lines_that_log_and_a_figure_of_the_sample(empty: Database, page: str) -> None:
    app = opened(page)
    assert "log.prediction(" in app.code[-1].value and "log.label(" in app.code[-1].value
    assert CAPTION in words(app)


def test_the_example_of_a_model_shows_the_error_that_the_sample_holds() -> None:
    """Day by day from the rows, without the page's code."""
    folder = bundle_folder() / "sample_data"
    values = dict(pd.read_parquet(folder / "flights-delay.labels.parquet", columns=["id", "value"]).itertuples(index=False))
    errors: list[float] = []
    served = pd.read_parquet(folder / "flights-delay.predictions.parquet", columns=["id", "at", "score"])
    for row in served[(served["at"] >= "2013-06-30T00:00Z") & (served["at"] < "2013-07-01T00:00Z")].itertuples():
        errors += [abs(values[row.id] - row.score)] if row.id in values else []
    (line,) = [trace for trace in error_by_day_figure(folder).data if trace.name == "Mean absolute error"]
    drawn = dict(zip(pd.to_datetime(line.x), line.y, strict=True))
    assert len(drawn) == 61 and drawn[pd.Timestamp(2013, 6, 30)] == pytest.approx(np.mean(errors)) and len(errors) > 100
