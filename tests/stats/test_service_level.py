"""Budgets and burn rates equal those computed by hand from the counts, and few requests raise no alert."""

import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint

from observability.stats.service_level import (
    BUDGET_DAYS,
    RULES,
    BurnRule,
    alert_hours,
    burn_rate_interval,
    burn_states,
    error_budget_left,
    trailing_sums,
    wilson_lower,
)


def test_the_remaining_budget_equals_the_one_by_hand() -> None:
    left = error_budget_left(50, 100_000, 0.999)
    assert left.value == pytest.approx(0.5)
    low, high = proportion_confint(50, 100_000, method="wilson")
    assert (left.low, left.high) == pytest.approx((1 - high / 0.001, 1 - low / 0.001))
    assert error_budget_left(200, 100_000, 0.999).value == pytest.approx(-1.0)
    assert error_budget_left(0, 0, 0.999).value is None and error_budget_left(1, 10, 1.0).value is None
    assert burn_rate_interval(50, 1000, 0.99).value == pytest.approx(5.0)


def test_the_rules_take_the_shares_of_the_workbook() -> None:
    assert [each.factor for each in RULES] == [14.4, 6, 1]
    assert [each.spent for each in RULES] == pytest.approx([14.4 / 672, 36 / 672, 72 / 672])
    assert BUDGET_DAYS == 28


def test_trailing_sums_add_the_last_hours() -> None:
    assert trailing_sums([1, 2, 3, 4], 2).tolist() == [1, 3, 5, 7]
    assert trailing_sums([1, 2, 3], 10).tolist() == [1, 3, 6] and trailing_sums([], 3).size == 0


def test_the_lower_bound_equals_wilsons() -> None:
    wanted = [proportion_confint(k, n, method="wilson")[0] for k, n in ((5, 100), (0, 30), (40, 4000))]
    assert wilson_lower(np.array([5.0, 0, 40, 0]), np.array([100.0, 30, 4000, 0])) == pytest.approx([*wanted, 0.0], abs=1e-12)


def test_an_alert_is_on_while_both_windows_burn_and_goes_off_with_the_fault() -> None:
    n, bad = np.full(40, 1000.0), np.full(40, 0.5)
    bad[10:14] = 60
    on = {rule.factor: np.flatnonzero(alert_hours(bad, n, 0.999, rule)).tolist() for rule in RULES}
    assert on[14.4] == [10, 11, 12, 13]
    assert on[6] == [10, 11, 12, 13]
    assert on[1][:6] == [10, 11, 12, 13, 14, 15] and max(on[1]) == 18
    steady = alert_hours(np.full(80, 2.0), n.repeat(2), 0.999, RULES[2])
    assert steady[60:].all()


def test_few_requests_or_few_bad_ones_raise_nothing() -> None:
    rule = BurnRule(14.4, 1, 1)
    assert not alert_hours([40], [80], 0.999, rule).any()
    assert not alert_hours([4], [100], 0.999, rule).any()
    assert alert_hours([5], [100], 0.999, rule).all()
    assert not alert_hours([5], [300], 0.99, BurnRule(1, 1, 1)).any(), "the budget burns 1.7 times as fast, but this is within chance"


def test_every_burn_rule_fires_at_the_end_of_a_fault() -> None:
    n, bad = np.full(100, 500.0), np.zeros(100)
    bad[-3:] = 20
    fast, middle, slow = burn_states(bad, n, 0.999)
    assert fast.rate.value == pytest.approx(40) and fast.fires and fast.n == 500
    assert middle.rate.value == pytest.approx(20) and middle.short == pytest.approx(40) and middle.fires
    assert slow.rate.value == pytest.approx(60 / 36_000 / 0.001) and slow.short == pytest.approx(20) and slow.fires
    assert [each.fires for each in burn_states([], [], 0.999)] == [False] * 3
