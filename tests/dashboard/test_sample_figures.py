"""Empty pages say how to log, and show as an example the page's own figure for the sample."""

import json
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from observability.core.bundle import bundle_folder
from observability.dashboard import sample_figures
from observability.dashboard.data import batches, devices, sample_data_figures, storage_view
from observability.dashboard.operations import controllers, trade_offs
from observability.dashboard.sample_figures import CAPTION, error_by_day_figure
from observability.dashboard.serving import batch_gate, edge_fleet, vendors
from observability.dashboard.training import sample_runs
from observability.dashboard.trust import audits, exports
from observability.store.db.database import Database
from tests.support.dashboard_pages import opened, words

FILES = ("training", "distributed", "study")


@pytest.mark.parametrize(
    "page",
    [audits, batch_gate, batches, controllers, devices, edge_fleet, exports, storage_view, trade_offs, vendors],
    ids=lambda page: page.__name__.split(".")[-1],
)
def test_an_example_is_drawn_from_the_sample(page: ModuleType) -> None:
    figure = page._sample_figure(bundle_folder() / "sample_data")
    assert sum(len(trace.y) for trace in figure.data if trace.y is not None) > 3


@pytest.mark.parametrize(
    "page",
    [
        *("annotate", "batches", "cleaning", "compare_runs", "controllers", "datasets", "devices", "distributed", "edge_fleet", "exports"),
        *("label_quality", "labelling", "lineage", "runs", "storage", "studies", "trade_offs", "vendors"),
    ],
)
def test_an_empty_page_shows_logging_code_and_labels_its_figure_as_sample_data(empty: Database, page: str) -> None:
    app = opened(page)
    assert app.code and CAPTION in words(app)


def test_an_example_is_built_once_and_is_the_same_each_time(empty: Database) -> None:
    drawn = [opened("batches").get("plotly_chart")[0].proto.spec for _ in range(2)]
    before = sample_figures._drawn_figure.cache_info().misses
    drawn += [opened("batches").get("plotly_chart")[0].proto.spec]
    assert sample_figures._drawn_figure.cache_info().misses == before and len(set(drawn)) == 1
    fresh = json.loads(batches._sample_figure(bundle_folder() / "sample_data").to_json())
    assert json.loads(drawn[0])["data"] == fresh["data"], "a page does not change the cached figure"


def test_the_example_of_devices_shows_the_share_that_the_sample_holds() -> None:
    """Counted from the file, without the code of the page."""
    rows = pd.read_parquet(bundle_folder() / "sample_data" / "sensors.batches.parquet")
    rows = rows[rows["at"] >= rows["at"].max() - pd.Timedelta(days=28)]
    stats = [pd.DataFrame(json.loads(each) if isinstance(each, str) else each) for each in rows["stats"]]
    worst = max(each.loc["null_share"].to_numpy(float).max() for each in stats)
    heat = devices._sample_figure(bundle_folder() / "sample_data").data[0]
    assert np.nanmax(np.array(heat.z, float)) == pytest.approx(worst) and worst > 0
    assert len(heat.y) == rows["device"].nunique()


def test_the_examples_of_runs_show_what_the_sample_logged() -> None:
    """Read line by line from the files, without the code of the page."""
    folder = bundle_folder() / "sample_data"
    lines = {name: [json.loads(each) for each in (folder / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()] for name in FILES}
    steps = [each for each in lines["training"] if each["kind"] == "step" and each["run"] == sample_runs.RUN]
    held_out = [each["metrics"]["validation_mae"] for each in steps if "validation_mae" in each["metrics"]]
    curves = [list(trace.y) for trace in sample_runs.run_curve_figure(folder).data]
    assert held_out in curves and len(held_out) > 10

    own = [each for each in lines["distributed"] if each.get("run") == sample_runs.PROCESSES and each.get("rank") == 2]
    (data,) = [trace for trace in sample_runs.phase_figure(folder).data if trace.name == "data"]
    times = [each["phase_ms"]["data"] for each in own if "phase_ms" in each]
    assert dict(zip(data.y, data.x, strict=True))["rank 2"] == pytest.approx(np.mean(times))

    ends = [each["metrics"]["validation_log_loss"] for each in lines["study"] if each.get("event") == "end" and each.get("metrics")]
    drawn = [value for trace in sample_runs.search_figure(folder).data for value in trace.y if trace.mode == "markers"]
    assert sorted(value for value in drawn if value == value) == pytest.approx(sorted(ends))


def test_the_examples_of_data_show_what_the_sample_logged() -> None:
    """Counted from the files, without the code of the page."""
    folder = bundle_folder() / "sample_data"
    labels = pd.read_parquet(folder / "crew.annotations.parquet")
    gold = labels[labels["gold"].notna() & (labels["annotator"] == "ann-3")]
    drawn = {float(value) for trace in sample_data_figures.annotator_figure(folder).data for value in trace.x if value is not None}
    assert any(value == pytest.approx((gold["label"] == gold["gold"]).mean()) for value in drawn)
    runs = [json.loads(each) for each in (folder / "training.jsonl").read_text(encoding="utf-8").splitlines()]
    readers = {each["run"] for each in runs if each["kind"] == "run" and each.get("dataset") == sample_data_figures.DATASET}
    texts = [text for trace in sample_data_figures.lineage_figure(folder).data for text in trace.text or ()]
    assert len(texts) == len(readers) + 2 > 3
    shares = [trace.y for trace in sample_data_figures.cleaning_figure(folder).data if trace.y is not None and len(trace.y) > 3]
    assert shares and all(0 < value < 1 for line in shares for value in line)


@pytest.mark.parametrize("page", ["annotate", "label_quality"])
def test_a_labelling_page_without_a_project_says_how_to_start_one(empty: Database, page: str) -> None:
    """Regression: the lines logged a prediction; on Annotate they were next to the empty box, in the row of a project's boxes."""
    app = opened(page)
    code = app.code[-1].value  # the first code block is the link to the page
    assert "items tweets.csv --project moods" in code and "log.prediction" not in code and "There is nothing to label yet." in words(app)


def test_the_example_of_a_model_shows_the_error_that_the_sample_holds() -> None:
    """Computed day by day from the rows, without the code of the page."""
    folder = bundle_folder() / "sample_data"
    values = dict(pd.read_parquet(folder / "flights-delay.labels.parquet", columns=["id", "value"]).itertuples(index=False))
    errors: list[float] = []
    served = pd.read_parquet(folder / "flights-delay.predictions.parquet", columns=["id", "at", "score"])
    for row in served[(served["at"] >= "2013-06-30T00:00Z") & (served["at"] < "2013-07-01T00:00Z")].itertuples():
        errors += [abs(values[row.id] - row.score)] if row.id in values else []
    (line,) = [trace for trace in error_by_day_figure(folder).data if trace.name == "Mean absolute error"]
    drawn = dict(zip(pd.to_datetime(line.x), line.y, strict=True))
    assert len(drawn) == 61 and drawn[pd.Timestamp(2013, 6, 30)] == pytest.approx(np.mean(errors)) and len(errors) > 100
