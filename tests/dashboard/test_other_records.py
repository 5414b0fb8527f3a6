"""A store without predictions is distinguished from an empty one: pages name the records that it has, and show them where they can."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from observability.dashboard import load
from observability.server import process_lock
from observability.store.db.database import Database
from observability.store.types.loading import LoadDefaults
from tests.support.dashboard_pages import opened, tables, words
from tests.support.new_store import new_store

END = datetime(2026, 3, 16, tzinfo=UTC)


@pytest.fixture
def runs_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """A store, owned by this process, with two training runs (one of them failed), a batch and a deploy, but no prediction."""
    store = new_store(tmp_path / "home")
    at = (END - timedelta(days=1)).isoformat()
    found = [
        {"kind": "run", "run": "fine", "at": at, "event": "start", "model": "loan"}, {"kind": "run", "run": "fine", "at": at, "event": "end", "status": "finished"},
        {"kind": "run", "run": "bad", "at": at, "event": "start", "model": "loan"}, {"kind": "run", "run": "bad", "at": at, "event": "end", "status": "failed"},
        {"kind": "batch", "batch": "b1", "at": at, "source": "clinic", "rows": 10},
        {"kind": "event", "at": at, "what": "deploy", "text": "the first one", "model": "loan"},
    ]  # fmt: skip
    path = tmp_path / "lines.jsonl"
    path.write_text("\n".join(json.dumps(each | {"received_at": each["at"]}) for each in found) + "\n", encoding="utf-8")
    assert store.load_files([path], LoadDefaults()).rejected == 0
    monkeypatch.setattr(process_lock, "current_store", lambda: store)
    monkeypatch.setattr(load, "page_clock", lambda: END)
    yield store
    store.close()


@pytest.mark.parametrize("page", ["health", "review", "cases", "drift", "cleaning"])
def test_a_page_about_predictions_lists_and_links_other_stored_records(runs_only: Database, page: str) -> None:
    app = opened(page)
    assert "Stored: 2 training runs, 1 batch and 1 kind of event." in words(app) and "No predictions yet." in words(app)
    labels = [each.proto.label for each in app.get("page_link")]
    assert labels[-3:] == ["Training runs", "Batches", "Changes"]


def test_findings_and_changes_pages_show_records_without_predictions(runs_only: Database) -> None:
    found = tables(opened("findings"))["Findings, most urgent first"]["rows"]
    assert any("bad" in row["cells"]["because"]["t"] and row["cells"]["severity"]["s"] == "act" for row in found)
    listed = tables(opened("changes"))["Changes, newest first"]["rows"]
    assert [row["cells"]["title"]["t"] for row in listed] == ["the first one"]
    assert not [each for each in opened("findings").markdown if "No predictions" in each.value]
