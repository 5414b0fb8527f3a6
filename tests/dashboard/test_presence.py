"""Who has a part of a review open: only people in other sessions, each with their newest part, without those who have left."""

import pytest

from observability.dashboard.review import presence


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process in which nobody has a review open."""
    monkeypatch.setattr(presence, "_SEEN", {})


def test_other_people_present_are_named_once_for_each_part() -> None:
    for session, name, part in (("1", "Ann", "item"), ("2", "bob", "item"), ("3", "Bob", "decide"), ("4", "bob", "item")):
        presence.note_presence("W27", session, name, part, now=100.0)
    assert presence.people_elsewhere("W27", "1", now=101.0) == {"item": ["bob"], "decide": ["Bob"]}
    assert presence.people_elsewhere("W27", "3", now=101.0) == {"item": ["Ann", "bob"]}
    assert presence.people_elsewhere("W28", "1", now=101.0) == {}


def test_presence_follows_a_person_to_another_part_and_ends_when_they_leave() -> None:
    presence.note_presence("W27", "1", "Ann", "item", now=100.0)
    presence.note_presence("W27", "1", "Ann", "decide", now=110.0)
    assert presence.people_elsewhere("W27", "2", now=110.0 + presence.LASTS) == {"decide": ["Ann"]}
    assert presence.people_elsewhere("W27", "2", now=110.1 + presence.LASTS) == {}
    presence.note_presence("W27", "2", "Bob", "item", now=200.0)
    assert presence.people_elsewhere("W27", "3", now=200.0) == {"item": ["Bob"]}
