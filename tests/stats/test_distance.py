"""Distances agree with scipy, with their formulas and with simulation."""

import math

import numpy as np
import pytest
import scipy.spatial.distance
import scipy.stats
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike

from observability.stats import distance as d
from observability.stats.edges import atom_bins, numeric_edges
from tests.support.length import repeats

P, Q = np.array([10.0, 20, 30, 40]), np.array([5.0, 0, 15, 30])
COUNTS = st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 1000)), min_size=1, max_size=30)


def wasserstein(
    before: ArrayLike, now: ArrayLike, edges: ArrayLike, scale: float | None, limits: tuple[float, float] | None = None
) -> float:
    """The Wasserstein distance of one column."""
    return float(d.wasserstein_distances([before], [now], [edges], [scale], [limits])[0])


def test_distances_of_many_rows_are_those_of_each() -> None:
    rng = np.random.default_rng(2)
    then, now = rng.integers(0, 30, (2, 40, 12)).astype(float)
    now[3] = 0
    for function in (d.jensen_shannon_distances, d.largest_share_changes, d.kolmogorov_smirnov_distances):
        found = function(then, now)
        assert found.tolist() == pytest.approx([float(function(*pair)) for pair in zip(then, now)], abs=0, nan_ok=True)
        assert np.flatnonzero(np.isnan(found)).tolist() == [3]
    edges = np.sort(rng.normal(size=(40, 11)), axis=1)
    limits = [None if place % 3 == 0 else (float(own[place % 5]), float(own[-1 - place % 4])) for place, own in enumerate(edges)]
    found = d.wasserstein_distances(then, now, edges, np.arange(40) * 1.0, limits)
    each = [wasserstein(*of) for of in zip(then, now, edges, np.arange(40) * 1.0, limits)]
    assert found.tolist() == pytest.approx(each, abs=0, nan_ok=True)
    assert np.flatnonzero(np.isnan(found)).tolist() == [0, 3]


def test_distances_equal_those_computed_by_hand() -> None:
    p, q = [0.1, 0.2, 0.3, 0.4], [0.1, 1e-4, 0.3, 0.6]
    assert d.psi(P, Q) == pytest.approx(sum((b - a) * math.log(b / a) for a, b in zip(p, q, strict=True)))
    assert d.largest_share_changes(P, Q) == pytest.approx(0.2)
    assert d.kolmogorov_smirnov_distances(P, Q) == pytest.approx(0.2)


def test_the_psi_of_many_rows_is_that_of_each() -> None:
    rows = np.random.default_rng(1).integers(0, 30, (40, P.size)).astype(float)
    rows[3] = 0
    assert d.psi_by_row(P, rows) == pytest.approx([d.psi(P, row) for row in rows], rel=1e-14, nan_ok=True)
    assert d.psi_by_row(rows[::-1], rows)[:3] == pytest.approx([d.psi(*pair) for pair in zip(rows[::-1], rows)][:3], rel=1e-14, nan_ok=True)
    assert np.isnan(d.psi_by_row(np.zeros(4), rows)).all() and np.isnan(d.psi_by_row(P, rows)[3])


def test_distances_and_psi_nulls_equal_those_of_scipy() -> None:
    assert d.jensen_shannon_distances(P, Q) == pytest.approx(scipy.spatial.distance.jensenshannon(P, Q, base=2), rel=1e-12)
    assert d.psi_null_quantile(1000, 500, 10) == pytest.approx(scipy.stats.chi2.ppf(0.95, 9) * (1 / 1000 + 1 / 500))
    assert d.psi_p_value(0.04, 1000, 500, 10) == pytest.approx(scipy.stats.chi2.sf(0.04 / 0.003, 9))


def test_p_values_of_many_psis_are_those_of_chi_squared() -> None:
    values, bins = np.array([0.0, 0.04, 0.3, np.nan, 0.1, 0.1]), np.array([10, 10, 3, 5, 1, 5])
    n, m = np.array([1000.0, 1000, 50, 80, 10, 0]), np.array([500.0, 500, 40, 90, 10, 10])
    found = d.psi_p_values(values, n, m, bins)
    assert found[:3] == pytest.approx(scipy.stats.chi2.sf(values[:3] / (1 / n[:3] + 1 / m[:3]), bins[:3] - 1))
    assert np.isnan(found[3]) and found[4] == 1 and np.isnan(found[5])


@pytest.mark.parametrize(("n", "m"), [(100, 80), (1000, 5000), (30, 100_000)])
def test_the_kolmogorov_smirnov_p_value_matches_the_level_of_its_critical_gap(n: int, m: int) -> None:
    for level in (0.5, 0.1, 0.01, 0.001):
        gap = scipy.stats.kstwo.isf(level, round(n * m / (n + m)))
        assert d.kolmogorov_smirnov_p_values(gap, n, m) == pytest.approx(level, rel=0.12)


