"""Whether a metric improved is checked by hand on values with intervals."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from observability.core.finding import Finding
from observability.core.weeks import Week
from observability.review.metric_movement import (
    Target,
    compare_weeks,
    improvement_sign,
    movement_verdict,
    relevant_improvement,
    signed_improvement,
)
from observability.stats.interval import Interval

JULY, AUGUST = Week.parse("2013-W27"), Week.parse("2013-W28")


def finding(value, low, high, metric="mae", n=2000, baseline=20.0):
    at = datetime(2013, 7, 1, tzinfo=UTC)
    return Finding(
        "serving/performance",
        "m",
        "1",
        "model",
        metric,
        value,
        n,
        "act",
        "…",
        at,
        at,
        "reference",
        low=low,
        high=high,
        evidence={"baseline": baseline},
    )


def test_an_error_that_fell_beyond_chance_moved():
    found = compare_weeks(Target("m", "serving/performance", "mae"), finding(37.8, 35.5, 40.0), finding(22.0, 21.0, 23.0), JULY, AUGUST)
    assert found.answer == "yes"
    assert found.improvement is not None
    # MOVER by hand: 15.8 minus / plus the root of the summed squares of the half-widths
    assert found.improvement[1] == pytest.approx(15.8 - ((37.8 - 35.5) ** 2 + (23.0 - 22.0) ** 2) ** 0.5)
    assert "does not prove causation" in found.sentence


def test_an_error_that_rose_has_not_improved_and_is_called_worse():
    found = compare_weeks(Target("m", "serving/performance", "mae"), finding(22.0, 21.0, 23.0), finding(37.8, 35.5, 40.0), JULY, AUGUST)
    assert found.answer == "no"
    assert "worse by 15.8" in found.sentence


def test_a_rise_whose_interval_holds_zero_is_not_called_worse():
    found = compare_weeks(Target("m", "serving/performance", "mae"), finding(27.6, 26.0, 29.2), finding(30.5, 28.0, 33.0), JULY, AUGUST)
    assert found.answer == "no"
    reach = ((29.2 - 27.6) ** 2 + (30.5 - 28.0) ** 2) ** 0.5
    assert f"no relevant improvement (95 % interval from {2.9 + reach:.3g} worse to {reach - 2.9:.3g} better)" in found.sentence
    assert "worse by" not in found.sentence


def test_wide_intervals_do_not_decide_whether_a_metric_improved():
    found = compare_weeks(Target("m", "serving/performance", "mae"), finding(30.0, 20.0, 40.0), finding(28.0, 18.0, 38.0), JULY, AUGUST)
    assert found.answer == "cannot tell"


def test_an_unchanged_value_with_a_narrow_interval_has_not_improved():
    found = compare_weeks(Target("m", "serving/performance", "mae"), finding(30.0, 29.8, 30.2), finding(30.0, 29.8, 30.2), JULY, AUGUST)
    assert found.answer == "no"


def test_a_higher_accuracy_is_an_improvement():
    before, after = finding(0.70, 0.68, 0.72, "accuracy"), finding(0.78, 0.76, 0.80, "accuracy")
    assert compare_weeks(Target("m", "serving/performance", "accuracy"), before, after, JULY, AUGUST).answer == "yes"
    assert compare_weeks(Target("m", "serving/performance", "accuracy"), after, before, JULY, AUGUST).answer == "no"


def test_a_bias_is_better_nearer_to_zero():
    before, after = finding(-23.0, -26.0, -20.0, "bias"), finding(-3.0, -5.0, -1.0, "bias")
    assert compare_weeks(Target("m", "serving/performance", "bias"), before, after, JULY, AUGUST).answer == "yes"


@pytest.mark.parametrize(("goal", "reached"), [(25.0, True), (20.0, False), (None, None)])
def test_goal_reached_compares_the_new_value_with_the_goal(goal, reached):
    found = compare_weeks(
        Target("m", "serving/performance", "mae", goal=goal), finding(37.8, 35.5, 40.0), finding(22.0, 21.0, 23.0), JULY, AUGUST
    )
    assert found.goal_reached is reached


def test_a_week_without_the_figure_gives_no_verdict_and_is_named():
    found = compare_weeks(Target("m", "serving/performance", "mae"), finding(37.8, 35.5, 40.0), None, JULY, AUGUST)
    assert found.answer == "cannot tell"
    assert str(AUGUST) in found.sentence


def test_reversing_the_sign_of_an_improvement_keeps_low_below_high():
    turned = signed_improvement(Interval(-0.08, -0.10, -0.05, 100), -1.0)
    assert (turned.low, turned.value, turned.high) == (0.05, 0.08, 0.10)
    assert movement_verdict(turned, 0.02) == "yes"
    assert movement_verdict(replace(turned, low=None), 0.02) == "cannot tell"


def test_the_relevant_improvement_follows_the_goal_or_otherwise_the_limits():
    assert relevant_improvement(Target("m", "serving/performance", "mae", goal=20.0), 30.0) == 5.0
    assert relevant_improvement(Target("m", "serving/performance", "mae"), 30.0) == pytest.approx(3.0)
    assert relevant_improvement(Target("m", "serving/performance", "accuracy"), 0.7) == pytest.approx(0.02)
    assert relevant_improvement(Target("m", "data/quality", "null_rate"), 0.4) == pytest.approx(0.04)


def test_an_improvement_is_positive_if_the_metric_moves_in_its_better_direction() -> None:
    for metric, value, sign in (("mae", 30.0, 1.0), ("accuracy", 0.7, -1.0), ("bias", 2.0, 1.0), ("bias", -2.0, -1.0)):
        assert improvement_sign(metric, finding(value, None, None, metric)) == sign, (metric, value)
