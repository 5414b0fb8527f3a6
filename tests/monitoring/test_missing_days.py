"""The arithmetic with which bench_missing_days.py estimates days without labels, checked by hand."""

import numpy as np
import pytest

from tests.support.missing_days import missing_days_estimates, steps_to_missing_days, steps_to_past_mean, week_half_width

FIRST = 63


def moving_days():
    """Expected accuracies of 70 days that move without a pattern."""
    return 0.8 + 0.05 * np.random.default_rng(5).standard_normal(70)


def test_a_step_is_the_mean_of_the_last_two_days_minus_that_of_the_first_five():
    assert steps_to_missing_days(np.array([1, 2, 3, 4, 5, 10, 20, 40.0])).tolist() == [15 - 3, 30 - 4.8]


def test_the_past_mean_needs_seven_days_and_takes_at_most_28():
    daily = np.r_[np.full(10, 9.0), np.full(28, 2.0), np.full(7, 1.0)]
    steps = steps_to_past_mean(daily)
    assert np.isnan(steps[:7]).all()
    assert steps[7] == pytest.approx(9 - (3 * 9 + 2 * 2) / 5)
    assert steps[38] == 2 - 1


def test_days_that_follow_the_expectation_are_estimated_by_it_whatever_its_bias():
    """The model is right in 0.1 less than expected, so the five days correct the expectation of the two."""
    expected = moving_days()
    accuracy = expected - 0.1
    told = missing_days_estimates(accuracy, expected, FIRST)
    truth = accuracy[FIRST + 5 : FIRST + 7].mean()
    for name in ("expected, corrected", "expected, own slope", "both, own slopes"):
        assert told[name] == pytest.approx(truth)


def test_an_expectation_that_moved_twice_as_far_as_the_truth_has_slope_one_half():
    expected = moving_days()
    accuracy = 0.3 + expected / 2
    told = missing_days_estimates(accuracy, expected, FIRST)
    assert told["expected, own slope"] == pytest.approx(accuracy[FIRST + 5 : FIRST + 7].mean())
    assert told["expected, corrected"] != pytest.approx(told["expected, own slope"])


def test_an_expectation_that_moves_against_the_truth_is_not_used():
    expected = moving_days()
    told = missing_days_estimates(1.6 - expected, expected, FIRST)
    assert told["expected, own slope"] == told["as the five days"] == pytest.approx((1.6 - expected)[FIRST : FIRST + 5].mean())


def test_labels_that_are_still_to_come_change_no_estimate():
    """The accuracies of the two days are replaced; an estimate that reads them would change."""
    expected, noise = moving_days(), np.random.default_rng(6)
    accuracy = expected + 0.03 * noise.standard_normal(70)
    later = accuracy.copy()
    later[FIRST + 5 :] = 0.1
    assert missing_days_estimates(accuracy, expected, FIRST) == missing_days_estimates(later, expected, FIRST)


def test_the_interval_is_twice_the_usual_step_times_two_sevenths():
    """Days of 0.7 and 0.9 in turn: the mean of five is 0.82 or 0.78, of the next two 0.8, so every step is 0.02."""
    accuracy = np.tile([0.9, 0.7], 35)
    assert week_half_width(accuracy, FIRST) == pytest.approx(2 * 0.02 * 2 / 7)
