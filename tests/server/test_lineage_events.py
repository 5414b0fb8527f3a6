"""`POST /api/v1/lineage` stores its events, names a refused event, and adds nothing for facts that are already known."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from observability.core.questions import Records
from observability.core.window import EPOCH, Window
from observability.server import api, process_lock, tokens
from observability.server.lineage_events import AFTER
from observability.store.db.database import Database
from tests.support.http_routes import Answer, ask_routes
from tests.support.lineage_event import EVENT
from tests.support.new_store import new_store


@pytest.fixture
def owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[process_lock.Owner]:
    """The owner of a new home, without a port."""
    store = new_store(tmp_path / "home", threads=1)
    found = process_lock.Owner(tmp_path / "home", process_lock.Lock(-1), store)
    monkeypatch.setattr(process_lock, "_current", found)
    yield found
    found.waiting.close()
    store.close()


def post(owner: process_lock.Owner, body: Any, scope: str = "write") -> Answer:
    """Send a body, and load the records that landed."""
    token = tokens.create_token(owner.home, scope)[1]
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = ask_routes(api.routes(), "POST", "/api/v1/lineage", token, sent, {"content-type": "application/json"})
    owner.records.publish()
    owner.store.load_landing()
    return answer


def stored(store: Database, kind: str, *columns: str) -> list[tuple[Any, ...]]:
    """Records of a kind."""
    return list(store.ask(Records(kind, columns, ever=True), Window("", EPOCH, AFTER)).itertuples(index=False, name=None))


def test_events_become_runs_and_data_sets_once(owner: process_lock.Owner) -> None:
    start = {**EVENT, "eventType": "START", "eventTime": "2026-03-02T05:00:00Z", "outputs": []}
    assert (answer := post(owner, [start, EVENT])).status == 202 and answer.json() == {"accepted": 2, "rejected": []}
    later = {**EVENT, "eventTime": "2026-03-03T06:00:00Z", "run": {"runId": "5b452093-782c-4ef2-9c0c-aafe2aa6f34d"}}
    post(owner, later)
    assert sorted(each[1] for each in stored(owner.store, "run", "run", "event")) == ["end", "end", "start"]
    versions = sorted(stored(owner.store, "dataset", "dataset", "version", "rows"))
    assert [each[0] for each in versions] == ["postgres://db/public.people", "s3://bucket/scores", "s3://bucket/scores"]
    assert ("postgres://db/public.people", "7", 900) in versions, "the second run read the version that was already known"


def test_refused_events_are_named_by_their_position(owner: process_lock.Owner) -> None:
    answer = post(owner, [EVENT, {**EVENT, "job": None}])
    assert answer.status == 202 and answer.json()["accepted"] == 1
    assert answer.json()["rejected"] == [{"line": 2, "reason": "'job' is a JSON object that every run event has"}]
    assert post(owner, {"eventTime": "x"}).status == 422
    (bad,) = post(owner, {**EVENT, "eventTime": "yesterday"}).json()["rejected"]
    assert bad["line"] == 1 and "'at'" in bad["reason"]
    assert post(owner, b"{").status == 400 and post(owner, [EVENT] * 1001).status == 413
    assert post(owner, EVENT, "read").status == 403
