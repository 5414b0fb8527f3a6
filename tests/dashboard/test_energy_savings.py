"""The page Energy shows the hour with the least carbon and the power cap for a simulated month, as computed from its records."""

from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from observability.dashboard import load
from observability.simulation.energy_world import END, KNEE_W, simulated_energy
from observability.simulation.faults_energy import FAULTS, EnergyFaultPlant
from observability.store.db.database import Database
from tests.dashboard.conftest import land
from tests.support.dashboard_pages import opened, words


def as_records(frame: pd.DataFrame, kind: str) -> list[dict[str, Any]]:
    """Rows of a frame as records of a model."""
    found = []
    for row in frame.to_dict("records"):
        times = {name: row[name].tz_localize("UTC").isoformat() for name in ("at", "from") if name in row}
        kept = {name: value for name, value in row.items() if isinstance(value, dict) or (value is not None and value == value)}
        found.append({"kind": kind, "model": "loan", **kept, **times})
    return found


@pytest.fixture
def month(empty: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    """The store that this process owns, with a month of training that starts seven hours after the best hour and does not use its power
    cap.
    """
    world = simulated_energy(1)
    for name in ("hour_of_much_carbon", "unused_power_cap"):
        world = FAULTS[name].plant(EnergyFaultPlant(world, FAULTS[name].amount("middle")))
    records = [*as_records(world.runs, "run"), *as_records(world.readings, "resource"), *as_records(world.prices, "price")]
    at = (END - timedelta(hours=3)).isoformat()
    records.append({"kind": "prediction", "id": "a", "at": at, "model": "loan", "version": "1", "features": {"x": 1.0}, "score": 0.5})
    land(empty, records, tmp_path)
    monkeypatch.setattr(load, "page_clock", lambda: END)
    return empty


def test_the_suggested_hour_and_power_cap_match_the_records(month: Database) -> None:
    app = opened("energy", model="loan", **{"from": "2026-03-02T00:00", "to": "2026-03-09T00:00", "window": "Chosen dates"})
    shown = words(app)
    world = simulated_energy(1)
    by_hour = world.prices.set_index("from")["carbon_g_per_kwh"]
    nights = pd.date_range(END.replace(tzinfo=None) - timedelta(days=28), periods=28, freq="D")

    def mean_of(hour: int) -> float:
        """Mean intensity over two hours from the given hour of the day on."""
        return float(np.mean([by_hour[night + timedelta(hours=hour + each)] for night in nights for each in (0, 1)]))

    best = min(range(24), key=lambda hour: mean_of(hour) if hour < 23 else np.inf)
    assert f"Runs started at {best:02d}:00 UTC would emit" in shown
    saved = 100 * (1 - mean_of(best) / mean_of(9))
    assert any(f"would emit {saved + shift:.0f}" in shown for shift in (-1.0, 0.0, 1.0)), f"about {saved:.1f} % by hand"
    assert f"a cap of {KNEE_W:g} W takes" in shown and END.tzinfo is UTC
