import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from observability.stats import counting
from observability.stats.counting import compiled_counting_loop, count_bins, fine_plan
from observability.stats.edges import numeric_edges
from tests.support.length import repeats

ALL = st.floats(allow_nan=True, allow_infinity=True)
EDGES = st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=40, unique=True).map(sorted)


def by_hand(values, edges, valid, groups, size):
    """The same counts, computed with numpy's search one row at a time."""
    n = np.zeros((size, len(edges) + 3), np.int64)
    for value, ok, group in zip(values, valid, groups):
        if group >= 0:
            n[group, 1 if not ok else 0 if np.isnan(value) else 2 + np.searchsorted(edges, value, side="right")] += 1
    return n


@pytest.fixture(autouse=True, params=["compiled", "numpy"])
def way(request, monkeypatch):
    """Run every test with both ways of counting."""
    if request.param == "compiled":
        assert compiled_counting_loop() is not None
    else:
        monkeypatch.setattr(counting, "_loop_for", lambda size: None)


@settings(deadline=None, max_examples=repeats(50, 150))
@given(st.data())
def test_counts_equal_a_search_a_row_at_a_time(data):
    edges = data.draw(EDGES)
    drawn = arrays(np.float64, 30, elements=st.one_of(ALL, st.sampled_from(edges or [0.0])))
    values, valid = data.draw(drawn), data.draw(arrays(np.bool_, 30))
    groups = data.draw(arrays(np.int64, 30, elements=st.integers(-1, 2)))
    plan = fine_plan(tuple(edges))
    assert (count_bins(values, plan, valid, groups, 3) == by_hand(values, edges, valid, groups, 3)).all()
    assert (count_bins(values, plan) == by_hand(values, edges, np.ones(30, bool), np.zeros(30, int), 1)).all()


@pytest.mark.parametrize("seed", range(4))
def test_counts_on_edges_as_registering_makes_them(seed):
    random = np.random.default_rng(seed)
    shapes = [
        random.normal(size=5000),
        np.exp(3 * random.normal(size=5000)),
        np.round(random.normal(size=5000), 1),
        random.integers(0, 3, 5000) * 1.0,
    ]
    reference = shapes[seed]
    edges = numeric_edges(reference).edges
    values = np.concatenate([reference, edges, np.nextafter(edges, -np.inf), [np.inf, -np.inf, np.nan, 1e300]])
    wanted = by_hand(values, edges, np.ones(values.size, bool), np.zeros(values.size, int), 1)
    assert (count_bins(values, fine_plan(tuple(edges.tolist()))) == wanted).all()


def test_no_edges_put_every_number_into_bin_0():
    assert count_bins(np.array([1.0, -np.inf, np.nan]), fine_plan(())).tolist() == [[1, 0, 2]]
