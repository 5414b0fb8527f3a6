"""A decision to promote, hold or reject a version is an event of its model, wherever it was made."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from observability.core.window import EPOCH
from observability.review.change_log import change_entries, decision_event
from observability.store.duck_store import DuckStore
from tests.support.new_store import new_store
from tests.support.reference_engine import ReferenceEngine

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
END = AT + timedelta(days=30)
HOUR = timedelta(hours=1)


def decided(name: str, after: int, **fields: object) -> dict[str, object]:
    """A decision of Ada, some hours after the first."""
    return {"kind": "decision", "decision": name, "at": AT + after * HOUR, "author": "Ada"} | fields


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckStore]:
    """A store with decisions about two models, one of them withdrawn, one about no version, and one with its event."""
    held = decided("d3", 3, statement="Hold version 3", choice="hold", model="loan", version="3")
    opened = new_store(tmp_path)
    opened.write_records(
        [
            decided("d1", 0, statement="Promote it", choice="promote", model="loan", version="2"),
            decided("d1", 5, statement="Promote version 2", revisit=END),
            decided("d2", 1, statement="Reject version 4", choice="reject", model="loan", version="4"),
            decided("d2", 2, state="withdrawn"),
            held,
            decision_event(held),
            decided("d4", 4, statement="Release the batch", choice="promote", model="loan"),
            decided("d5", 4, statement="Reject version 9", choice="reject", model="price", version="9"),
            decided("d6", 4, statement="Buy more labels", model="loan"),
            {"kind": "event", "at": AT + 6 * HOUR, "what": "deploy", "text": "version 2 deployed", "model": "loan", "version": "2"},
        ]
    )
    yield opened
    opened.close()


def test_standing_decisions_about_versions_are_events_at_their_first_time(store: DuckStore) -> None:
    found = store.events("loan", EPOCH, END)
    told = found[["what", "version", "text"]].to_numpy().tolist()
    assert told == [["decision", "2", "Promote version 2"], ["decision", "3", "Hold version 3"], ["deploy", "2", "version 2 deployed"]]
    assert found["at"].tolist() == [(AT + hours * HOUR).replace(tzinfo=None) for hours in (0, 3, 6)]
    assert store.events("loan", AT + HOUR, AT + 4 * HOUR)["text"].tolist() == ["Hold version 3"]
    assert store.events(None, EPOCH, END)["text"].tolist() == [
        *("Promote version 2", "Hold version 3", "Reject version 9", "version 2 deployed")
    ]


def test_another_engine_has_the_same_events(store: DuckStore) -> None:
    for model in ("loan", "price", None):
        own, other = (engine.events(model, EPOCH, END).to_dict("records") for engine in (store, ReferenceEngine(store)))
        assert own == other


def test_the_change_log_lists_each_decision_once_and_not_its_event(store: DuckStore) -> None:
    told = [each.title for each in change_entries(store, AT, END) if each.sort in ("decision", "note")]
    assert sorted(told) == [
        *("A decision was withdrawn: Reject version 4", "Buy more labels", "Hold version 3", "Promote it", "Promote version 2"),
        *("Reject version 4", "Reject version 9", "Release the batch"),
    ]
