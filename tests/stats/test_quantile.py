"""Quantiles from counts equal those of the values, within the stated precision."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from observability.stats.binning import histogram_numbers
from observability.stats.edges import numeric_edges
from observability.stats.quantile import LOG_EDGES, histogram_quantile, log_bin_middle, log_edges, median_interval, quantile_interval
from tests.support.length import repeats


@pytest.mark.parametrize("q", [0.001, 0.5, 0.9, 0.95, 0.99, 0.999])
def test_latency_is_within_two_percent(q: float) -> None:
    values = np.random.default_rng(0).lognormal(3, 1.2, 30_000)
    found = histogram_quantile(histogram_numbers(values, LOG_EDGES).counts, LOG_EDGES, q, middle=True)
    assert found == pytest.approx(np.quantile(values, q, method="inverted_cdf"), rel=0.02 + 1e-9)


@settings(max_examples=repeats(33, 100), deadline=None)
@given(st.floats(1e-6, 1e6), st.floats(1.01, 1e6), st.floats(0.001, 0.3))
def test_log_bins_keep_their_promise(low: float, span: float, error: float) -> None:
    edges = log_edges(low, low * span, error)
    assert edges[0] == low and edges[-1] >= low * span * (1 - 1e-9) and (np.diff(edges) > 0).all()
    middle = log_bin_middle(edges[:-1], edges[1:])
    assert np.max(np.abs(middle - edges[:-1]) / edges[:-1]) <= error + 1e-9
    assert np.max(np.abs(middle - edges[1:]) / edges[1:]) <= error + 1e-9


def test_histogram_quantiles_equal_those_by_hand_and_stay_within_the_edges() -> None:
    assert histogram_quantile([0, 10, 30, 0], [0, 1, 2], 0.5) == pytest.approx(1 + 10 / 30)
    assert histogram_quantile([0, 10, 30, 0], [0, 1, 2], 0.25) == pytest.approx(1.0)
    assert histogram_quantile([5, 0, 0, 0], [0, 1, 2], 0.5) == 0 and histogram_quantile([0, 0, 0, 5], [0, 1, 2], 0.5) == 2
    assert histogram_quantile([0, 0, 4, 0], [0, 1, 2], 0.0) == 1 and histogram_quantile([0, 0, 4, 0], [0, 1, 2], 1.0) == 2
    assert histogram_quantile([0, 0], [1.0], 0.5) is None and histogram_quantile([], [], 0.5) is None
    assert quantile_interval([0, 0], [1.0], 0.5).value is None
    with pytest.raises(ValueError, match="relative_error"):
        log_edges(1, 2, 0)


def test_quantiles_from_feature_bins_are_close_to_those_of_numpy() -> None:
    values = np.random.default_rng(1).gamma(2, 3, 50_000)
    made = numeric_edges(values)
    for q in (0.05, 0.33, 0.5, 0.77, 0.99):
        assert histogram_quantile(made.counts, made.edges, q) == pytest.approx(np.quantile(values, q), abs=0.01 * values.std())


@settings(max_examples=repeats(33, 100), deadline=None)
@given(st.lists(st.integers(0, 20), min_size=4, max_size=12), st.floats(0, 1), st.floats(0, 1))
def test_histogram_quantiles_are_monotone_and_lie_in_their_interval(counts: list[int], a: float, b: float) -> None:
    edges = np.arange(len(counts) - 1.0)
    low, high = (histogram_quantile(counts, edges, q) for q in sorted((a, b)))
    if low is None or high is None:
        assert sum(counts) == 0
        return
    assert edges[0] <= low <= high <= edges[-1]
    found = quantile_interval(counts, edges, a)
    assert found.value is not None and found.low is not None and found.high is not None
    assert found.low <= found.value <= found.high


def test_the_interval_is_that_of_order_statistics_and_covers() -> None:
    rng = np.random.default_rng(2)
    values = np.sort(rng.exponential(size=200))
    expected = scipy.stats.quantile_test(values, p=0.5).confidence_interval()
    edges = np.unique(np.concatenate([values, [values[-1] + 1]]))
    found = quantile_interval(histogram_numbers(values, edges).counts, edges, 0.5)
    ranks = [np.searchsorted(values, end) for end in (expected.low, expected.high, found.low, found.high)]
    assert abs(ranks[0] - ranks[2]) <= 2 and abs(ranks[1] - ranks[3]) <= 2
    truth, hits = np.log(10), 0
    for _ in range(300):
        counts = histogram_numbers(rng.exponential(size=400), LOG_EDGES).counts
        one = quantile_interval(counts, LOG_EDGES, 0.9)
        assert one.low is not None and one.high is not None
        hits += one.low <= truth <= one.high
    assert 0.92 <= hits / 300 <= 0.99


def test_the_interval_of_a_middle_value_ends_at_the_edges_of_its_bins() -> None:
    """If a hundred answers are in one bin, the interval is that bin. For 100 answers, ranks 40 and 61 bound the median (binomial by hand)."""
    one = quantile_interval([0, 0, 100, 0, 0], [1.0, 2.0, 4.0, 8.0], 0.5, middle=True)
    assert (one.value, one.low, one.high) == (pytest.approx(8 / 3), 2.0, 4.0)
    three = quantile_interval([0, 39, 21, 40, 0], [1.0, 2.0, 4.0, 8.0], 0.5, middle=True)
    assert (three.value, three.low, three.high) == (pytest.approx(8 / 3), 2.0, 8.0)
    outside = quantile_interval([100, 0, 0], [1.0, 2.0], 0.5, middle=True)
    assert (outside.value, outside.low, outside.high) == (1.0, 1.0, 1.0)


def test_the_interval_of_a_median_covers_it() -> None:
    rng, covered = np.random.default_rng(11), 0
    for _ in range(400):
        _, low, high = median_interval(rng.exponential(size=25))
        covered += low <= np.log(2) <= high
    assert covered >= 0.93 * 400
    middle, low, high = median_interval(np.arange(25.0))
    assert (middle, low, high) == (12.0, 7.0, 17.0)  # order statistics 8 and 18 of 25 (Conover, table A3)
    assert scipy.stats.binom.cdf(7, 25, 0.5) < 0.025
