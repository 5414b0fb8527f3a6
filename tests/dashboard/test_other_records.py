"""Is a store without predictions told from an empty one: does each page say what is there, and do those that can show it?"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from observability.dashboard import load
from observability.server import process_lock
from observability.store.db.database import Store
from observability.store.ingest.loader import load_files
from observability.store.ingest.parse_types import Defaults
from observability.store.opener import open_store
from tests.dashboard.test_pages import opened, tables, words

END = datetime(2026, 3, 16, tzinfo=UTC)


@pytest.fixture
def runs_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """A store with two training runs, of which one failed, a batch and a deploy, and no prediction, as the one that this process owns."""
    store = open_store(tmp_path / "home")
    at = (END - timedelta(days=1)).isoformat()
    found = [
        {"kind": "run", "run": "fine", "at": at, "event": "start", "model": "loan"}, {"kind": "run", "run": "fine", "at": at, "event": "end", "status": "finished"},
        {"kind": "run", "run": "bad", "at": at, "event": "start", "model": "loan"}, {"kind": "run", "run": "bad", "at": at, "event": "end", "status": "failed"},
        {"kind": "batch", "batch": "b1", "at": at, "source": "clinic", "rows": 10},
        {"kind": "event", "at": at, "what": "deploy", "text": "the first one", "model": "loan"},
    ]  # fmt: skip
    path = tmp_path / "lines.jsonl"
    path.write_text("\n".join(json.dumps(each | {"received_at": each["at"]}) for each in found) + "\n", encoding="utf-8")
    assert load_files(store, [path], Defaults()).rejected == 0
    monkeypatch.setattr(process_lock, "current_store", lambda: store)
    monkeypatch.setattr(load, "now", lambda: END)
    yield store
    store.close()


@pytest.mark.parametrize("page", ["health", "review", "cases", "drift", "cleaning"])
def test_a_page_about_predictions_says_what_is_there_and_leads_to_it(runs_only: Store, page: str) -> None:
    app = opened(page)
    assert "There are 2 training runs, 1 batch and 1 kind of event." in words(app) and "No predictions have arrived yet." in words(app)
    labels = [each.proto.label for each in app.get("page_link")]
    assert labels[-3:] == ["Training runs", "Batches", "Changes"]


def test_findings_and_changes_show_what_there_is(runs_only: Store) -> None:
    found = tables(opened("findings"))["Findings, worst first"]["rows"]
    assert any("bad" in row["cells"]["because"]["t"] and row["cells"]["severity"]["s"] == "act" for row in found)
    listed = tables(opened("changes"))["Changes, newest first"]["rows"]
    assert [row["cells"]["title"]["t"] for row in listed] == ["the first one"]
    assert not [each for each in opened("findings").markdown if "No predictions" in each.value]
