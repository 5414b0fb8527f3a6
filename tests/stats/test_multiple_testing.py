"""The false discovery rate is controlled."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from observability.stats.multiple_testing import benjamini_hochberg, fdr_per_look
from tests.support.length import repeats


@settings(max_examples=repeats(33, 100), deadline=None)
@given(st.lists(st.floats(0, 1), max_size=40), st.integers(0, 5))
def test_adjusted_p_values_equal_those_of_scipy_and_nan_counts_as_no_test(p_values: list[float], unknown: int) -> None:
    mixed = np.array([*p_values, *[np.nan] * unknown])
    order = np.random.default_rng(unknown).permutation(mixed.size)
    adjusted, rejected = benjamini_hochberg(mixed[order], 0.1)
    expected = np.full(mixed.size, np.nan)
    if p_values:
        expected[: len(p_values)] = scipy.stats.false_discovery_control(p_values)
    np.testing.assert_allclose(adjusted, expected[order], rtol=1e-9, atol=1e-15)
    np.testing.assert_array_equal(rejected, np.nan_to_num(adjusted, nan=1.0) <= 0.1)


def test_the_number_of_rejections_equals_the_example_of_the_paper() -> None:
    p = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0]
    assert benjamini_hochberg(p, 0.05)[1].sum() == 4


def test_a_clean_week_raises_a_finding_at_most_as_often_as_q() -> None:
    rng = np.random.default_rng(3)
    level = fdr_per_look(0.1, runs=7, windows=3)
    assert level == pytest.approx(0.1 / 21)
    weeks = [any(benjamini_hochberg(rng.random(25), level)[1].any() for _ in range(21)) for _ in range(400)]
    assert np.mean(weeks) < 0.14
    with pytest.raises(ValueError, match="at least 1"):
        fdr_per_look(0.1, 0)
