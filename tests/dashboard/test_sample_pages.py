"""Sentences of pages about the sample fleet, without a browser; a long run checks the same in a browser (tests/browser/)."""

from pathlib import Path

import pytest
from sklearn.linear_model import LinearRegression

from tests.support import raw_rows
from tests.support.dashboard_pages import opened, words


def test_a_regression_without_estimates_says_so(sample: Path) -> None:
    assert "have not been estimated for these days yet" in words(opened("estimated_performance", model="flights-delay"))


def test_the_energy_page_says_what_to_log_and_ignores_a_slice(sample: Path) -> None:
    app = opened("energy", model="flights-late", slice="carrier=AA")
    assert "the chosen slice is ignored" in words(app)
    assert any('"kind":"resource"' in each.value for each in app.code)


def test_a_calibrated_week_shows_no_deviation_and_a_regression_shows_its_slope(sample: Path) -> None:
    said = words(opened("calibration", model="employment"))
    assert "No score range deviates significantly" in said and "OK" in said
    known = raw_rows.last_week(raw_rows.predictions("flights-delay")).dropna(subset=["label"])
    fitted = LinearRegression().fit(known[["score"]].to_numpy(), known["label"])
    slope = words(opened("calibration", model="flights-delay")).partition("Calibration slope ")[2].partition(" (")[0]
    assert float(slope.strip("*").replace("\u2212", "-")) == pytest.approx(fitted.coef_[0], abs=0.006)


def test_an_unknown_class_in_a_link_shows_a_message(sample: Path) -> None:
    assert "names the class joyful, which this model does not have" in words(
        opened("calibration", **{"model": "sentiment", "class": "joyful"})
    )
