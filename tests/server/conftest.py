"""A store that publishes its states to reading processes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from observability.server import audit_log, process_lock
from observability.store.duck_store import DuckStore
from tests.support.new_store import new_store
from tests.support.reading_process import NOTE, publish_now


@pytest.fixture
def own_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test leave an owner, or an audit log of another process, to the next test."""
    monkeypatch.setattr(process_lock, "_current", None)
    monkeypatch.setattr(audit_log, "_elsewhere", [])
    monkeypatch.setattr("observability.server.owner_calls.PAUSE", 0)


@pytest.fixture
def owner(tmp_path: Path, own_process: None) -> Iterator[DuckStore]:
    """A store with one event; its state is published."""
    with new_store(tmp_path / "owner") as store:
        store.write_records([NOTE])
        publish_now(store)
        yield store
