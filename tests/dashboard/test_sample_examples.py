"""Each page without data shows an example of its own chart, made from the files of the sample, and the code lines that fill the page."""

import gzip
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from observability.core.bundle import bundle_folder
from observability.dashboard import links
from observability.dashboard.sample_examples import EXAMPLES, LOG_LINES, page_example
from observability.dashboard.sample_figures import CAPTION
from observability.store.db.database import Database
from tests.support.dashboard_pages import opened, words

FOLDER = bundle_folder() / "sample_data"
WITHOUT_FIGURE = {"lab", "live_guard", "personal_data", "requests", "rules", "selection"}
"""Pages about one model for which no chart can be made from the sample's files."""
OWN = {"audits", "batch_gate"}
"""Pages whose example is in their own module."""


def figure(page: str) -> Any:
    """The example figure of an empty page."""
    build = page_example(page).build
    assert build is not None
    return build(FOLDER)


@pytest.mark.parametrize("page", sorted(page for page, example in EXAMPLES.items() if example.build))
def test_each_page_draws_its_example_from_the_sample_files(page: str) -> None:
    values = [value for trace in figure(page).data for axis in (trace.x, trace.y) if axis is not None for value in axis]
    assert page in links.page_files() and len(values) > 6
    assert EXAMPLES[page].name and not any(isinstance(value, float) and np.isinf(value) for value in values)


def test_each_page_about_one_model_has_its_example() -> None:
    pages = {page for page in links.page_files() if links.is_model_page(page)}
    drawn = {page for page, example in EXAMPLES.items() if example.build}
    assert pages - drawn - OWN == WITHOUT_FIGURE


def test_the_example_code_of_each_page_is_short_and_valid() -> None:
    for page, example in EXAMPLES.items():
        lines = example.lines.splitlines()
        compile(example.lines, page, "exec")
        assert lines[:2] == LOG_LINES.splitlines()[:2] and 3 <= len(lines) <= 5, page


def test_the_drift_of_an_input_is_its_psi() -> None:
    """Computed with pandas in the reference's deciles, with missing values as one more group."""
    served, before = (pd.read_parquet(FOLDER / f"flights-delay.{side}.parquet") for side in ("predictions", "reference"))
    now = served[(served["at"] >= "2013-06-24T00:00Z") & (served["at"] < "2013-07-01T00:00Z")]
    bars = next(trace for trace in figure("drift").data if trace.type == "bar" and trace.customdata is not None)
    drawn = {text[0]: value for text, value in zip(bars.customdata, bars.x, strict=True)}
    edges = [-np.inf, *before["dew_point_f"].quantile(np.arange(1, 10) / 10).drop_duplicates(), np.inf]
    shares = [pd.cut(side["dew_point_f"], edges, right=False).value_counts(dropna=False, normalize=True) for side in (before, now)]
    p, q = (side.reindex(shares[0].index.union(shares[1].index)).fillna(0).clip(lower=1e-4).to_numpy() for side in shares)
    assert drawn["dew_point_f"] == pytest.approx(float(((q - p) * np.log(q / p)).sum()), rel=1e-3)


def test_the_incident_shows_the_value_that_its_alert_states() -> None:
    """The monitoring computed the value in the alert from the store; here it is computed from the files alone."""
    with gzip.open(FOLDER / "meetings.jsonl.gz", "rt", encoding="utf-8") as lines:
        alerts = [each for each in map(json.loads, lines) if each["kind"] == "alert" and "`rain_3h_in` moved" in each.get("title", "")]
    drawn = figure("incident")
    (line,) = [trace for trace in drawn.data if trace.name and trace.name.startswith("PSI")]
    values = dict(zip(pd.to_datetime(line.x), line.y, strict=True))
    assert values[pd.Timestamp(2013, 5, 19)] == pytest.approx(alerts[0]["value"], rel=0.02)
    assert [pd.Timestamp(shape.x0) for shape in drawn.layout.shapes if shape.type == "line"] == [pd.Timestamp(2013, 5, 19)]


def test_latency_and_cost_examples_match_the_files() -> None:
    served = pd.read_parquet(FOLDER / "flights-delay.predictions.parquet", columns=["at", "latency_ms"])
    day = served[served["at"].dt.strftime("%Y-%m-%d") == "2013-06-12"]["latency_ms"]
    (line,) = [trace for trace in figure("latency").data if trace.name == "p95"]
    drawn = dict(zip(pd.to_datetime(line.x), line.y, strict=True))
    assert drawn[pd.Timestamp(2013, 6, 12)] == pytest.approx(np.percentile(day, 95)) and len(drawn) == 30
    calls = pd.read_parquet(FOLDER / "calls.predictions.parquet", columns=["cost"])
    assert sum(figure("cost").data[0].y) == pytest.approx(calls["cost"].sum())


def test_the_waterfall_ends_at_the_score_of_the_largest_explained_delay() -> None:
    rows = pd.read_parquet(FOLDER / "flights-delay.explained.parquet")
    totals = [trace for trace in figure("case").data if trace.type == "scatter" and trace.x is not None and len(trace.x) == 2]
    assert sorted(totals[0].x) == pytest.approx(sorted([rows["base"].iloc[0], rows["score"].max()]), abs=0.02)


@pytest.mark.parametrize("page", ["latency", "case", "incident", "batch_gate"])
def test_a_store_without_a_model_shows_the_lines_and_the_figure_of_the_page(empty: Database, page: str) -> None:
    """Regression: every empty page showed the mean absolute error by day and the lines that log a prediction and a label."""
    app = opened(page)
    code, spec = app.code[-1].value, app.get("plotly_chart")[0].proto.spec
    assert CAPTION in words(app) and ("reference" not in spec or page == "batch_gate")
    assert {"latency": "latency_ms=", "case": "attributions=", "incident": "log.label(", "batch_gate": "batch_rows"}[page] in code


def test_a_page_without_an_example_shows_the_lines_alone(empty: Database) -> None:
    app = opened("requests")
    assert "subject=" in app.code[-1].value and CAPTION not in words(app) and not app.get("plotly_chart")
