"""Tests of counts and rates equal scipy's and keep their significance level."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from observability.stats import change as c
from observability.stats.interval import two_sided_p_value
from tests.support.length import repeats


def test_poisson_is_the_exact_conditional_test() -> None:
    history = [98, 105, 101, 96]
    found = c.poisson_or_overdispersed_test(60, history)
    assert found.overdispersed is False and found.expected == 100 and found.ratio == 0.6 and found.n_history == 4
    tail = scipy.stats.binom.cdf(60, 460, 0.2)
    assert found.p_value == pytest.approx(2 * tail, rel=1e-9)
    exact = scipy.stats.binomtest(60, 460, 0.2).proportion_ci(method="exact")
    assert (found.low, found.high) == pytest.approx((4 * exact.low / (1 - exact.low), 4 * exact.high / (1 - exact.high)), rel=1e-9)


def test_the_overdispersed_test_is_used_if_the_history_spreads() -> None:
    history = np.array([50, 150, 90, 110, 200, 40])
    found = c.poisson_or_overdispersed_test(10, history)
    assert found.overdispersed is True and found.dispersion == pytest.approx(history.var(ddof=1) / history.mean())
    mean, variance = history.mean(), history.var(ddof=1) * 7 / 6
    size = mean**2 / (variance - mean)
    score = scipy.stats.norm.ppf(scipy.stats.nbinom.cdf(10, size, size / (size + mean)))
    assert found.p_value == pytest.approx(2 * scipy.stats.t.cdf(score, 5), rel=1e-6)
    assert found.low is not None and found.high is not None and found.low <= 10 / mean <= found.high


def test_a_steady_stream_that_stops_has_a_tiny_p_value() -> None:
    stopped = c.poisson_or_overdispersed_test(0, [1000, 1010, 990, 1005])
    assert stopped.p_value is not None and stopped.p_value < 1e-50 and stopped.ratio == 0 and stopped.low == 0
    rough = c.poisson_or_overdispersed_test(0, [1000, 1300, 800])
    assert rough.overdispersed and rough.p_value is not None and rough.p_value < 0.02


def test_too_little_history_is_unknown() -> None:
    found = c.poisson_or_overdispersed_test(10, [9, np.nan, 11])
    assert (found.n_history, found.p_value, found.ratio, found.expected) == (2, None, None, None)
    nothing = c.poisson_or_overdispersed_test(0, [0, 0, 0])
    assert nothing.p_value == 1 and nothing.ratio is None and nothing.expected == 0
    sudden = c.poisson_or_overdispersed_test(20, [0, 0, 0])
    assert sudden.p_value is not None and sudden.p_value < 1e-9 and sudden.low is None


@pytest.mark.parametrize("kind", ["poisson", "overdispersed"])
def test_false_alarms_are_as_rare_as_stated(kind: str) -> None:
    rng = np.random.default_rng(9)
    alarms = 0
    for _ in range(1500):
        draws = rng.poisson(80, 9) if kind == "poisson" else rng.negative_binomial(5, 5 / 85, 9)
        p_value = c.poisson_or_overdispersed_test(draws[0], draws[1:]).p_value
        assert p_value is not None
        alarms += p_value < 0.05
    assert 0.01 < alarms / 1500 < 0.08


@settings(max_examples=repeats(50, 150), deadline=None)
@given(st.integers(0, 10_000), st.lists(st.integers(0, 10_000), max_size=12))
def test_counts_keep_order_and_bounds(observed: int, history: list[int]) -> None:
    found = c.poisson_or_overdispersed_test(observed, history)
    assert found.p_value is None or 0 <= found.p_value <= 1
    assert (found.p_value is None) == (len(history) < 3)
    if found.ratio is not None and found.low is not None and found.high is not None:
        assert found.low <= found.ratio + 1e-9 and found.ratio <= found.high + 1e-9


def test_the_score_of_two_proportions_equals_the_chi_squared_test() -> None:
    found = c.proportion_score(30, 200, 55, 220)
    table = scipy.stats.chi2_contingency([[30, 170], [55, 165]], correction=False)
    assert found == pytest.approx(-np.sqrt(table.statistic)) and two_sided_p_value(found) == pytest.approx(table.pvalue, rel=1e-9)
    assert c.proportion_score(0, 0, 3, 5) is None
    assert c.proportion_score(0, 10, 0, 20) == 0
    assert c.proportion_score(60, 400, 110, 440, 800, 880) == pytest.approx(found)


def test_runs_of_equal_values_are_found_and_missing_values_form_no_run() -> None:
    runs = c.runs_of_equal_values([1, 1, None, None, 2.0, float("nan"), float("nan"), 2, 2, 2])
    assert [(run.start, run.length) for run in runs] == [(0, 2), (2, 1), (3, 1), (4, 1), (5, 1), (6, 1), (7, 3)]
    assert c.runs_of_equal_values(np.array(["a", "b", "b"])) == [c.ValueRun(0, 1, "a"), c.ValueRun(1, 2, "b")]
    assert c.runs_of_equal_values([]) == []


def test_needed_n_finds_the_effect_as_often_as_stated() -> None:
    n = c.needed_n_for_proportion(0.1, 0.05)
    assert n == 686  # Fleiss 1981, without continuity correction
    rng = np.random.default_rng(5)
    found = np.mean(
        [two_sided_p_value(c.proportion_score(a, n, b, n)) < 0.05 for a, b in zip(rng.binomial(n, 0.1, 600), rng.binomial(n, 0.15, 600))]
    )
    assert 0.75 < found < 0.85
    assert c.needed_n_for_proportion(0.1, 0) is None and c.needed_n_for_proportion(0.9, 0.2) is None


def test_needed_n_for_psi_is_where_chance_stays_below() -> None:
    from observability.stats.distance import psi_null_quantile

    n = c.needed_n_for_psi(0.1, 10, 1000)
    assert n is not None
    assert psi_null_quantile(1000, n, 10) <= 0.1 < psi_null_quantile(1000, n - 1, 10)
    assert c.needed_n_for_psi(0.1, 10, 100) is None and c.needed_n_for_psi(0.1, 1) == 1
