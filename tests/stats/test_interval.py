"""Intervals equal scipy's and those in the papers, are ordered, and have the stated coverage."""

import math
from dataclasses import astuple

import numpy as np
import pytest
import scipy.stats
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from observability.stats import difference_intervals as di
from observability.stats import interval as i
from observability.stats import score_intervals as si
from observability.stats.interval import Interval, Moments
from tests.support.length import repeats

WEIGHTED = st.lists(st.tuples(st.floats(-100, 100), st.floats(0.1, 5)), min_size=0, max_size=30)
COUNT = st.integers(0, 60)


def moments(values: np.ndarray, weights: np.ndarray | None = None) -> Moments:
    w = np.ones(len(values)) if weights is None else weights
    squares = None if weights is None else float(np.sum(w**2))
    return Moments(float(w.sum()), float(np.sum(w * values)), float(np.sum(w * values**2)), squares)


def ordered(found: Interval) -> bool:
    return found.value is None or found.low is None or found.high is None or found.low <= found.value <= found.high


@pytest.mark.parametrize(("successes", "n"), [(0, 10), (10, 10), (450, 1000), (12, 24), (988, 1000)])
def test_the_wilson_interval_equals_that_of_scipy(successes: int, n: int) -> None:
    expected = scipy.stats.binomtest(successes, n).proportion_ci(method="wilson")
    found = i.rate_interval(successes, n)
    assert (found.value, found.n) == (successes / n, n)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert found == i.wilson_interval(successes, n)


@pytest.mark.parametrize(("hits", "n"), [(1, 100), (3, 10), (5, 40), (99, 100)])
def test_the_interval_of_few_hits_is_widened_to_the_exact_one_sided_bound(hits: int, n: int) -> None:
    wilson = scipy.stats.binomtest(hits, n).proportion_ci(method="wilson")
    least = scipy.stats.binomtest(hits, n, alternative="greater").proportion_ci(method="exact").low
    most = scipy.stats.binomtest(hits, n, alternative="less").proportion_ci(method="exact").high
    found = i.rate_interval(hits, n)
    assert (found.low, found.high) == pytest.approx((min(wilson.low, least), max(wilson.high, most)), abs=1e-9)
    assert (found.low, found.high) != pytest.approx((wilson.low, wilson.high), abs=1e-5)


def test_intervals_of_many_rates_are_those_of_each() -> None:
    hits, n, squares = [0.0, 3.0, 7.5, 20.0, 0.0], [0.0, 9.0, 30.0, 20.0, 12.0], [0.0, 9.0, 41.0, 33.0, 12.0]
    assert i.rate_intervals(hits, n) == [i.rate_interval(*each) for each in zip(hits, n, strict=True)]
    assert i.rate_intervals(hits, n, squares) == [i.rate_interval(*each) for each in zip(hits, n, squares, strict=True)]
    assert i.rate_intervals([], []) == []


@pytest.mark.parametrize("n", [10, 20, 30, 50, 100, 200, 500])
def test_a_rate_holds_at_any_rate_counted_exactly(n: int) -> None:
    rates = np.concatenate([np.geomspace(0.01 / n, 0.5, 400), [0.01, 0.05, 0.2, 0.5]])
    chances = scipy.stats.binom.pmf(np.arange(n + 1)[:, None], n, rates)

    def held(of: object) -> np.ndarray:
        ends = np.array([(each.low, each.high) for each in map(of, range(n + 1))])
        return (chances * ((ends[:, :1] <= rates + 1e-12) & (rates - 1e-12 <= ends[:, 1:]))).sum(0)

    ours, wilson = held(lambda k: i.rate_interval(k, n)), held(lambda k: i.wilson_interval(k, n))
    assert ours.min() > 0.923 and (ours < 0.93).mean() < 0.02
    assert ours[rates * n >= 10].max(initial=0.0) < 0.98
    assert wilson.min() < 0.91


def test_the_interval_of_a_mean_equals_students() -> None:
    values = np.random.default_rng(0).exponential(size=40)
    expected = scipy.stats.ttest_1samp(values, 0).confidence_interval()
    found = i.mean_interval(moments(values))
    assert (found.value, found.low, found.high) == pytest.approx((values.mean(), expected.low, expected.high), rel=1e-9)


