"""Rates, gaps and ratios equal independent computations, and equal groups rarely look unequal."""

import numpy as np
import pytest
from scipy import stats

from observability.stats.difference_intervals import rate_ratio_interval
from observability.stats.group import (
    LARGE,
    gap_changes,
    group_rates,
    largest_pair_z,
    max_rate_spread,
    mean_spread,
    permutation_null,
    rate_intervals,
    rate_spread,
    rate_variances,
    smallest_rate_ratio,
)
from observability.stats.interval import rate_interval


def test_rates_and_intervals_are_those_of_each_group_alone() -> None:
    hits, n, squares = [0, 3, 40, 12.5], [10, 3, 90, 30.0], [10, 3, 90, 55.0]
    value, low, high = rate_intervals(hits, n, squares)
    for i in range(4):
        one = rate_interval(hits[i], n[i], squares[i])
        assert (value[i], low[i], high[i]) == pytest.approx((one.value, one.low, one.high), abs=1e-12)
    assert np.isnan(group_rates([0], [0])[0]) and np.isnan(rate_intervals([0], [0])[1][0])


def test_the_largest_gap_names_its_lowest_and_highest_group() -> None:
    found = rate_spread([80, 60, 75], [100, 100, 100])
    assert found.difference == pytest.approx(0.2)
    assert (found.lowest, found.highest, found.n) == (1, 0, 300)
    assert 0 <= found.low < 0.2 < found.high < 0.5


@pytest.mark.parametrize("groups", [2, 17, 18, 60, 200])
def test_the_fast_search_finds_the_most_significant_pair_of_each_draw(groups: int) -> None:
    rng = np.random.default_rng(groups)
    errors = rng.uniform(0.01, 1.0, groups) ** 2
    drawn = rng.standard_t(3, (300, groups)) * errors
    drawn[0] = 0.0
    reach = np.abs(drawn[:, :, None] - drawn[:, None, :]) / np.hypot(errors[:, None], errors[None, :])
    assert largest_pair_z(drawn, errors) == pytest.approx(reach.max(axis=(1, 2)), rel=1e-12)
    errors[0] = 0.0
    drawn[:, 0] = 0.0
    with np.errstate(invalid="ignore"):
        reach = np.abs(drawn[:, :, None] - drawn[:, None, :]) / np.hypot(errors[:, None], errors[None, :])
    assert largest_pair_z(drawn, errors) == pytest.approx(np.nanmax(reach, axis=(1, 2)), rel=1e-12)


def test_two_groups_agree_with_fishers_exact_test() -> None:
    for a, b in ((40, 52), (30, 31), (70, 45)):
        exact = stats.fisher_exact([[a, 100 - a], [b, 120 - b]]).pvalue
        assert rate_spread([a, b], [100, 120], draws=20_000).p_value == pytest.approx(exact, abs=0.02)


def test_five_equal_groups_differ_as_the_known_null_predicts() -> None:
    """Five groups of 100 with a true rate of 0.8 differ by 0.093 on average, and by less than 0.15 in 95 % of cases."""
    random = np.random.default_rng(1)
    found = [rate_spread(random.binomial(100, 0.8, 5), [100] * 5, draws=500) for _ in range(300)]
    assert np.mean([each.difference for each in found]) == pytest.approx(0.093, abs=0.005)
    assert np.mean([each.null_95 for each in found]) == pytest.approx(0.155, abs=0.01)
    assert np.mean([each.p_value <= 0.05 for each in found]) <= 0.08
    assert np.mean([each.low <= 0 for each in found]) >= 0.95


@pytest.mark.parametrize("rates_", [(0.7, 0.8, 0.75), (0.5, 0.5, 0.5, 0.52), (0.05, 0.3)])
def test_the_interval_covers_the_true_gap(rates_: tuple[float, ...]) -> None:
    random, n = np.random.default_rng(2), np.array([150, 400, 80, 900][: len(rates_)])
    truth = max(rates_) - min(rates_)
    found = [rate_spread(random.binomial(n, rates_), n, draws=10) for _ in range(400)]
    assert np.mean([each.low <= truth <= each.high for each in found]) >= 0.93
    assert all(each.low <= each.difference <= each.high for each in found)


def test_a_gap_far_beyond_every_draw_has_the_normal_tail() -> None:
    found = rate_spread([900, 500], [1000, 1000])
    error = np.sqrt(0.7 * 0.3 * 2 / 1000)
    assert found.p_value == pytest.approx(2 * stats.norm.sf(0.4 / error), rel=1e-6)


def test_for_large_groups_the_null_from_normal_draws_agrees_with_the_exact_null() -> None:
    hits, n = np.array([160, 400, 240]), np.array([200, 500, 300])
    assert n.min() * 0.2 < LARGE <= n.min() * 0.25
    exact, fast = permutation_null(hits, n, 20_000), permutation_null(np.array([150, 375, 225]), n, 20_000)
    for share in (0.5, 0.9, 0.95, 0.99):
        assert np.quantile(fast, share) == pytest.approx(np.quantile(exact, share), rel=0.03)


def test_five_groups_with_equal_rates_and_unequal_sizes_have_uniform_p_values() -> None:
    random, n = np.random.default_rng(3), np.array([60, 150, 400, 1200, 5000])
    p_values = np.array([rate_spread(random.binomial(n, 0.3), n, draws=500).p_value for _ in range(500)])
    assert np.mean(p_values < 0.05) <= 0.06
    assert np.quantile(p_values, [0.25, 0.5, 0.75]) == pytest.approx([0.25, 0.5, 0.75], abs=0.07)


