"""Quantiles of many columns at once are those of numpy, column by column."""

import numpy as np

from observability.stats.column_quantiles import column_quantiles


def test_quantiles_with_missing_values_are_numpys() -> None:
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