def test_the_newcombe_interval_equals_the_example_of_the_paper() -> None:
    found = di.rate_difference_interval(56, 70, 48, 80)  # Newcombe 1998, table II, case a, method 10: 0.0524 to 0.3339
    assert (found.low, found.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)


@pytest.mark.parametrize(("a", "n", "b", "m"), [(36, 40, 16, 80), (5, 50, 9, 60), (0, 30, 4, 40), (40, 40, 20, 40)])
def test_koopman_inverts_the_score_test(a: int, n: int, b: int, m: int) -> None:
    """At each end of the interval, Koopman's χ² with the restricted maximum (found here on a grid) equals the 95 % point."""
    found = di.rate_ratio_interval(a, n, b, m)
    assert found.value == pytest.approx(a / n / (b / m))
    for end in (found.low, found.high):
        assert end is not None
        if end == 0:
            continue
        p_b = np.linspace(1e-6, min(1, 1 / end) - 1e-6, 400_001)
        likelihood = a * np.log(p_b * end) + (n - a) * np.log1p(-p_b * end) + b * np.log(p_b) + (m - b) * np.log1p(-p_b)
        best = p_b[np.argmax(likelihood)]
        p_a = best * end
        square = (a - n * p_a) ** 2 / (n * p_a * (1 - p_a)) + (b - m * best) ** 2 / (m * best * (1 - best))
        assert square == pytest.approx(3.8415, abs=0.02)


def test_the_koopman_interval_equals_the_example_of_the_paper() -> None:
    found = di.rate_ratio_interval(36, 40, 16, 80)  # Koopman 1984: 2.94 to 7.15
    assert (found.low, found.high) == pytest.approx((2.94, 7.15), abs=0.01)
    nothing = di.rate_ratio_interval(3, 10, 0, 10)
    assert nothing.value is None and nothing.high is None and nothing.low is not None and nothing.low > 0


def test_the_interval_of_a_poisson_rate_equals_garwoods() -> None:
    for count in (0, 1, 7, 200):
        found = i.poisson_rate_interval(count, 2.0)
        low = scipy.stats.chi2.ppf(0.025, 2 * count) / 4 if count else 0
        assert (found.low, found.high) == pytest.approx((low, scipy.stats.chi2.ppf(0.975, 2 * count + 2) / 4))
        assert found.value == count / 2


def test_the_interval_of_a_paired_rate_difference_equals_that_of_bonett_and_price() -> None:
    p, q = 16 / 102, 6 / 102  # of 100 rows, 15 only in a and 5 only in b
    half = 1.959964 * math.sqrt((p + q - (p - q) ** 2) / 102)
    found = di.paired_rate_difference_interval(15, 5, 100)
    assert (found.value, found.low, found.high) == pytest.approx((0.1, p - q - half, p - q + half), abs=1e-6)


def raw_delong(positive: np.ndarray, negative: np.ndarray) -> tuple[float, float]:
    wins = (positive[:, None] > negative[None, :]) + 0.5 * (positive[:, None] == negative[None, :])
    return float(wins.mean()), wins.mean(1).var(ddof=1) / len(positive) + wins.mean(0).var(ddof=1) / len(negative)


@settings(max_examples=repeats(30, 80), deadline=None)
@given(st.lists(st.integers(0, 9), min_size=2, max_size=40), st.lists(st.integers(0, 9), min_size=2, max_size=40))
def test_delong_from_bins_is_delong_on_rows(positive: list[int], negative: list[int]) -> None:
    counts = [np.bincount(side, minlength=10) for side in (positive, negative)]
    assert si.delong_auc(*counts) == pytest.approx(raw_delong(np.array(positive), np.array(negative)), abs=1e-12)
    found = si.auc_interval(*counts)
    assert found.low is not None and found.high is not None and ordered(found) and found.low >= 0 and found.high <= 1
    assert found.low < found.high, "even a perfect separation of a few rows is not certain"


def test_the_auc_interval_uses_effective_rows_and_is_none_for_too_few() -> None:
    positive, negative = np.array([1.0, 4, 9, 6]), np.array([8.0, 7, 3, 1])
    plain, same = si.auc_interval(positive, negative), si.auc_interval(positive * 2, negative * 2, 80.0, 76.0)
    assert (same.value, same.low, same.high, same.n) == pytest.approx((plain.value, plain.low, plain.high, plain.n))
    assert si.auc_interval([0, 1], [5, 5]) == Interval(0.75, None, None, 11)
    assert si.auc_interval([0, 0], [5, 5]).value is None and si.auc_interval([], []).n == 0


