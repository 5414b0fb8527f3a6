"""Completeness, delay and the devices behind bad rows agree with hand calculations."""

from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from observability.core.named_numbers import named_numbers
from observability.metrics.collection import bad_values_by_device, device_deliveries, devices_behind, rejected_rows_by_device

START = datetime(2026, 3, 2)


def batches(
    device: str, days: list[int], rows: int = 100, rejected: int | None = 0, lag: float = 1.0, stats: dict | None = None
) -> list[dict]:
    """Batches of one device on some days."""
    return [
        {
            "source": "s",
            "device": device,
            "at": START + timedelta(days=day),
            "rows": rows,
            "rejected_rows": rejected,
            "captured_to": START + timedelta(days=day) - timedelta(hours=lag + place),
            "stats": stats,
        }
        for place, day in enumerate(days)
    ]


def frame(*parts: list[dict]) -> pd.DataFrame:
    return pd.DataFrame([each for part in parts for each in part]).astype({"rows": "Int64", "rejected_rows": "Int64"})


def test_completeness_counts_missing_batches_and_rejected_rows() -> None:
    whole, gaps, young = device_deliveries(
        frame(batches("a", list(range(10))), batches("b", [0, 1, 2, 3, 8], rejected=10), batches("c", [8, 9]))
    )
    assert (whole.device, whole.completeness) == ("a", 1.0)
    assert gaps.expected == 1000 and gaps.kept == 450 and gaps.completeness == pytest.approx(0.45)
    assert young.completeness is None and young.batches == 2


def test_the_quantiles_of_the_delivery_delay_equal_those_of_numpy() -> None:
    (found,) = device_deliveries(frame(batches("a", list(range(9)), lag=2.0)))
    assert found.lags == pytest.approx(tuple(np.quantile(np.arange(9) + 2.0, [0.5, 0.95])))
    (found,) = device_deliveries(frame(batches("a", [0, 1])).assign(captured_to=pd.NaT))
    assert found.lags is None


def test_the_fewest_devices_that_hold_most_bad_rows_are_named() -> None:
    counts = {f"d{place}": (1.0, 100.0) for place in range(17)} | {"x": (40.0, 100.0), "y": (20.0, 100.0), "z": (10.0, 100.0)}
    found = devices_behind(counts)
    assert found is not None and found.names == ("x", "y", "z") and found.devices == 20
    assert found.share == pytest.approx(70 / 87) and found.of_rows == pytest.approx(0.15)
    assert devices_behind(dict.fromkeys("abcdef", (5.0, 100.0))) is None, "the bad rows are spread like all rows"
    assert devices_behind({"a": (3.0, 100.0), "b": (0.0, 100.0), "c": (0.0, 100.0)}) is None, "three bad rows are too few"


def test_bad_values_are_rows_times_shares() -> None:
    stats = {"t": {"out_of_range_share": 0.1}, "h": {"out_of_range_share": 0.2}, "p": {"mean": 3.0}, "x": {"out_of_range_share": 1.5}}
    table = frame(batches("a", [0, 1], stats=stats), batches("b", [0], rejected=None))
    table["stats"] = [named_numbers(each, ("out_of_range_share",)) for each in table["stats"]]
    assert bad_values_by_device(table[table["device"] == "a"], ("out_of_range_share",)) == {"a": (pytest.approx(60.0), 400.0)}
    assert rejected_rows_by_device(table) == {"a": (0.0, 200.0)}
