"""Which incidents a person has read. Kept in a cookie of the browser, as favourites are; an incident that got worse is unread again."""

from collections.abc import Iterable, Mapping
from urllib.parse import unquote

import streamlit as st

from observability.dashboard import figure_capture
from observability.incidents.grouping import Incident

COOKIE = "observability-read-incidents"
MAX_READ = 250
"""Incidents that are kept as read, the latest first: a browser keeps 4 kB of a cookie."""
KEY = "u"
"""The key that turns the chosen incident from unread to read, and back."""
HELD, CHANGED, UNWRITTEN = "read-incidents", "read-incidents-changed", "read-incidents-unwritten"
ID_LENGTH = 12
"""Characters of an incident's id that are kept."""


def incident_mark(incident: Incident) -> str:
    """What is kept of an incident that was read: the begin of its id, and its severity."""
    return f"{incident.id[:ID_LENGTH]}{incident.shown_severity[0]}"


def read_marks() -> tuple[str, ...]:
    """The marks of the incidents that were read, the latest first."""
    state = st.session_state
    if HELD not in state:
        state[HELD] = marks_in_cookie(dict(st.context.cookies).get(COOKIE))
    held: tuple[str, ...] = state[HELD]
    return held


def marks_in_cookie(cookie: str | None) -> tuple[str, ...]:
    """The marks in a cookie; what is no mark is left out."""
    marks = [mark for mark in unquote(cookie or "").strip('"').split(".") if len(mark) == ID_LENGTH + 1 and mark.isalnum()]
    return tuple(dict.fromkeys(marks))[:MAX_READ]


def is_read(incident: Incident) -> bool:
    """Whether the reader has read an incident as it is now."""
    return incident_mark(incident) in read_marks()


def mark_incidents(found: Iterable[Incident], *, read: bool) -> None:
    """Mark incidents as read or as unread."""
    marks, held = [incident_mark(incident) for incident in found], read_marks()
    changed = tuple(dict.fromkeys([*marks, *held]))[:MAX_READ] if read else tuple(mark for mark in held if mark not in marks)
    if set(changed) != set(held):
        st.session_state.update({HELD: changed, CHANGED: True, UNWRITTEN: True})


def changed_marks() -> str | None:
    """The marks to write to the cookie, which the script of the palette does when it is drawn; None where this session changed none."""
    return ".".join(read_marks()) if st.session_state.get(CHANGED) else None


def write_marks() -> None:
    """Draw the page again where marks changed after its palette was drawn, which writes them: a tab may be closed before the next page."""
    if st.session_state.pop(UNWRITTEN, False) and figure_capture.COLLECTOR.get() is None:
        st.rerun()


def asked_marks(does: str, named: Iterable[str], found: Mapping[str, Incident]) -> bool | None:
    """What an action on a list of incidents asks for: True to mark the named as read, False as unread, None where it is another action.

    `turn`, of the key: read, or unread where all of them are read.
    """
    if does == "turn":
        return not all(is_read(found[name]) for name in named if name in found)
    return {"read": True, "unread": False}.get(does)
