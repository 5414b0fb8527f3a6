"""The difference of a pair of groups by day equals the difference computed by hand from its rows."""

from math import nan, sqrt

import numpy as np
import pytest

from observability.detection.group_changes import pair_by_day
from observability.detection.group_contrasts import GroupContrast


def test_the_daily_difference_of_a_pair_has_an_interval_from_its_rows() -> None:
    """8 hits in 40 rows and 20 in 50: the difference is 0.2."""
    variance = 0.2 * 0.8 / 40 + 0.4 * 0.6 / 50
    days = np.array([20_000, 20_001, 20_002])
    pair = GroupContrast(
        days, np.array([0.3, 0.2, nan]), np.array([0.1, variance, nan]), np.array([True, False, False]), np.array([9.0, 90.0, 3.0])
    )
    (day, value, low, high, n), missing = pair_by_day(pair)
    assert (day, value, n) == ("2024-10-05", 0.2, 90)
    assert (low, high) == pytest.approx((0.2 - 1.959964 * sqrt(variance), 0.2 + 1.959964 * sqrt(variance)))
    assert missing == ["2024-10-06", None, None, None, 3]
