"""Devices that serve a model are compared with their peers and with their own earlier windows, by the same code as devices of runs."""

from datetime import UTC, timedelta

import pandas as pd
import pytest

from observability.core.finding import needs_action
from observability.core.time import naive_utc
from observability.core.window import Window
from observability.detection.run_claims import RunClaim
from observability.detection.serving_devices import serving_device_claims
from tests.support.device_readings import device_rows
from tests.support.length import repeats
from tests.support.run_frames import START

WINDOW = Window("loan", START.replace(tzinfo=UTC), START.replace(tzinfo=UTC) + timedelta(days=7))


def claims(seed: int, weeks: int = 0, *, before: dict[str, float] | None = None, **moved: float) -> list[RunClaim]:
    """Claims about four accelerators. The readings of the first are changed by `moved` in the window, and by `before` in the weeks
    before.
    """
    parts = []
    for week in range(weeks + 1):
        rows = device_rows("serving", 100 * seed + week, **(moved if week == 0 else before or {}))
        rows["at"] += naive_utc(WINDOW.end) - timedelta(days=7 * week, hours=2) - rows["at"].max()
        parts.append(rows)
    return serving_device_claims(pd.concat(parts, ignore_index=True).assign(run=None), WINDOW)


@pytest.mark.parametrize(
    ("metric", "moved"),
    [
        ("device_temperature_gap", {"temperature_c": 16.0}),
        ("device_utilisation_gap", {"utilisation": -0.35}),
        ("device_memory_gap", {"memory_gb": 18.0}),
        ("device_power_gap", {"watts": -90.0}),
    ],
)
def test_a_device_that_differs_from_its_peers_or_its_past_is_named(metric: str, moved: dict[str, float]) -> None:
    found = {(each.metric, each.subject, each.against): each for each in claims(4, 7, **moved) if needs_action(each.severity)}
    assert {against for _, _, against in found} == {"peers", "past"}
    for against in ("peers", "past"):
        claim = found[metric, "device=gpu0 on node-1", against]
        assert claim.severity == "watch" and "of the service of `loan`" in claim.because
    assert "in 7 earlier windows (" in found[metric, "device=gpu0 on node-1", "past"].because


def test_a_device_that_was_always_hotter_is_unchanged_against_its_own_past() -> None:
    warm = {"temperature_c": 16.0}
    found = {each.against: each for each in claims(5, 7, before=warm, **warm)}
    assert found["past"].severity == "ok" and "are as in 7 earlier windows." in found["past"].because
    assert found["peers"].severity == "watch" and found["peers"].evidence["standing"]


def test_few_earlier_windows_say_how_many_more_are_needed_and_no_reading_says_nothing() -> None:
    found = {each.against: each for each in claims(6, 2)}
    assert (
        found["past"].severity == "unknown" and "2 earlier windows have enough readings, about 3 more are needed." in found["past"].because
    )
    later = Window("loan", WINDOW.end, WINDOW.end + timedelta(days=7))
    rows = device_rows("serving", 6).assign(run=None)
    assert serving_device_claims(rows, later) == [] and serving_device_claims(rows.iloc[:0], WINDOW) == []


def test_devices_unchanged_from_the_past_raise_no_finding() -> None:
    assert not [seed for seed in range(repeats(8, 300)) if any(needs_action(each.severity) for each in claims(50 + seed, 6))]
