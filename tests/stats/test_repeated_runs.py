"""The interval of a difference over seeds and rows contains the true difference."""

import numpy as np
import pytest
from scipy import stats

from observability.stats.repeated_runs import repeated_difference, seed_ratio


def test_with_equal_rows_it_is_student_s_interval_over_seeds() -> None:
    gained, lost = np.array([30, 42, 36, 51]), np.array([20, 18, 25, 22])
    found = repeated_difference(gained, lost, 1000, row_variance=0.0)
    by_scipy = stats.ttest_1samp((gained - lost) / 1000, 0.0)
    assert found is not None and found.interval().triple[1:] == pytest.approx(tuple(by_scipy.confidence_interval()))
    assert found.p_not_worse == pytest.approx(1 - by_scipy.pvalue / 2)


def test_intervals_cover_where_rows_and_seeds_vary() -> None:
    rng, covered = np.random.default_rng(5), 0
    for _ in range(400):
        of_rows, of_seeds = rng.normal(0, 0.2, 300), rng.normal(0, 0.02, 6)
        share = np.clip(0.3 + of_rows[None, :] + of_seeds[:, None], 0, 1)
        change = (rng.random((6, 300)) < share).astype(int) - (rng.random((6, 300)) < 0.3)
        found = repeated_difference((change > 0).sum(1), (change < 0).sum(1), 300, float(change.mean(0).var(ddof=1)))
        truth = float(np.clip(0.3 + rng.normal(0, 0.2, 20_000), 0, 1).mean()) - 0.3
        assert found is not None
        low, high = found.interval().low, found.interval().high
        covered += low is not None and high is not None and low <= truth <= high
    assert covered / 400 >= 0.94


def test_a_ratio_of_sums_has_the_interval_of_its_linearised_seeds() -> None:
    above, below = np.array([0.9, 0.95, 0.92]), np.array([1.0, 1.0, 1.0])
    by_scipy = stats.ttest_1samp(above, 0.0).confidence_interval()
    assert seed_ratio(above, below).triple == pytest.approx((above.mean(), *by_scipy))
    assert seed_ratio([1.0], [2.0]).triple == (0.5, None, None) and seed_ratio([], []).value is None


def test_one_seed_or_row_gives_nothing() -> None:
    assert repeated_difference([1], [0], 10) is None and repeated_difference([1, 1], [0, 0], 1) is None
