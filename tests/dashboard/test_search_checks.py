"""The page Studies lists the checks of a search, each with its figure and, if it needs action, the next step."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from observability.dashboard import load
from observability.store.db.database import Database
from tests.dashboard.conftest import land
from tests.support.dashboard_pages import opened, tables

START = datetime(2026, 3, 2, tzinfo=UTC)


def test_a_search_with_half_of_its_trials_failed_is_a_warning_with_a_next_step(
    empty: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[dict] = []
    for place in range(20):
        at, about = START + timedelta(minutes=place), {"kind": "run", "run": f"t{place:02}", "model": "loan", "study": "grid"}
        failed = place % 2 == 1
        ended = {"status": "failed"} if failed else {"status": "finished", "metrics": {"val_loss": 0.5 + place / 100}}
        lines.append({**about, "at": at.isoformat(), "event": "start", "params": {"rate": 0.01 * (place + 1)}, "seed": 1})
        lines.append({**about, "at": (at + timedelta(seconds=30)).isoformat(), "event": "end", **ended})
    land(empty, lines, tmp_path)
    monkeypatch.setattr(load, "page_clock", lambda: START + timedelta(days=1))
    rows = [row["cells"] for row in tables(opened("studies", study="grid"))["Checks of the search grid"]["rows"]]
    assert (rows[0]["state"]["s"], rows[0]["because"]["t"]) == ("watch", "10 of 20 trials of study grid failed; the limit is 10 %.")
    assert rows[0]["because"]["sub"] == "Read the errors of the failed trials; narrow the ranges that break."
    fine = [each for each in rows if each["state"]["s"] == "ok"]
    assert fine and all(not each["because"].get("sub") for each in fine)
