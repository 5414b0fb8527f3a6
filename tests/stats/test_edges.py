"""Edges keep their invariants for any reference, and distances computed from binned counts equal those of the raw values."""

import itertools

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from observability.stats.binning import histogram_numbers
from observability.stats.distance import kolmogorov_smirnov_distances, merge_bins, psi, wasserstein_distances
from observability.stats.edges import atom_bins, category_levels, next_float, numeric_edges
from tests.support.length import repeats

N = 200_000


def pair(kind: str) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    match kind:
        case "normal":
            return rng.normal(size=N), rng.normal(0.1, 1.1, N)
        case "exponential":
            return rng.exponential(size=N), rng.exponential(1.1, N)
        case "lognormal":
            return rng.lognormal(size=N), rng.lognormal(0.1, 1, N)
        case "counts":
            return rng.poisson(40, N) * 1.0, rng.poisson(41, N) * 1.0
        case "minutes":
            return np.round(rng.standard_t(3, N) * 20), np.round(rng.standard_t(3, N) * 22 + 5)
        case "large integers":
            return np.floor(rng.lognormal(5, 1, N)), np.floor(rng.lognormal(5.1, 1, N))
        case "zero-inflated":
            return (np.where(rng.random(N) < share, 0, rng.exponential(size=N)) for share in (0.6, 0.5))
        case _:
            return rng.integers(0, 2, N) * 1.0, (rng.random(N) < 0.45) * 1.0


KINDS = ["normal", "exponential", "lognormal", "counts", "minutes", "large integers", "zero-inflated", "two-valued"]


