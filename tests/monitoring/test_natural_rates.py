"""The arithmetic with which bench_natural.py judges tools on natural streams, checked by hand."""

import numpy as np
import pytest

from tests.support.natural_rates import alarm_rates, auroc, expected_news, plain_rule, power_at, week_truth


def days(*shares):
    """Days of 100 predictions each, with the given shares of right ones."""
    return [np.arange(100) < round(100 * share) for share in shares]


def test_a_week_that_fell_by_seven_points_on_days_that_agree_is_degraded():
    """The mean is 0.73 and the standard deviation 0.01, so half the interval is 2.447 × 0.01 / √7 = 0.00925."""
    found = week_truth(days(0.72, 0.73, 0.74, 0.72, 0.73, 0.74, 0.73), 0.80)
    assert found.truth == "degraded"
    assert found.accuracy == pytest.approx(0.73)
    assert found.high - found.accuracy == pytest.approx(2.4469 * np.sqrt(4 / 6) * 0.01 / np.sqrt(7), rel=1e-3)


def test_the_same_fall_on_days_that_differ_is_unsure():
    """Half the interval is 2.447 × 0.196 / √7 = 0.18, so its upper end is above the reference."""
    assert week_truth(days(0.93, 0.53, 0.93, 0.53, 0.93, 0.53, 0.73), 0.80).truth == "unsure"


def test_a_fall_of_less_than_five_points_is_sound_however_sure():
    assert week_truth(days(*[0.76] * 7), 0.80).truth == "sound"


def test_a_fall_of_exactly_five_points_counts():
    assert week_truth(days(*[0.75] * 7), 0.80).truth == "degraded"


def test_the_accuracy_of_a_week_counts_rows_and_not_days():
    found = week_truth([np.ones(300, bool), np.zeros(100, bool)], 0.5)
    assert found.accuracy == 0.75
    assert (found.low + found.high) / 2 == 0.5


def test_the_plain_rule_needs_both_the_fall_and_the_z():
    """0.70 of 1,000 against 0.80 of 1,000: the pooled rate is 0.75, the error √(0.1875 × 0.002) = 0.01936, and z = 5.16."""
    alarm, fall, z = plain_rule(700, 1000, 800, 1000)
    assert (alarm, fall) == (True, pytest.approx(0.10))
    assert z == pytest.approx(5.164, abs=1e-3)
    assert plain_rule(70, 100, 800, 1000)[0] is False  # the same fall on 100 rows: z = 2.34
    assert plain_rule(76_000, 100_000, 80_000, 100_000)[0] is False  # a fall of four points with z = 21
    assert plain_rule(0, 0, 800, 1000)[0] is False


def test_alarm_rates_leave_out_unanswered_weeks_and_count_unsure_weeks_separately():
    found = alarm_rates(
        [("degraded", True), ("degraded", False), ("degraded", None), ("sound", True), ("sound", False), ("sound", False), ("unsure", True)]
    )
    assert (found.degraded_alarms, found.degraded) == (1, 2)
    assert (found.sound_alarms, found.sound) == (1, 3)
    assert (found.unsure_alarms, found.unsure) == (1, 1)
    assert (found.power, found.false_alarm_rate) == (0.5, pytest.approx(1 / 3))
    assert np.isnan(alarm_rates([("sound", False)]).power)


def test_auroc_counts_pairs_and_ties_as_half():
    """Of the pairs (3, 1), (3, 2), (2, 1), (2, 2), three and a half count as ordered: 3.5 of 4."""
    assert auroc([3, 2, 1, 2], [True, True, False, False]) == pytest.approx(3.5 / 4)
    assert np.isnan(auroc([1, 2], [True, True]))


def test_the_power_at_a_false_alarm_rate_allows_no_more_false_alarms_than_stated():
    """Of five sound weeks, none may be above the limit at a rate of 10 %, and one at 20 %."""
    values, truth = [9, 6, 3, 8, 5, 4, 2, 1], [True, True, True, False, False, False, False, False]
    assert power_at(values, truth, 0.10) == pytest.approx(1 / 3)
    assert power_at(values, truth, 0.20) == pytest.approx(2 / 3)
    assert power_at(values, truth, 1.0) == 1.0


def test_the_expected_news_follow_runs_of_degraded_weeks():
    weeks = ["sound", "degraded", "degraded", "sound", "unsure", "degraded", "sound", "sound"]
    assert expected_news(weeks) == [None, "new", "standing", "recovered", None, None, "recovered", None]
    assert expected_news(["degraded"]) == ["new"]
