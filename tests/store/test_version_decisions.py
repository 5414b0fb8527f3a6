"""A decision to promote, hold or reject a version is an event of its model, wherever it was made."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

from observability.core.window import EPOCH
from observability.review.change_log import change_entries, decision_event
from observability.store.duck_store import DuckStore
from tests.support.new_store import new_store
from tests.support.reference_engine import ReferenceEngine

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
END = AT + timedelta(days=30)
HOUR = timedelta(hours=1)
DEPLOY = {"kind": "event", "at": AT + 6 * HOUR, "what": "deploy", "text": "version 2 deployed", "model": "loan", "version": "2"}


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
            DEPLOY,
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
        for end in (*(AT + hours * HOUR for hours in range(7)), END):
            own, other = (engine.events(model, EPOCH, end).to_dict("records") for engine in (store, ReferenceEngine(store)))
            assert own == other


def test_an_own_field_named_decision_hides_no_event(tmp_path: Path) -> None:
    named = [
        ("deploy", "deployed", "CAB-17"),
        ("deploy", "deployed again", "d1"),
        ("note", "approved", "CAB-18"),
        ("note", "repeated", "d1"),
    ]
    events = [DEPLOY | {"what": what, "text": text, "decision": of} for what, text, of in named]
    told = ["deployed", "deployed again", "approved"]
    with closing(new_store(tmp_path)) as store:
        store.write_records([decided("d1", 0, statement="Buy more labels", model="loan"), *events])
        for engine in (store, ReferenceEngine(store)):
            assert engine.events("loan", EPOCH, END)["text"].tolist() == told, "only the note that names a stored decision is left out"
        listed = [each.title for each in change_entries(store, AT, END, model="loan")]
        assert sorted(listed) == sorted([*told, "Buy more labels"])


def test_each_choice_of_a_decision_is_told_at_its_own_time(tmp_path: Path) -> None:
    """Held on day 0, worded better on day 1, promoted on day 9, rejected without a new sentence on day 12."""
    days = [24 * day for day in (0, 1, 9, 12)]
    held = decided("d1", days[0], statement="Hold version 3", choice="hold", model="loan", version="3")
    with closing(new_store(tmp_path)) as store:
        store.write_records([held, decided("d1", days[1], statement="Hold version 3 for now"), decision_event(held)])
        store.write_records(
            [decided("d1", days[2], statement="Promote version 3", choice="promote"), decided("d1", days[3], choice="reject")]
        )
        for engine in (store, ReferenceEngine(store)):

            def told(end: datetime, engine: Any = engine, **asked: datetime) -> list[tuple[int, str]]:
                frame = engine.events("loan", EPOCH, end, **asked)
                return [((at - AT.replace(tzinfo=None)).days, text) for at, text in zip(frame["at"], frame["text"], strict=True)]

            assert told(AT + HOUR) == [(0, "Hold version 3")], "the better sentence was not written yet"
            assert told(AT + days[2] * HOUR) == [(0, "Hold version 3 for now")]
            assert told(AT + days[3] * HOUR) == [(0, "Hold version 3 for now"), (9, "Promote version 3")]
            assert told(END) == [(0, "Hold version 3 for now"), (9, "Promote version 3"), (12, "Reject version 3")]
            assert told(END, as_of=AT) == [], "nothing had arrived then"
            assert engine.events("loan", AT + HOUR, END)["text"].tolist() == ["Promote version 3", "Reject version 3"]


@pytest.mark.parametrize("case", range(12))
def test_engines_agree_on_decisions_drawn_at_random(tmp_path: Path, case: int) -> None:
    random = Random(case)

    def some(*values: str) -> str | None:
        return random.choice((None, *values))

    records = [
        decided(str(random.randrange(6)), random.randrange(48))
        | {"statement": some("one", "two"), "choice": some("hold", "promote"), "version": some("1", "2"), "model": some("loan", "price")}
        | {"state": some("withdrawn", "standing") if random.random() < 0.3 else None}
        for _ in range(60)
    ]
    with closing(new_store(tmp_path)) as store:
        store.write_records([{name: value for name, value in each.items() if value is not None} for each in records])
        for model in ("loan", "price", None):
            for start, end in ((EPOCH, AT + 12 * HOUR), (EPOCH, AT + 30 * HOUR), (EPOCH, END), (AT + 12 * HOUR, AT + 30 * HOUR)):
                own, other = (engine.events(model, start, end).to_dict("records") for engine in (store, ReferenceEngine(store)))
                assert own == other and (own or end != END)


def test_the_change_log_lists_each_decision_once_and_not_its_event(store: DuckStore) -> None:
    told = [each.title for each in change_entries(store, AT, END) if each.sort in ("decision", "note")]
    assert sorted(told) == [
        *("A decision was withdrawn: Reject version 4", "Buy more labels", "Hold version 3", "Promote it", "Promote version 2"),
        *("Reject version 4", "Reject version 9", "Release the batch"),
    ]
