"""Sweeps of a power cap agree with scipy's Welch interval on logarithms."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from observability.metrics.power_caps import CapSweep, power_cap_sweeps, stated_cap

CAPS = {400.0: (100.0, 600.0), 300.0: (82.0, 612.0), 200.0: (70.0, 760.0)}
"""For each cap in watts, Wh and seconds of a run."""


def sweep_frames(
    repeats: int = 3, *, seed: int = 1, later: float | None = None, source: str = "measured"
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The runs of a sweep, and their energy. later: the cap of a run after the sweep that belongs to no study."""
    rng, runs, energy = np.random.default_rng(seed), [], []
    for cap, (wh, seconds) in CAPS.items():
        for place in range(repeats):
            name, noise = f"{cap:g} {place}", rng.lognormal(0, 0.01, 2)
            runs.append({"run": name, "params": {"power_cap_w": cap, "layers": 4, "seed": place}})
            energy.append({"run": name, "study": "caps", "wh": wh * noise[0], "seconds": seconds * noise[1], "source": source})
    if later:
        runs.append({"run": "later", "params": {"power_limit_w": later}})
        energy.append({"run": "later", "study": None, "wh": 70.0, "seconds": 900.0, "source": source})
    ended = pd.date_range("2026-03-02", periods=len(energy), freq="h").astype("datetime64[us]")
    return pd.DataFrame(runs), pd.DataFrame(energy).assign(ended=ended)


def only_sweep(*args: int, **options: object) -> CapSweep:
    """The only sweep in the given frames."""
    (found,) = power_cap_sweeps(*sweep_frames(*args, **options), {f"{cap:g} {place}": "alike" for cap in CAPS for place in range(9)})
    return found


def test_the_knee_saves_most_within_five_percent_more_time() -> None:
    found = only_sweep()
    assert [cap.watts for cap in found.caps] == [400.0, 300.0, 200.0] and found.enough and found.source == "measured"
    assert found.knee is not None and found.knee.watts == 300.0
    assert found.knee.saved.value == pytest.approx(0.18, abs=0.03) and found.knee.slower.value == pytest.approx(0.02, abs=0.03)
    assert found.caps[2].slower.low > 0.05 and found.used is None


def test_the_interval_is_welchs_with_room_for_the_number_of_caps() -> None:
    _, energy = sweep_frames()
    found = only_sweep()
    logs = [np.log(energy["wh"].to_numpy()[rows]) for rows in (slice(3, 6), slice(0, 3))]
    ends = stats.ttest_ind(*logs, equal_var=False).confidence_interval(1 - 0.05 / 2)
    saved = found.caps[1].saved
    assert (saved.low, saved.high) == pytest.approx((1 - np.exp(ends.high), 1 - np.exp(ends.low)))
    assert saved.value == pytest.approx(1 - np.exp(np.mean(logs[0]) - np.mean(logs[1])))


def test_too_few_repeats_have_no_interval_and_assumed_energy_is_no_sweep() -> None:
    found = only_sweep(2)
    assert not found.enough and found.caps[1].saved.low is None
    assert power_cap_sweeps(*sweep_frames(source="assumed"), {}) == []
    assert only_sweep(later=300.0).used == 300.0


def test_only_a_positive_number_is_a_cap() -> None:
    assert [stated_cap(each) for each in ({"power_cap_w": 300}, {"power_cap_w": True}, {"power_limit": "300"}, None)] == [
        300.0,
        None,
        None,
        None,
    ]