def test_wasserstein_equals_scipy_on_atoms_and_by_hand() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.poisson(3, 5000) * 1.0, rng.poisson(4, 4000) * 1.0
    made = numeric_edges(a)
    codes = [np.bincount(np.searchsorted(made.edges, x, side="right"), minlength=made.edges.size + 1) for x in (a, b)]
    clipped = [np.clip(x, made.edges[0], made.edges[-1]) for x in (a, b)]
    assert wasserstein(*codes, made.edges, 2.0) == pytest.approx(scipy.stats.wasserstein_distance(*clipped) / 2, rel=1e-9)
    # all mass moves from the middle of [0, 1) to the middle of [2, 3), which is two units
    assert wasserstein([0, 1, 0, 0, 0], [0, 0, 0, 1, 0], [0, 1, 2, 3], 1.0) == pytest.approx(2.0)
    # values beyond the winsorising limits are moved to the limits, values beyond the outer edge to that edge
    assert wasserstein([0, 1, 0, 0, 0], [0, 0, 0, 1, 0], [0, 1, 2, 3], 1.0, (1.0, 2.0)) == pytest.approx(1.0)
    assert wasserstein([0, 1, 0], [0, 0, 1], [0, 1], 1.0) == pytest.approx(0.5)
    # the distribution functions cross inside a bin
    assert wasserstein([0, 2, 0, 0], [1, 0, 1, 0], [0, 1, 2], 1.0) == pytest.approx(0.25 + 0.25)


def test_one_outlier_does_not_move_the_winsorised_distance() -> None:
    rng = np.random.default_rng(1)
    reference, current = rng.normal(size=20_000), np.append(rng.normal(0.24, 1, 20_000), 1e9)
    made = numeric_edges(reference)
    counts = np.bincount(np.searchsorted(made.edges, current, side="right"), minlength=made.edges.size + 1)
    assert made.low is not None and made.high is not None
    assert wasserstein(made.counts, counts, made.edges, made.scale, (made.low, made.high)) == pytest.approx(0.24, abs=0.03)


def test_distances_of_empty_counts_are_nan() -> None:
    empty = np.zeros(4)
    for function in (d.psi, d.jensen_shannon_distances, d.largest_share_changes, d.kolmogorov_smirnov_distances):
        assert math.isnan(function(P, empty)) and math.isnan(function(empty, P))
    assert math.isnan(d.psi([], []))
    assert math.isnan(wasserstein(P, P, [1, 2, 3], 0.0)) and math.isnan(wasserstein(P, 0 * P, [1, 2, 3], 1.0))
    assert math.isnan(wasserstein([1], [1], [], 1.0))
    assert math.isnan(d.psi_p_value(0.1, 0, 10, 5)) and math.isnan(d.psi_null_quantile(10, 0, 5))
    assert math.isnan(d.kolmogorov_smirnov_p_values(0.1, 0, 5))
    assert d.psi_null_quantile(10, 10, 1) == 0 and d.psi_p_value(0.1, 10, 10, 1) == 1


@settings(max_examples=repeats(50, 150), deadline=None)
@given(COUNTS)
def test_distances_are_bounded_symmetric_and_independent_of_scale(pairs: list[tuple[int, int]]) -> None:
    a, b = np.array(pairs, float).T
    assume(a.sum() > 0 and b.sum() > 0)
    for function in (d.jensen_shannon_distances, d.largest_share_changes, d.kolmogorov_smirnov_distances):
        assert 0 <= function(a, b) <= 1
        assert function(a, a) == pytest.approx(0, abs=1e-7)
        assert function(b, a) == pytest.approx(function(a, b), abs=1e-7)
    for function in (d.psi, d.jensen_shannon_distances, d.largest_share_changes, d.kolmogorov_smirnov_distances):
        assert function(a * 3, b * 7) == pytest.approx(function(a, b), abs=1e-7)
    assert d.psi(a, b) >= 0 and d.psi(a, a) == 0


@settings(max_examples=repeats(33, 100), deadline=None)
@given(st.lists(st.integers(0, 50), min_size=2, max_size=40), st.integers(1, 25), st.randoms(use_true_random=False))
def test_coarsening_keeps_totals_and_protected_bins_and_raises_no_distance(counts: list[int], target: int, random) -> None:
    protected = np.array([random.random() < 0.2 for _ in counts], bool)
    group = d.coarsen_bins(counts, target, protected)
    assert group[0] == 0 and set(np.diff(group)) <= {0, 1}
    assert d.merge_bins(counts, group).sum() == sum(counts)
    for i in np.flatnonzero(protected):
        if counts[i] >= sum(counts) / target / 2:
            assert (group == group[i]).sum() == 1
    other = np.roll(counts, 1)
    assume(sum(counts) > 0)
    merged = d.jensen_shannon_distances(d.merge_bins(counts, group), d.merge_bins(other, group))
    assert merged <= d.jensen_shannon_distances(counts, other) + 1e-7


def test_coarsened_groups_are_about_equal() -> None:
    made = numeric_edges(np.random.default_rng(0).lognormal(size=20_000))
    group = d.coarsen_bins(made.counts, 20, atom_bins(made.edges))
    assert 17 <= group[-1] + 1 <= 24
    merged = d.merge_bins(made.counts, group)
    assert merged.max() <= 0.08 * 20_000
    np.testing.assert_array_equal(d.merge_bins(np.stack([made.counts, 2 * made.counts]), group), np.stack([merged, 2 * merged]))


def test_the_null_of_psi_holds_in_simulation() -> None:
    rng = np.random.default_rng(12)
    reference, current = rng.multinomial(1000, np.full(10, 0.1), 2000), rng.multinomial(400, np.full(10, 0.1), 2000)
    limit = d.psi_null_quantile(1000, 400, 10)
    above = np.mean([d.psi(a, b) > limit for a, b in zip(reference, current, strict=True)])
    assert 0.03 < above < 0.075
    assert d.occupied_bins([0, 1, 0, 2], [0, 0, 3, 1]) == 3
