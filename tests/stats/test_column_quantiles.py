"""Quantiles of many columns at once equal numpy's, column by column."""

import numpy as np

from observability.stats.column_quantiles import column_quantiles, quantiles_of_others


def test_quantiles_with_missing_values_equal_those_of_numpy() -> None:
    rng = np.random.default_rng(6)
    values = rng.normal(0, 1, (41, 30))
    values[rng.random(values.shape) < 0.3] = np.nan
    values[:, 3], values[1:, 4] = np.nan, np.nan
    low, high = column_quantiles(values, (1 / 16, 15 / 16))
    for column in range(30):
        known = values[:, column][np.isfinite(values[:, column])]
        expected = np.quantile(known, [1 / 16, 15 / 16]) if known.size else [np.nan, np.nan]
        np.testing.assert_allclose([low[column], high[column]], expected)
    assert all(np.isnan(each).all() for each in column_quantiles(values[:0], (0.5,)))


def test_quantiles_of_the_other_rows_leave_out_one_row_at_a_time() -> None:
    rng = np.random.default_rng(5)
    values = np.round(rng.normal(size=(9, 6)), 1)
    values[rng.random(values.shape) < 0.3] = np.nan
    values[:, 0], values[1:, 1], values[:, 2] = np.nan, np.nan, 0.5
    known, found = quantiles_of_others(values, (1 / 16, 1 / 2))
    for row in range(len(values)):
        others = np.delete(values, row, 0)
        np.testing.assert_array_equal(known[row], np.isfinite(others).sum(0))
        for own, expected in zip(found, column_quantiles(others, (1 / 16, 1 / 2)), strict=True):
            np.testing.assert_array_equal(own[row], expected)
    assert np.isnan(quantiles_of_others(np.ones((1, 2)), (1 / 2,))[1][0]).all()