def test_f1_is_the_transformed_jaccard_share() -> None:
    found, share = si.f1_interval(30, 10, 20), i.rate_interval(30, 60)
    assert found.value == pytest.approx(2 * 30 / (2 * 30 + 30)) and share.low is not None
    assert found.low == pytest.approx(2 * share.low / (1 + share.low))
    assert si.f1_interval(0, 0, 0).value is None


def test_the_interval_of_the_rmse_uses_the_delta_method() -> None:
    squares = np.random.default_rng(3).normal(0, 3, 400) ** 2
    found = si.rmse_interval(moments(squares))
    half = float(scipy.stats.t.ppf(0.975, 40)) * squares.std(ddof=1) / math.sqrt(400) / (2 * squares.mean())
    root = math.sqrt(squares.mean())
    assert (found.value, found.low, found.high) == pytest.approx((root, root * math.exp(-half), root * math.exp(half)), rel=1e-6)
    assert si.rmse_interval(Moments(5, 0, 0)) == Interval(0, 0, 0, 5)


def test_the_macro_average_of_classes_has_an_interval_unless_a_class_is_unknown() -> None:
    parts = [i.rate_interval(8, 10), i.rate_interval(40, 50), i.rate_interval(1, 4)]
    found = si.macro_average_interval(parts)
    assert found.value == pytest.approx((0.8 + 0.8 + 0.25) / 3) and ordered(found) and found.n == 64
    assert si.macro_average_interval([*parts, i.rate_interval(0, 0)]).value is None and si.macro_average_interval([]).value is None


def test_without_observations_an_interval_is_none() -> None:
    none = Moments(0, 0, 0)
    some = Moments(9, 3, 4)
    for found in (
        i.rate_interval(0, 0),
        i.mean_interval(none),
        di.rate_difference_interval(0, 0, 3, 5),
        di.rate_ratio_interval(1, 2, 0, 0),
        di.rate_ratio_interval(0, 2, 0, 4),
        di.paired_rate_difference_interval(0, 0, 0),
        i.poisson_rate_interval(0, 0),
        si.average_precision_interval(None, 0),
        si.rmse_interval(none),
        si.r2_interval(none, none),
        si.r2_interval(some, Moments(9, 9, 9)),
    ):
        assert found.value is None and found.low is None and found.high is None
    one = i.mean_interval(Moments(1, 5, 25))
    assert one == Interval(5, None, None, 1)


@settings(max_examples=repeats(66, 200), deadline=None)
@given(COUNT, COUNT, COUNT, COUNT, st.floats(0.5, 0.999))
def test_intervals_of_counts_are_ordered_and_bounded(a: int, b: int, c: int, d: int, confidence: float) -> None:
    n, m = a + b, c + d
    rate = i.rate_interval(a, n, confidence=confidence)
    if n:
        assert rate.low is not None and rate.high is not None and 0 <= rate.low <= rate.high <= 1
    for found in (
        rate,
        di.rate_difference_interval(a, n, c, m, confidence=confidence),
        di.rate_ratio_interval(a, n, c, m, confidence=confidence),
        di.paired_rate_difference_interval(a, b, n + m, confidence),
        si.f1_interval(a, b, c, confidence),
        i.poisson_rate_interval(a, 3.0, confidence),
        si.average_precision_interval(a / n if n else None, n, confidence),
    ):
        assert ordered(found)
    if a and c:
        forth, back = di.rate_ratio_interval(a, n, c, m, confidence=confidence), di.rate_ratio_interval(c, m, a, n, confidence=confidence)
        assert forth.low is not None and back.high is not None
        assert forth.low == pytest.approx(1 / back.high, rel=1e-6)


@settings(max_examples=repeats(50, 150), deadline=None)
@given(WEIGHTED, WEIGHTED)
def test_intervals_of_weighted_means_are_ordered(a: list[tuple[float, float]], b: list[tuple[float, float]]) -> None:
    sides = [moments(np.array([x for x, _ in rows]), np.array([w for _, w in rows])) for rows in (a, b)]
    squared = [moments(np.array([x * x for x, _ in rows]), np.array([w for _, w in rows])) for rows in (a, b)]
    for found in (i.mean_interval(sides[0]), si.rmse_interval(squared[0]), si.r2_interval(squared[0], sides[0])):
        assert ordered(found)
    assert sides[0].effective_n <= len(a) + 1e-9