def test_a_tiny_group_does_not_hide_a_significant_gap() -> None:
    pair = rate_spread([4200, 4986], [6000, 6000])
    found = rate_spread([4200, 4986, 64], [6000, 6000, 97])
    assert pair.p_value < 1e-20 and found.p_value < 1e-20
    assert found.difference == pytest.approx(4986 / 6000 - 64 / 97) and (found.lowest, found.highest) == (2, 1)
    assert found.surest is not None and (found.surest.lowest, found.surest.highest) == (0, 1)
    assert found.null_95 < 0.03


def test_a_significant_small_gap_does_not_make_a_wide_insignificant_gap_significant() -> None:
    hits, n = [300_000, 310_000, 21], [1_000_000, 1_000_000, 50]
    assert rate_spread(hits, n).p_value < 1e-20
    assert rate_spread(hits, n, least=0.1).p_value > 0.05


def test_the_normal_tail_is_not_used_for_a_group_with_two_successes() -> None:
    found = rate_spread([20, 2], [20_000, 30])
    exact = stats.hypergeom.sf(1, 20_030, 22, 30)
    assert found.p_value >= min(exact, 1 / 2001)


def test_the_larger_of_two_gaps_counts() -> None:
    families = [([80, 75], [100, 100], None), ([10, 40], [100, 100], None)]
    found = max_rate_spread(families)
    assert found.difference == pytest.approx(0.3) and found.n == 400
    assert found.null_95 >= max(rate_spread(*each).null_95 for each in families)


def test_weights_count_by_the_effective_rows() -> None:
    plain, heavy = rate_spread([80, 60], [100, 100]), rate_spread([160, 120], [200, 200], [400, 400])
    assert heavy.difference == plain.difference and heavy.p_value == plain.p_value and heavy.n == 200


def test_one_group_or_an_empty_one_says_nothing() -> None:
    for found in (rate_spread([3], [5]), rate_spread([3, 0], [5, 0]), mean_spread([1], [0.1], [9])):
        assert found.difference is None and np.isnan(found.p_value)


def test_means_are_compared_with_a_normal_null() -> None:
    found = mean_spread([10.0, 12.0], [0.5, 0.5], [100, 100], draws=20_000)
    assert found.difference == 2.0 and found.low < 2.0 < found.high
    assert found.p_value == pytest.approx(2 * stats.norm.sf(2 / np.hypot(0.5, 0.5)), abs=0.002)


def test_the_ratio_of_lowest_to_highest_rate_has_koopmans_interval() -> None:
    found, low, high = smallest_rate_ratio([30, 60], [100, 100])
    one = rate_ratio_interval(30, 100, 60, 100)
    assert (found.value, found.low, found.high) == pytest.approx((one.value, one.low, one.high)) and (low, high) == (0, 1)
    wide, low, high = smallest_rate_ratio([30, 60, 45], [100, 100, 100])
    assert (low, high) == (0, 1) and wide.low < one.low and wide.high > one.high
    assert smallest_rate_ratio([0, 0], [10, 10])[0].value is None


def test_a_change_of_one_group_against_the_others_by_hand() -> None:
    n = np.array([100.0, 300.0, 100.0])
    now, before = np.array([0.6, 0.8, 0.7]), np.array([0.8, 0.82, 0.72])
    found = gap_changes(now, now * (1 - now), n, before, before * (1 - before), n * 10)
    others = (300 * 0.8 + 100 * 0.7) / 400
    others_before = (300 * 0.82 + 100 * 0.72) / 400
    assert found.now[0] == pytest.approx(0.6 - others) and found.before[0] == pytest.approx(0.8 - others_before)
    assert found.grown[0] == pytest.approx((others - 0.6) - 0.0)
    row = np.maximum(now * (1 - now), before * (1 - before))
    share = np.array([0, 0.75, 0.25])
    error = np.sqrt(row[0] / 100 + (share**2 * row / n).sum() + row[0] / 1000 + (share**2 * row / n / 10).sum())
    assert found.error[0] == pytest.approx(error)
    assert found.p_value[0] == pytest.approx(2 * stats.norm.sf(found.grown[0] / error))
    assert found.grown[1] < found.grown[0]


def test_a_gap_that_stays_or_shrinks_is_no_growth() -> None:
    n, variance = np.array([100.0, 100.0]), np.array([0.2, 0.2])
    same = gap_changes([0.5, 0.6], variance, n, [0.7, 0.8], variance, n)
    assert same.grown == pytest.approx([0, 0], abs=1e-12)
    less = gap_changes([0.7, 0.75], variance, n, [0.5, 0.8], variance, n)
    assert (less.grown < 0).all() and (less.p_value == 1).all()


def test_a_rate_of_one_is_not_taken_for_certain() -> None:
    variance = rate_variances([37, 5000 * 0.85], [37, 5000])
    assert 0 < variance[0] < variance[1]
    found = gap_changes([1.0, 0.86], rate_variances([37, 860], [37, 1000]), [37, 1000], [0.85, 0.86], [0.1275, 0.12], [5000, 9000])
    assert found.error[0] > np.sqrt(0.1275 / 37)
