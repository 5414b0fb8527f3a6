"""The cost of production calls that findings about records read: from the counts of the store, up to the end of the window."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from observability.core.settings import ModelSettings
from observability.core.window import Window
from observability.monitoring.check import production_costs
from observability.store.types.loading import LoadDefaults
from tests.support.new_store import new_store

START = datetime(2026, 3, 1, tzinfo=UTC)


def test_costs_are_by_day_and_those_of_probes_and_of_later_days_are_left_out(tmp_path: Path) -> None:
    with new_store(tmp_path / "home") as store:
        about = {"kind": "prediction", "model": "chat", "version": "1", "prediction": "stop"}
        lines = [
            {**about, "id": f"c{day}", "at": (START + timedelta(days=day)).isoformat(), "features": {"input_tokens": 1_000_000}}
            for day in range(4)
        ]
        lines += [{**lines[0], "id": "paid", "cost": 0.5}, {**lines[0], "id": "asked", "environment": "probe", "item": "q1", "cost": 9.0}]
        path = tmp_path / "calls.jsonl"
        path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
        store.load_files([path], LoadDefaults())
        window = Window("", START, START + timedelta(days=3))
        first = (START.replace(tzinfo=None) - datetime(1970, 1, 1)).days
        assert production_costs(store, window, "chat", 10) == {first: 0.5} and production_costs(store, window, "none", 10) == {}
        store.update_settings("chat", ModelSettings(input_price_per_million=2.0))
        found = production_costs(store, window, "chat", 10)
        assert found == pytest.approx({first: 0.5 + 2.0, first + 1: 2.0, first + 2: 2.0})
        assert set(production_costs(store, window, "chat", 2)) == {first + 1, first + 2}
