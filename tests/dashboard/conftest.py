"""Fixtures that make the small world of tests/support/dashboard_world.py, or the sample fleet, the store that this process owns."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from observability.dashboard import application, load
from observability.server import process_lock
from observability.store.db.database import Database
from observability.store.types.loading import LoadDefaults
from tests.support.dashboard_world import END, World, build
from tests.support.new_store import new_store
from tests.support.sample_home import lent


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The world; its store is filled only once."""
    found = build(tmp_path_factory.mktemp("views"))
    yield found
    found.store.close()


@pytest.fixture
def current(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """The world, with its store owned by this process. The clock is set to the end of the world's window."""
    monkeypatch.setattr(process_lock, "current_store", lambda: world.store)
    monkeypatch.setattr(load, "page_clock", lambda: END)
    return world


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """An empty store, owned by this process."""
    store = new_store(tmp_path / "home")
    monkeypatch.setattr(process_lock, "current_store", lambda: store)
    yield store
    store.close()


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The sample fleet in the store that this process owns, with the findings computed when the fleet was loaded."""
    with pytest.MonkeyPatch.context() as patch, lent(tmp_path_factory, "budgets") as home:
        patch.setenv("OBSERVABILITY_ENRICH", "off")
        patch.setenv("OBSERVABILITY_WATCH", "off")
        patch.setattr(process_lock, "_current", None)  # in another test file the process may have owned another copy
        holder = process_lock.own_home(home)
        application.keep_findings_over_runs(holder)
        yield home
        holder.close()


def land(store: Database, records: Iterable[dict[str, Any]], folder: Path) -> None:
    """Load records into a store; each record's own time is used as its arrival time. No record may be rejected."""
    path = folder / "lines.jsonl"
    path.write_text(
        "".join(json.dumps(each | {"received_at": each.get("at") or each["from"]}) + "\n" for each in records), encoding="utf-8"
    )
    assert store.load_files([path], LoadDefaults()).rejected == 0