@settings(max_examples=repeats(30, 60), deadline=None)
@given(st.lists(st.floats(-100, 100), min_size=3, max_size=30), st.floats(0.1, 10))
def test_equal_weights_give_the_same_interval_as_no_weights(values: list[float], weight: float) -> None:
    array = np.array(values)
    assume(array.std() > 1e-3)
    plain, weighted = i.mean_interval(moments(array)), i.mean_interval(moments(array, np.full(len(values), weight)))
    np.testing.assert_allclose(astuple(plain), astuple(weighted), rtol=1e-6, atol=1e-9)
    k, n = len(values) // 2, len(values)
    a, b = i.rate_interval(k, n), i.rate_interval(weight * k, weight * n, weight**2 * n)
    np.testing.assert_allclose(astuple(a), astuple(b), rtol=1e-9)


def coverage(draw, truth: float, seed: int, repeats: int = 300) -> float:
    rng = np.random.default_rng(seed)
    hits = 0
    for _ in range(repeats):
        found = draw(rng)
        assert found.low is not None and found.high is not None
        hits += found.low <= truth <= found.high
    return hits / repeats


def test_intervals_of_rates_and_means_cover_the_truth() -> None:
    assert 0.92 <= coverage(lambda rng: i.rate_interval(rng.binomial(60, 0.1), 60), 0.1, 1) <= 0.99
    assert 0.92 <= coverage(lambda rng: i.mean_interval(moments(rng.normal(3, 2, 15))), 3.0, 2) <= 0.98

    def weighted(rng: np.random.Generator) -> Interval:
        weights = rng.choice([1.0, 10.0], 200)
        return i.mean_interval(moments(rng.normal(3, 2, 200), weights))

    assert 0.92 <= coverage(weighted, 3.0, 3) <= 0.98


def test_intervals_of_the_auc_cover_the_truth() -> None:
    def one(rng: np.random.Generator) -> Interval:
        sides = (np.clip(np.round(rng.normal(mean, 1, size) * 20 + 100), 0, 250).astype(int) for mean, size in ((1.2, 40), (0, 120)))
        return si.auc_interval(*(np.bincount(side, minlength=251) for side in sides))

    assert 0.91 <= coverage(one, float(scipy.stats.norm.cdf(1.2 / math.sqrt(2))), 4) <= 0.985


def test_intervals_of_rmse_and_r2_cover_the_truth() -> None:
    def rmse(rng: np.random.Generator) -> Interval:
        return si.rmse_interval(moments(rng.standard_t(8, 300) ** 2))

    assert 0.9 <= coverage(rmse, math.sqrt(8 / 6), 5) <= 0.98

    def r2(rng: np.random.Generator) -> Interval:
        signal, noise = rng.normal(0, 2, 300), rng.normal(0, 1, 300)
        return si.r2_interval(moments(noise**2), moments(signal + noise))

    assert 0.92 <= coverage(r2, 0.8, 6)


def test_intervals_of_f1_cover_the_truth() -> None:
    def one(rng: np.random.Generator) -> Interval:
        tp, fp, fn, _ = rng.multinomial(400, [0.1, 0.04, 0.06, 0.8])
        return si.f1_interval(tp, fp, fn)

    assert 0.92 <= coverage(one, 2 * 0.1 / (0.2 + 0.1), 7) <= 0.99


def test_equal_numbers_do_not_vary_whichever_way_they_are_summed() -> None:
    """The rounding error in a sum of equal numbers must not count as variance; a small real variance must."""
    value = -math.log(0.4)
    one_by_one = sum(value**2 for _ in range(48))
    for squares in (48 * value**2, one_by_one, one_by_one * (1 + 4e-16)):
        assert Moments(48, 48 * value, squares).variance == 0
    times = 1.7e9 + np.arange(50.0)
    found = Moments(50, float(times.sum()), float((times**2).sum()), None).variance
    assert found == 0 or found == pytest.approx(times.var(ddof=1), rel=0.5)
    amounts = 1e5 + np.arange(50.0)
    assert Moments(50, float(amounts.sum()), float((amounts**2).sum())).variance == pytest.approx(amounts.var(ddof=1), rel=1e-3)
