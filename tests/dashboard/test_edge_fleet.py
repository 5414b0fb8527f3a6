"""The page of devices that serve a model: its rings are those of the version that was reported last for the first time."""

from datetime import UTC, timedelta
from pathlib import Path

import numpy as np
import pytest

from observability.dashboard import load
from observability.store.db.database import Database
from tests.dashboard.conftest import land
from tests.support.dashboard_pages import opened, tables, words
from tests.support.edge_reports import END, START, device_reports


@pytest.fixture
def rolled_out(empty: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    """The store that this process owns: ring 0 got version `10` two days before the week, by name older than `2`."""
    rows = device_reports(np.random.default_rng(1), fleet=48, before=5)
    for row in rows:
        row["version"] = "10" if row["ring"] == "ring 0" and row["at"] >= START - timedelta(days=2) else "2"
        for name in ("at", "synced_at", "oldest_at"):
            row[name] = row[name].replace(tzinfo=UTC).isoformat()
    land(empty, [{"kind": "device_report", **row} for row in rows], tmp_path)
    monkeypatch.setattr(load, "page_clock", lambda: END.replace(tzinfo=UTC))
    return empty


def test_the_newest_version_is_the_one_that_began_last_though_the_week_begins_with_both(rolled_out: Database) -> None:
    app = opened("edge_fleet")
    assert [each.value for each in app.header if each.value.startswith("Roll-out")] == ["Roll-out of version 10"]
    (ring,) = [row["cells"] for row in tables(app)["Rings of version 10"]["rows"]]
    assert (ring["ring"]["t"], ring["new"]["t"], ring["old"]["t"]) == ("ring 0", "12", "36")
    assert "48 devices" in words(app)
