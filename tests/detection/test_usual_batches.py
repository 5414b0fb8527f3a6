"""Figures about consecutive batches equal the sums and quantiles that they replace."""

import numpy as np
import pytest
from scipy import stats

from observability.detection.usual_batches import mean_variance_ratios, student_quantiles


@pytest.mark.parametrize("n", [1, 2, 7, 113])
def test_the_variance_of_a_mean_sums_the_correlations_of_all_lags(n):
    """The mean of n consecutive values has 1/n of the variance of one value, plus twice each correlation weighted by the share of pairs
    with this lag.
    """
    correlation = np.array([0.0, 0.3, 0.8, 0.95])
    pairs = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    expected = [np.mean(each**pairs) for each in correlation]
    np.testing.assert_allclose(mean_variance_ratios(np.full(4, n), correlation), expected, rtol=1e-12)


@pytest.mark.parametrize("freedom", [[12.0, 12.0, 12.0], [1.0, 5.0, 12.0]])
def test_student_quantiles_are_computed_for_each_column(freedom):
    """Columns with equal parameters share one computation, others have their own. No columns give an empty result."""
    shares = np.array([0.99, 0.99, 0.99 if len(set(freedom)) == 1 else 0.9995])
    np.testing.assert_allclose(student_quantiles(np.array(freedom), shares), stats.t.ppf(shares, freedom), rtol=1e-9)
    assert student_quantiles(np.empty(0), 0.99).size == 0
