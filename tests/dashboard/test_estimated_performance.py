"""Estimates are drawn separately from measurements, by day, with their error where labels have arrived."""

from dataclasses import replace
from io import StringIO

import numpy as np
import pandas as pd
import pytest
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import accuracy_score

from observability.core.finding import Finding
from observability.core.window import Window
from observability.dashboard import load, theme
from observability.dashboard.charts import estimates as charts_estimates
from observability.dashboard.frame import ModelPage
from observability.dashboard.scope import Scope
from observability.dashboard.serving import estimated_performance
from observability.stats.scores import SCORE_EDGES, bin_middles
from tests.support.dashboard_world import DAYS, END, START, World


def here(model: str) -> ModelPage:
    return ModelPage("estimated_performance", Scope(model), load.catalog().model(model), Window(model, START, END))


def test_each_day_has_the_estimate_and_the_measurement_of_the_raw_rows(current: World) -> None:
    days = estimated_performance.estimate_frame(here("loan"), "accuracy")
    assert len(days) == DAYS and days["served"].sum() == len(current.loan)
    middle = lambda scores: bin_middles()[np.searchsorted(SCORE_EDGES, scores, side="right")]
    chance = IsotonicRegression(out_of_bounds="clip").fit(middle(current.loan_reference["score"]), current.loan_reference["label"])
    rows = current.loan.assign(
        chance=chance.predict(middle(current.loan["score"])), day=pd.DatetimeIndex(current.loan["at"]).tz_localize(None).floor("D")
    )
    for day, part in rows.groupby("day"):
        one = days[days["period"] == day].iloc[0]
        decided = part["score"] >= 0.5
        assert one["estimated"] == pytest.approx(np.where(decided, part["chance"], 1 - part["chance"]).mean())
        known = part[part["labelled"]]
        assert one["measured"] == pytest.approx(accuracy_score(known["label"], known["score"] >= 0.5))
    young = days["labelled"] < 0.8 * days["served"]
    assert young.sum() == 2 and days["error"].isna().equals(young)
    ripe = days[~young]
    assert list(ripe["error"]) == pytest.approx(list(ripe["estimated"] - ripe["measured"]))
    assert (ripe["error_low"] <= ripe["error"]).all() and (ripe["low"] <= ripe["estimated"]).all()


def test_a_long_window_is_drawn_by_week(current: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimated_performance, "MAX_DAYS", 3)
    weeks = estimated_performance.estimate_frame(here("loan"), "accuracy")
    assert len(weeks) == 2 and weeks["served"].sum() == len(current.loan)


def test_a_regression_without_estimates_has_its_measurements_only(current: World) -> None:
    days = estimated_performance.estimate_frame(here("price"), "mae")
    assert days["estimated"].isna().all() and days["error"].isna().all()
    known = current.price[current.price["labelled"]]
    assert np.average(days["measured"], weights=days["labelled"]) == pytest.approx((known["score"] - known["label"]).abs().mean())


def test_an_estimate_that_extrapolates_offers_a_worksheet_of_a_random_sample(current: World, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[str, str, str]] = []
    monkeypatch.setattr(estimated_performance.frame, "download_button", lambda name, data, label, key: drawn.append((name, data(), label)))
    base = Finding("serving/estimated_performance", "loan", "1", "model", "accuracy", 0.9, 5, "unknown", "", START, END, "reference")
    estimated_performance.label_sample_button(here("loan"), base)
    assert drawn == [], "no worksheet is offered if no labels are needed"
    estimated_performance.label_sample_button(here("loan"), replace(base, evidence={"labels_needed": 118}))
    ((name, data, label),) = drawn
    assert name.startswith("to-label-loan-") and label == "Worksheet: random sample of 120 predictions to label"
    rows = pd.read_csv(StringIO(data))
    unlabelled = {f"l{place}" for place in np.flatnonzero(~current.loan["labelled"])}
    assert len(rows) <= 120 and set(rows["id"]) <= unlabelled and rows["value"].isna().all()


def drawn() -> pd.DataFrame:
    days = pd.date_range("2026-03-02", periods=4)
    frame = pd.DataFrame(
        {
            "period": days,
            "measured": [0.8, 0.7, 0.75, 0.9],
            "estimated": [0.81, 0.8, 0.8, 0.79],
            "labelled": [95.0, 90, 99, 5],
            "served": 100.0,
        }
    )
    for name, value in (("measured", "measured"), ("", "estimated")):
        prefix = f"{name}_" if name else ""
        frame[f"{prefix}low"], frame[f"{prefix}high"] = frame[value] - 0.04, frame[value] + 0.04
    off = (frame["estimated"] - frame["measured"]).where(frame["labelled"] > 80)
    return frame.assign(error=off, error_low=off - 0.05, error_high=off + 0.05)


def test_estimates_are_dashed_and_hatched_and_the_measured_line_stops_at_young_labels() -> None:
    figure = charts_estimates.estimated_metric_lines(drawn(), name="<b>Accuracy</b>", unit="share", baseline=0.82)
    of = {trace.name: trace for trace in figure.data}
    assert of["measured"].line.dash == "solid" and of["estimated"].line.dash == "dash"
    assert of["measured"].line.color == theme.PRIMARY != of["estimated"].line.color
    assert np.isnan(of["measured"].y[3]) and of["estimated"].y[3] == 0.79
    assert of["95 % interval of the estimate"].fillpattern.shape == "/" and of["95 % interval"].fillpattern.shape is None
    assert len([shape for shape in figure.layout.shapes if shape.type == "rect"]) == 1
    assert "<b>" not in of["estimated"].customdata[0] and "estimated: 81 %" in of["estimated"].customdata[0]


def test_estimate_errors_are_drawn_over_the_band_of_negligible_errors() -> None:
    figure = charts_estimates.estimate_error_dots(drawn(), name="accuracy", unit="share", allowed=0.02)
    band = next(shape for shape in figure.layout.shapes if shape.type == "rect")
    assert (band.y0, band.y1) == (-0.02, 0.02)
    assert list(figure.data[0].y) == pytest.approx([0.01, 0.1, 0.05])
