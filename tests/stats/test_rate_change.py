"""The test for a higher rate keeps its significance level if days differ, and the segment with the higher rate is found."""

import numpy as np
import pytest
from scipy import stats

from observability.stats.rate_change import PRIOR_BLOCKS, PRIOR_DISPERSION, count_dispersion, elevated_segment, higher_rate_test


def days(rng: np.random.Generator, rate: float, rows: int, count: int, spread: float) -> tuple[np.ndarray, np.ndarray]:
    """Hits on days whose rates differ: beta-binomial, with `spread` times the binomial variance."""
    size = np.full(count, rows)
    if spread <= 1:
        return rng.binomial(size, rate), size
    total = (rows - spread) / (spread - 1)
    return rng.binomial(size, rng.beta(rate * total, (1 - rate) * total, count)), size


def test_dispersion_is_pearsons_chi_square_mixed_with_a_doubt() -> None:
    hits, rows = np.array([3, 9, 4, 0]), np.array([100, 120, 80, 0])
    table = np.array([hits[:3], rows[:3] - hits[:3]])
    square = stats.chi2_contingency(table, correction=False).statistic
    value, freedom = count_dispersion([(hits, rows)])
    assert freedom == 2 + PRIOR_BLOCKS
    assert value == pytest.approx((square + PRIOR_DISPERSION * PRIOR_BLOCKS) / freedom)
    assert count_dispersion([]) == (PRIOR_DISPERSION, PRIOR_BLOCKS)


def test_dispersion_is_found_and_never_below_one() -> None:
    rng = np.random.default_rng(3)
    assert count_dispersion([days(rng, 0.05, 400, 200, 4.0)])[0] == pytest.approx(4.0, rel=0.25)
    assert count_dispersion([(np.full(200, 20), np.full(200, 400))])[0] == 1.0


def test_without_dispersion_it_is_the_exact_conditional_binomial_test() -> None:
    huge = 10**7
    wanted = stats.binomtest(30, 30 + 60, 500 / 2500, alternative="greater").pvalue
    assert higher_rate_test(30, 500, 60, 2000, (1.0, huge)) == pytest.approx(wanted, rel=1e-4)
    assert higher_rate_test(0, 500, 60, 2000, (1.0, huge)) == 1.0
    assert higher_rate_test(5, 0, 60, 2000, (1.0, huge)) == 1.0
    assert higher_rate_test(30, 500, 60, 2000, (3.0, 30)) > wanted


@pytest.mark.parametrize("spread", [1.0, 3.0])
def test_equal_rates_seldom_alarm_and_a_doubled_rate_is_found(spread: float) -> None:
    rng = np.random.default_rng(5)
    alarms = found = 0
    for _ in range(400):
        past = days(rng, 0.02, 300, 28, spread)
        clean, bad = days(rng, 0.02, 300, 7, spread), days(rng, 0.05, 300, 7, spread)
        known = count_dispersion([past])
        test = lambda now, known=known, past=past: higher_rate_test(
            float(now[0].sum()), float(now[1].sum()), past[0].sum(), past[1].sum(), known
        )
        alarms += test(clean) < 0.01
        found += test(bad) < 0.01
    assert alarms <= 12 and found >= 330


def test_the_segment_with_the_elevated_rate_is_found() -> None:
    rng = np.random.default_rng(1)
    rows = np.full(168, 60)
    hits = rng.binomial(rows, 0.01)
    hits[100:131] = rng.binomial(60, 0.08, 31)
    first, last = elevated_segment(hits, rows, 0.01)
    assert abs(first - 100) <= 2 and abs(last - 131) <= 2
    assert elevated_segment(np.zeros(5), np.full(5, 10), 0.1) is None
    assert elevated_segment([], [], 0.1) is None
    assert elevated_segment([0, 0, 3], [10, 10, 10], 0.0) == (2, 3)
