"""Statistics of a column agree with numpy and with counts by hand."""

import numpy as np
import pandas as pd
import pytest

from observability.metrics.column_statistics import column_statistics, stuck_share


def test_the_statistics_of_a_number_column_equal_those_of_numpy() -> None:
    values = np.array([1.0, 2.5, 2.5, 4.0, 9.0, 9.0])
    found = column_statistics(pd.Series([*values, None, np.nan]), (2.0, 9.0))
    assert found["mean"] == pytest.approx(values.mean(), rel=1e-5) and found["std"] == pytest.approx(values.std(ddof=1), rel=1e-5)
    assert (found["min"], found["max"], found["null_share"], found["distinct"]) == (1.0, 9.0, 0.25, 4)
    assert found["out_of_range_share"] == pytest.approx(1 / 6, rel=1e-5) and found["saturated_share"] == pytest.approx(2 / 6, rel=1e-5)


def test_stuck_values_are_those_in_runs_of_five() -> None:
    assert stuck_share(np.array([1, 1, 1, 1, 2, 3, 3, 3, 3, 3.0])) == 0.5
    assert stuck_share(np.array([])) == 0.0
    assert column_statistics(pd.Series([7.0] * 9))["stuck_share"] == 1.0
    assert column_statistics(pd.Series([34.8] * 96))["std"] == 0.0, "the computed mean is rounded, so numpy gives 2e-14"


def test_text_empty_and_single_value_columns_have_only_shares_and_counts() -> None:
    assert column_statistics(pd.Series(["a", None, "b", "a"])) == {"null_share": 0.25, "distinct": 2}
    assert column_statistics(pd.Series([None, None], dtype=float)) == {"null_share": 1.0, "distinct": 0}
    assert "std" not in column_statistics(pd.Series([3.0]))
