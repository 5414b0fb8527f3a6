"""The interval for the median of a correlated series contains the true median; from too few values there is no median."""

import numpy as np
import pytest

from observability.stats.serial import serial_median
from tests.support.device_readings import correlated


@pytest.mark.parametrize("by", [0.0, 0.8])
def test_the_interval_covers_the_truth_for_correlated_values(by: float) -> None:
    covered = 0
    for seed in range(200):
        interval = serial_median(correlated(np.random.default_rng(seed), 400, by)).interval()
        covered += interval.low <= 0 <= interval.high
    assert 0.9 <= covered / 200


def test_few_or_missing_values_give_none_and_a_constant_has_no_error() -> None:
    assert serial_median(np.arange(19.0)) is None and serial_median([np.nan] * 100) is None
    found = serial_median(np.full(40, 3.0))
    assert (found.value, found.error, found.n, found.blocks) == (3.0, 0.0, 40, 10)