@pytest.mark.parametrize("kind", KINDS)
def test_distances_from_counts_are_those_of_the_raw_values(kind: str) -> None:
    reference, current = pair(kind)
    made = numeric_edges(reference)
    a, b = (histogram_numbers(values, made.edges).counts for values in (reference, current))
    assert made.edges.size <= 220
    assert kolmogorov_smirnov_distances(a, b) == pytest.approx(scipy.stats.ks_2samp(reference, current).statistic, abs=5e-4)
    clipped = [np.clip(values, made.low, made.high) for values in (reference, current)]
    assert made.scale == pytest.approx(np.std(clipped[0]), rel=1e-12)
    raw = scipy.stats.wasserstein_distance(*clipped) / made.scale
    assert wasserstein_distances([a], [b], [made.edges], [made.scale], [(made.low, made.high)])[0] == pytest.approx(raw, abs=5e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_psi_on_decile_groups_is_exact(kind: str) -> None:
    reference, current = pair(kind)
    made = numeric_edges(reference)
    a, b = (merge_bins(histogram_numbers(values, made.edges).counts, made.deciles) for values in (reference, current))
    cuts = set(np.quantile(reference, np.arange(1, 10) / 10, method="higher"))
    distinct, times = np.unique(reference, return_counts=True)
    for value in distinct[times >= N / 10]:  # values as frequent as a decile get their own bin
        cuts |= {value, next_float(value)}
    p, q = (np.bincount(np.searchsorted(sorted(cuts), x, side="right"), minlength=len(cuts) + 1) / N for x in (reference, current))
    p, q = np.maximum(p, 1e-4), np.maximum(q, 1e-4)
    assert psi(a, b) == pytest.approx(np.sum((q - p) * np.log(q / p)), abs=1e-12)
    assert psi(a, a) == 0


def test_mass_that_leaves_an_atom_is_seen_from_both_sides() -> None:
    rng = np.random.default_rng(3)
    reference = np.where(rng.random(20_000) < 0.4, 0.0, rng.normal(size=20_000))
    made = numeric_edges(reference)
    counts = merge_bins(made.counts, made.deciles)
    for shift in (-1e-9, 1e-9):
        moved = np.where(reference == 0, shift, reference)
        assert psi(counts, merge_bins(histogram_numbers(moved, made.edges).counts, made.deciles)) > 1


def test_deciles_hold_a_tenth_each() -> None:
    made = numeric_edges(np.random.default_rng(0).normal(size=10_000))
    np.testing.assert_array_equal(merge_bins(made.counts, made.deciles), np.full(10, 1000))


@pytest.mark.parametrize(
    "values",
    [
        [5.0],
        [5.0] * 9,
        [0.0] * 3,
        [0, 1],
        [0, 1] * 50,
        [1e300, -1e300] * 30,
        [1.7976931348623157e308, -1.7976931348623157e308],
        [5e-324, 0, -5e-324],
        list(range(300)),
        [0] * 500 + [1],
        [np.nan, 2, np.inf, -np.inf, 3, 3],
    ],
)
def test_edges_of_special_values_keep_their_guarantees(values: list[float]) -> None:
    check(np.array(values, float))


@settings(max_examples=repeats(50, 150), deadline=None)
@given(st.lists(st.one_of(st.floats(allow_nan=True), st.integers(-5, 5).map(float)), max_size=200), st.integers(1, 30))
def test_edges_of_any_reference_keep_their_guarantees(values: list[float], repeat: int) -> None:
    check(np.array(values * repeat, float))


def check(values: np.ndarray) -> None:
    made = numeric_edges(values)
    finite = values[np.isfinite(values)]
    assert made.n == finite.size
    assert np.isfinite(made.edges).all()
    if not finite.size:
        assert made.edges.size == made.deciles.size == made.positions.size == made.counts.size == 0
        assert made.low is made.high is made.scale is None
        return
    assert (np.diff(made.edges) > 0).all()
    bins = made.edges.size + 1
    assert made.deciles.size == made.positions.size == made.counts.size == bins
    assert made.edges[0] == finite.min() and made.edges[-1] == next_float(finite.max())
    assert made.counts.sum() == finite.size and made.counts[0] == 0
    np.testing.assert_array_equal(histogram_numbers(finite, made.edges).counts, made.counts)
    assert (np.diff(made.deciles) >= 0).all() and made.deciles[0] == 0
    assert made.low is not None and made.high is not None and finite.min() <= made.low <= made.high <= finite.max()
    assert made.scale is not None and made.scale >= 0 and np.isfinite(made.scale)
    assert (np.diff(made.positions) >= 0).all()
    for atom in made.atoms:
        assert atom in made.edges and next_float(atom) in made.edges


def test_the_position_of_a_bin_is_the_mean_of_its_values() -> None:
    values = np.random.default_rng(5).lognormal(size=3000)
    made = numeric_edges(values)
    codes = np.searchsorted(made.edges, values, side="right")
    for bin_number in np.unique(codes):
        assert made.positions[bin_number] == pytest.approx(values[codes == bin_number].mean(), rel=1e-12)
    assert made.positions[0] == values.min()


def test_atoms_are_zero_the_mode_and_heavy_values() -> None:
    rng = np.random.default_rng(2)
    values = np.concatenate([rng.normal(size=10_000), np.full(300, 1.5), np.full(30, -0.25), [0.0]])
    made = numeric_edges(values)
    assert made.atoms == (0.0, 1.5)
    mask = atom_bins(made.edges)
    assert mask.size == made.edges.size + 1
    singles = {float(made.edges[i - 1]) for i in np.flatnonzero(mask)}
    assert {0.0, 1.5} <= singles
    assert atom_bins([]).size == 0
    odd = np.array([-1.7e308, -1.0, next_float(-1.0), -1e-310, 0.0, next_float(0.0), 2.0, next_float(2.0), 3.0, 1.7976931348623157e308])
    assert atom_bins(odd).tolist() == [False, *(next_float(a) >= b for a, b in itertools.pairwise(odd)), False]


def test_one_outlier_moves_neither_scale_nor_width() -> None:
    values = np.random.default_rng(4).normal(size=20_000)
    plain, spoiled = numeric_edges(values), numeric_edges(np.append(values, 1e6))
    assert spoiled.scale == pytest.approx(plain.scale, rel=1e-2)
    assert np.sum((spoiled.edges > -2) & (spoiled.edges < 2)) > 80


def test_category_levels_are_the_most_frequent_values_up_to_the_limit() -> None:
    made = category_levels(["b", "a", "b", None, float("nan"), "c", "a", "d"], limit=3)
    assert made.levels == ("a", "b", "c") and made.counts == (2, 2, 1)
    assert made.other == 1 and made.n == 6
    assert category_levels([True, False, np.True_, 3]).levels == ("true", "3", "false")
    assert category_levels([]).levels == () and category_levels([None]).n == 0


def test_one_isolated_row_in_five_thousand_does_not_widen_the_range() -> None:
    values = np.random.default_rng(5).normal(40, 5, 4999)
    made = numeric_edges(np.append(values, [0.0]))
    assert (made.lowest, made.highest) == (values.min(), values.max())
    assert made.edges[0] == 0.0 and {made.lowest, next_float(made.highest)} <= set(made.edges)
    both = numeric_edges(np.append(values, [-900.0, 900.0]))
    assert (both.lowest, both.highest) == (values.min(), values.max())


def test_extremes_that_are_not_isolated_or_of_few_rows_belong_to_the_range() -> None:
    values = np.random.default_rng(6).normal(40, 5, 5000)
    for reference in (values, np.append(values[:400], [0.0]), np.append(values, [0.0, 0.0, 1.0]), np.repeat([1.0, 2.0], 600), [3.0]):
        made = numeric_edges(reference)
        assert (made.lowest, made.highest) == (np.min(reference), np.max(reference))
