"""The calibration page draws the values of the raw rows, with intervals, diagonal and sampling noise."""

import numpy as np
import pandas as pd
import pytest

from observability.core.catalog import Model
from observability.core.window import Window
from observability.dashboard import load, theme
from observability.dashboard.charts import calibration as charts_calibration
from observability.dashboard.frame import ModelPage
from observability.dashboard.scope import Scope
from observability.dashboard.serving import calibration
from observability.metrics.reliability import calibration_errors, scored_rows
from observability.stats.scores import SCORE_EDGES, bin_middles
from tests.support.dashboard_world import END, START, World


@pytest.fixture
def here(current: World) -> ModelPage:
    window = Window("loan", START, END)
    return ModelPage("calibration", Scope("loan"), load.catalog().model("loan"), window)


def test_calibration_groups_contain_the_labelled_rows_and_their_rates(current: World, here: ModelPage) -> None:
    both = calibration.calibration_sides(here)
    assert both is not None and both.before is not None
    known = current.loan[current.loan["labelled"]]
    groups = calibration._groups_frame(both.now)
    assert groups["n"].sum() == len(known) and calibration._score_step_counts(both.now)["n"].sum() == len(known)
    place = np.searchsorted(SCORE_EDGES, known["score"], side="right")
    group = both.now.groups.index[place]
    assert list(groups["rate"]) == pytest.approx(known["label"].groupby(group).mean())
    assert list(groups["score"]) == pytest.approx(pd.Series(bin_middles()[place]).groupby(group).mean())
    assert calibration._groups_frame(both.before)["n"].sum() == len(current.loan_reference)
    assert len(calibration._groups_frame(None)) == 0


def test_the_curve_has_intervals_a_diagonal_a_faint_reference_and_counts(current: World, here: ModelPage) -> None:
    both = calibration.calibration_sides(here)
    groups, before = calibration._groups_frame(both.now), calibration._groups_frame(both.before)
    figure = charts_calibration.reliability_diagram(groups, calibration._score_step_counts(both.now), before, score="score", truth="share")
    of = {trace.name: trace for trace in figure.data if trace.name}
    assert list(of["score = truth"].x) == list(of["score = truth"].y) == [0, 1]
    assert of["reference"].opacity < 1 and of["reference"].line.color == theme.NEUTRAL
    assert list(of["now"].y) == pytest.approx(list(groups["rate"]))
    assert list(of["now"].error_y.array) == pytest.approx(list(groups["high"] - groups["rate"]))
    bars = next(trace for trace in figure.data if trace.type == "bar")
    assert sum(bars.y) == groups["n"].sum() and bars.yaxis == "y2"


def test_the_error_strip_shows_the_range_expected_by_chance() -> None:
    rows = [["now", 0.08, 0.05, 0.11, 0.02, 0.03, 900.0], ["<b>", 0.01, 0.0, 0.02, 0.01, 0.02, 9000.0]]
    sides = pd.DataFrame(rows, columns=["name", "ece", "low", "high", "null_mean", "null_95", "n"])
    figure = charts_calibration.ece_null_strip(sides)
    assert sorted(figure.data[0].x) == [0.01, 0.08]
    assert sorted(shape.x1 for shape in figure.layout.shapes if shape.type == "rect") == [0.02, 0.03]
    assert "<b>" not in "".join(figure.layout.yaxis.ticktext)


def test_calibration_error_over_time_shows_the_chance_band_and_greys_young_periods() -> None:
    rows = [["2026-03-02", 0.05, 0.02, 0.08, 0.04, 300, 300, 310], ["2026-03-03", None, None, None, None, None, 20, 300]]
    series = pd.DataFrame(rows, columns=["period", "ece", "low", "high", "null_95", "n", "labelled", "served"])
    series["period"] = pd.to_datetime(series["period"])
    figure = charts_calibration.ece_trend(series.astype({"ece": float, "low": float, "high": float, "null_95": float}))
    assert [shape.x0 for shape in figure.layout.shapes] == [pd.Timestamp("2026-03-02T12:00")]
    band = next(trace for trace in figure.data if trace.name == "sampling noise")
    assert list(band.y) == [0.04, 0.0]


def test_the_calibration_plot_of_a_regression_shows_its_line() -> None:
    rows = calibration._evidence_groups([[1.0, 2.0, 1.5, 2.5, 10.0], [3.0, 3.5, 3.0, 4.0, 10.0]])
    figure = charts_calibration.regression_calibration_lines(rows, calibration._evidence_groups(None))
    of = {trace.name: trace for trace in figure.data}
    assert "reference" not in of and list(of["now"].y) == [2.0, 3.5] and list(of["prediction = truth"].x) == [1.0, 3.0]


def test_the_confidence_of_one_class_uses_its_decisions() -> None:
    rng, classes = np.random.default_rng(8), ("a", "b")
    frame = pd.DataFrame({"decision": rng.integers(0, 2, 600), "confidence": rng.uniform(0.5, 1, 600)})
    right = rng.random(600) < np.where(frame["decision"] == 1, frame["confidence"] - 0.3, frame["confidence"])
    frame["label"] = np.where(right, frame["decision"], 1 - frame["decision"])
    frame["score_bin"] = np.searchsorted(SCORE_EDGES, frame["confidence"], side="right")
    counts = frame.groupby(["decision", "label", "score_bin"]).size().rename("n").reset_index()
    counts = counts.assign(w=counts["n"].astype(float), w2=counts["n"].astype(float))
    here = ModelPage("calibration", Scope("m"), Model(1, "m", "multiclass", classes), Window("m", START, END))
    rows = scored_rows(here.model, calibration._decided_as(here, counts, "b"))
    own = frame[frame["decision"] == 1]
    assert rows.n == len(own) and rows.positive.sum() == (own["label"] == 1).sum()
    assert calibration._decided_as(here, counts, None) is counts
    far, near = (calibration_errors(scored_rows(here.model, calibration._decided_as(here, counts, each))).ece.value for each in ("b", "a"))
    assert far == pytest.approx(0.3, abs=0.06) and near < 0.1
