"""The compiled loop, numpy's search and a plain count give the same bins for any values and edges."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from observability.stats import binning
from observability.stats.binning import bin_numbers, bin_plan, histogram_columns, histogram_numbers
from observability.stats.edges import numeric_edges
from tests.support.length import repeats

FLOATS = st.floats(allow_nan=True, allow_infinity=True)
FINITE = st.floats(allow_nan=False, allow_infinity=False)


@pytest.fixture(params=["compiled", "numpy"], scope="module")
def engine(request: pytest.FixtureRequest):
    """Run a test with each way of counting, whatever the size of the block."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "numpy":
            patch.setattr(binning, "compiled_bin_loops", lambda size: None)
        else:
            assert binning.load_compiled_loops() is not None, "numba is installed, so its loop must load"
            patch.setattr(binning, "compiled_bin_loops", lambda size: binning.load_compiled_loops())
        yield request.param


def plain_codes(values: np.ndarray, edges: np.ndarray, valid: np.ndarray | None) -> list[int]:
    codes = []
    for i, x in enumerate(values):
        if valid is not None and not valid[i]:
            codes.append(-1)
        else:
            codes.append(-2 if np.isnan(x) else sum(bool(edge <= x) for edge in edges))
    return codes


@settings(max_examples=repeats(50, 150), deadline=None)
@given(st.lists(FLOATS, max_size=40), st.lists(FINITE, max_size=60, unique=True), st.booleans(), st.randoms(use_true_random=False))
def test_codes_equal_a_plain_count(engine, values, edges, masked, random) -> None:
    edges = np.unique(np.array(edges, float))
    with np.errstate(over="ignore"):
        array = np.array(values + list(edges) + list(np.nextafter(edges, -np.inf)), float)
    valid = np.array([random.random() < 0.7 for _ in array], bool) if masked else None
    codes = bin_numbers(array, edges, valid)
    assert codes.dtype == np.int16
    assert codes.tolist() == plain_codes(array, edges, valid)


@pytest.mark.parametrize("spread", [1e-300, 1.0, 1e150])
def test_bin_codes_on_generated_edges_equal_a_plain_search(engine, spread: float) -> None:
    rng = np.random.default_rng(11)
    values = rng.standard_cauchy(5000) * spread
    edges = numeric_edges(values[:3000]).edges
    np.testing.assert_array_equal(bin_numbers(values, edges), np.searchsorted(edges, values, side="right"))


def test_infinities_nulls_and_nans_are_binned_and_counted_separately(engine) -> None:
    values, valid = np.array([-np.inf, 0.5, 1.0, 2.0, np.inf, np.nan, np.nan]), np.array([1, 1, 1, 1, 1, 1, 0], bool)
    assert bin_numbers(values, [1.0, 2.0], valid).tolist() == [0, 0, 1, 2, 2, -2, -1]
    found = histogram_numbers(values, [1.0, 2.0], valid=valid)
    assert found.n.tolist() == [1, 1, 2, 1, 2] and found.counts.tolist() == [2, 1, 2]
    assert (found.nulls, found.nans, found.total, found.squares, found.low, found.high) == (1, 1, 3.5, 5.25, 0.5, 2.0)


def test_weights_and_groups_equal_masks(engine) -> None:
    rng = np.random.default_rng(1)
    values, weights, groups = rng.normal(size=3000), rng.exponential(size=3000), rng.integers(-1, 4, 3000)
    values[::17], valid = np.nan, rng.random(3000) < 0.9
    edges = numeric_edges(values).edges
    found = histogram_numbers(values, edges, weights, valid, groups, 5)
    assert found.n.shape == (5, edges.size + 3) and found.n[4].sum() == 0 and found.low[4] == np.inf
    assert found.n.sum() == np.sum(groups >= 0)
    for group in range(4):
        rows = groups == group
        alone = histogram_numbers(values[rows], edges, weights[rows], valid[rows])
        np.testing.assert_array_equal(found.n[group], alone.n)
        assert found.w is not None and found.w2 is not None
        np.testing.assert_allclose(found.w[group], alone.w, rtol=1e-12)
        np.testing.assert_allclose(found.w2[group], alone.w2, rtol=1e-12)
        x, w = values[rows & valid], weights[rows & valid]
        w, x = w[~np.isnan(x)], x[~np.isnan(x)]
        np.testing.assert_allclose(
            [found.total[group], found.squares[group], found.low[group], found.high[group]],
            [np.sum(w * x), np.sum(w * x**2), x.min(), x.max()],
            rtol=1e-9,
        )
        assert found.w[group].sum() == pytest.approx(weights[rows].sum())


def test_weights_of_one_equal_no_weights(engine) -> None:
    values = np.random.default_rng(0).normal(size=500)
    plain, weighted = histogram_numbers(values, [-1, 0, 1]), histogram_numbers(values, [-1, 0, 1], np.ones(500))
    assert plain.w is None and weighted.w is not None
    np.testing.assert_array_equal(plain.n, weighted.w)
    np.testing.assert_array_equal(plain.n, weighted.w2)


def test_columns_counted_in_threads_equal_columns_counted_one_by_one(engine) -> None:
    rng = np.random.default_rng(6)
    columns = [(rng.normal(size=2000), rng.random(2000) < 0.8, bin_plan(np.linspace(-2, 2, 20 + i))) for i in range(6)]
    for together, (values, valid, plan) in zip(histogram_columns(columns, threads=2), columns, strict=True):
        np.testing.assert_array_equal(together.n, histogram_numbers(values, plan, valid=valid).n)
    assert histogram_columns([]) == []


def test_empty_columns_and_other_dtypes_are_binned(engine) -> None:
    assert histogram_numbers([], [0.0, 1.0]).n.tolist() == [0] * 5
    assert bin_numbers(np.array([1, 2, 3]), []).tolist() == [0, 0, 0]
    assert bin_numbers(np.array([1, 2, 3], np.int32), [2]).tolist() == [0, 1, 1]
    assert bin_numbers(np.array([True, False]), [1.0]).tolist() == [1, 0]
    assert histogram_numbers([], [], groups=np.empty(0, int), group_count=2).n.shape == (2, 3)


@pytest.mark.parametrize("edges", [[1.0, 1.0], [2.0, 1.0], [np.nan], [0.0, np.inf]])
def test_wrong_edges_are_refused(edges: list[float]) -> None:
    with pytest.raises(ValueError, match="strictly increasing"):
        bin_plan(edges)


def test_a_mask_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="3 values and 2"):
        bin_numbers([1, 2, 3], [0.0], [True, False])


def test_small_blocks_do_not_load_numba() -> None:
    import subprocess
    import sys

    code = (
        "import sys, numpy as np\n"
        "from observability.stats import binning, edges, distance, interval, confusion, scores, change, multiple_testing, quantile\n"
        "binning.histogram_numbers(np.arange(1000.0), [5.0])\nprint([m for m in ('numba', 'scipy.stats', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_without_numba_it_still_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "observability.stats.binning_compiled", None)
    monkeypatch.delattr("observability.stats.binning_compiled", raising=False)
    binning.load_compiled_loops.cache_clear()
    values = np.random.default_rng(0).normal(size=binning.COMPILE_FROM)
    assert binning.compiled_bin_loops(values.size) is None
    assert histogram_numbers(values, [0.0]).counts.tolist() == [int((values < 0).sum()), int((values >= 0).sum())]
    binning.load_compiled_loops.cache_clear()
