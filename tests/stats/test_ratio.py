"""The interval of a ratio of totals contains the true ratio in simulation, and a change is detected."""

import numpy as np
import pytest
from scipy import stats

from observability.stats.ratio import ratio_of_totals_change, ratio_of_totals_interval


def parts(rng: np.random.Generator, days: int, per: float = 5.0) -> tuple[np.ndarray, np.ndarray]:
    """Energy and number of predictions by day. The energy per prediction varies by day and is correlated with the number of predictions."""
    size = rng.integers(200, 400, days).astype(float)
    return size * per * rng.lognormal(0, 0.1, days), size


def test_equal_sizes_give_students_interval_of_the_mean() -> None:
    totals = np.array([3.0, 5.0, 4.0, 6.0, 2.0])
    found = ratio_of_totals_interval(totals, np.ones(5))
    low, high = stats.t.interval(0.95, 4, totals.mean(), stats.sem(totals))
    assert (found.value, found.low, found.high) == pytest.approx((4.0, low, high))


def test_the_interval_covers_the_truth_at_about_the_nominal_rate() -> None:
    rng, hits = np.random.default_rng(1), 0
    truth = 5 * np.exp(0.1**2 / 2)
    for _ in range(1000):
        found = ratio_of_totals_interval(*parts(rng, 7))
        hits += found.low <= truth <= found.high
    assert 0.92 <= hits / 1000 <= 0.98


def test_a_change_of_a_ratio_is_distinguished_from_chance() -> None:
    rng = np.random.default_rng(2)
    same = [ratio_of_totals_change(*parts(rng, 7), *parts(rng, 28)).p_value for _ in range(500)]
    assert 0.02 <= np.mean(np.array(same) < 0.05) <= 0.08
    grown = [ratio_of_totals_change(*parts(rng, 7, 7.5), *parts(rng, 28)) for _ in range(200)]
    assert np.mean([each.p_value < 0.003 for each in grown]) > 0.95
    assert np.mean([each.low <= 1.5 <= each.high for each in grown]) > 0.9


def test_a_ratio_of_too_few_or_no_parts_is_unknown() -> None:
    assert ratio_of_totals_interval([], []).value is None
    assert (ratio_of_totals_interval([3.0], [2.0]).value, ratio_of_totals_interval([3.0], [2.0]).low) == (1.5, None)
    assert ratio_of_totals_change([1.0, 2.0], [1.0, 1.0], [1.0] * 9, [1.0] * 9).value is None
    assert ratio_of_totals_change([0.0] * 5, [1.0] * 5, [1.0] * 9, [1.0] * 9).value is None
    exact = ratio_of_totals_change([2.0] * 5, [1.0] * 5, [1.0] * 9, [1.0] * 9)
    assert (exact.value, exact.p_value) == (2.0, 0.0)
    assert ratio_of_totals_interval([0.0, 1.0, 0.0], [9.0, 1.0, 5.0]).low == 0
