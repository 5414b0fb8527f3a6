"""The sentence about regression errors that are too high and too low."""

import pandas as pd

from observability.dashboard.serving.performance import error_sides


def steps(ends: list[float], shares: list[float]) -> pd.DataFrame:
    return pd.DataFrame({"low": ends[:-1], "high": ends[1:], "current": shares})


def test_a_bin_that_contains_zero_counts_as_neither_too_high_nor_too_low() -> None:
    """Regression: a group with errors of both signs was counted as too low."""
    words = error_sides(steps([-20, -10, -5, 4, 12], [0.25, 0.25, 0.3, 0.2]))
    assert words == "20 % of labelled predictions too high by 4.00 or more, 50 % too low by 5.00 or more, 30 % between."


def test_bins_that_meet_at_zero_leave_no_share_between() -> None:
    assert error_sides(steps([-5, 0, 5], [0.4, 0.6])) == "60 % of labelled predictions too high, 40 % too low."


def test_errors_with_one_sign_are_all_too_high() -> None:
    assert error_sides(steps([0, 5, 10], [0.4, 0.6])) == "100 % of labelled predictions too high, 0 % too low."
