"""Energy of serving by batch size: power with its range, intervals from repeats, the parsed audit, and the modelled idle share."""

import numpy as np
import pandas as pd
import pytest

from observability.core.settings import ModelSettings
from observability.metrics.serving_power import (
    assumed_idle_share,
    batch_joules,
    core_power,
    energy_audits,
    modelled_idle_share,
    repeated_interval,
)


def test_power_is_assumed_within_a_band_until_it_is_calibrated() -> None:
    assumed = core_power(ModelSettings())
    assert (assumed.watts, assumed.low, assumed.high, assumed.source) == (4.0, 2.0, 10.0, "assumed") and "assumed 4 W" in assumed.words
    stated = core_power(ModelSettings(watts_per_core=8.0))
    assert (stated.low, stated.high, stated.source) == (4.0, 20.0, "assumed")
    fitted = core_power(ModelSettings(watts_per_core=6.0, watts_per_core_error=0.1, idle_watts=12.0))
    assert (fitted.low, fitted.high, fitted.source) == (
        pytest.approx(5.4),
        pytest.approx(6.6),
        "estimated",
    ) and "calibrated" in fitted.words


def test_repeats_have_student_s_interval_and_joules_both_errors() -> None:
    rng = np.random.default_rng(3)
    inside = 0
    for _ in range(400):
        mean, low, high = repeated_interval(rng.normal(5.0, 0.4, 6).tolist())
        inside += low <= 5.0 <= high and low < mean < high
    assert 0.92 <= inside / 400 <= 0.98
    assert repeated_interval([2.0]) == (2.0, 2.0, 2.0) and repeated_interval([0.0, 10.0])[1] == 0.0
    assert batch_joules((1.0, 0.9, 1.2), core_power(ModelSettings())) == pytest.approx((4.0, 1.8, 12.0))


def test_an_audit_is_read_and_one_of_another_form_is_left_out() -> None:
    ends = {"value": 1.0, "low": 0.9, "high": 1.1}
    batch = {
        "form": "as served",
        "precision": "fp64",
        "batch": 10,
        "rows": 500,
        "repeats": 6,
        "cpu_seconds": ends,
        "joules": ends,
        "source": "assumed",
    }
    results = [
        {"batches": [batch], "power": "assumed 4 W", "hardware": {"processor": "EPYC"}},
        {"batches": [{"batch": 1}]},
        None,
        {"batches": 3},
        {"batches": [batch | {"cpu_seconds": {"value": 0, "low": 0.1, "high": 0.2}}]},
    ]
    rows = [{"model": "m", "version": "1", "at": pd.Timestamp("2026-03-02"), "audit": "energy", "results": each} for each in results]
    (found,) = energy_audits(pd.DataFrame(rows))
    assert (found.hardware, found.batches[0].joules, found.batches[0].batch) == ("EPYC", (1.0, 0.9, 1.1), 10)


def test_the_idle_share_of_a_calibrated_machine_is_its_idle_power_over_all() -> None:
    power = core_power(ModelSettings(watts_per_core=6.0, watts_per_core_error=0.5, idle_watts=12.0))
    value, low, high = modelled_idle_share(1800.0, 3600.0, power) or (0, 0, 0)
    assert value == pytest.approx(12 * 3600 / (12 * 3600 + 6 * 1800)) and low < value < high
    assert modelled_idle_share(1800.0, 3600.0, core_power(ModelSettings())) is None and modelled_idle_share(1.0, 0.0, power) is None


def test_an_assumed_idle_share_is_that_of_the_fewest_cores_and_only_its_low_end_is_a_bound() -> None:
    value, low, high = assumed_idle_share(900.0, 3600.0) or (0, 0, 0)
    assert (value, low, high) == pytest.approx(((1 / 3) / (1 / 3 + 0.25), (1 / 9) / (1 / 9 + 0.25), 1.0))
    busier = assumed_idle_share(9000.0, 3600.0) or (0, 0, 0)
    assert busier[:2] == pytest.approx((1 / (1 + 2.5), (1 / 3) / (1 / 3 + 2.5))), "2.5 busy cores need three"
    assert assumed_idle_share(0.0, 3600.0) == (1.0, 1.0, 1.0) and assumed_idle_share(1.0, 0.0) is None
