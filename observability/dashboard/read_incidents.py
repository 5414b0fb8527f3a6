"""The incidents that a person has read, stored in a cookie of the browser. Several tabs write the cookie, so each tab writes only its
changes and not the whole cookie.

An incident that got worse after it was read is unread again. An incident that got better stays read.
"""

import time
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote

import streamlit as st

from observability.dashboard import figure_capture
from observability.incidents.grouping import Incident

COOKIE = "observability-read-incidents"
MAX_READ = 250
"""Maximum number of incidents that are stored as read, the latest first, because a browser keeps at most 4 kB of a cookie."""
KEY = "u"
"""The key that marks the chosen incident as read, or as unread if it is read already."""
HELD, CHANGED, UNWRITTEN = "read-incidents", "read-incidents-changed", "read-incidents-unwritten"
MAX_CHANGES = 20
"""Maximum number of changes of a session that are sent with a page; earlier changes were sent with earlier pages."""
ID_LENGTH = 12
"""Number of characters of an incident's id that are stored."""


def incident_mark(incident: Incident) -> str:
    """Return what is stored of an incident that was read: the beginning of its id, and its severity."""
    return f"{incident.id[:ID_LENGTH]}{incident.shown_severity[0]}"


def read_marks() -> tuple[str, ...]:
    """Return the marks of the incidents that were read, one for each incident, the latest first."""
    state = st.session_state
    if HELD not in state:
        state[HELD] = marks_in_cookie(dict(st.context.cookies).get(COOKIE))
    held: tuple[str, ...] = state[HELD]
    return held


def marks_in_cookie(cookie: str | None) -> tuple[str, ...]:
    """The marks in a cookie, without invalid ones and without older ones of the same incident."""
    marks = [mark for mark in unquote(cookie or "").strip('"').split(".") if len(mark) == ID_LENGTH + 1 and mark.isalnum()]
    found: dict[str, str] = {}
    for mark in marks:
        found.setdefault(mark[:ID_LENGTH], mark)
    return tuple(found.values())[:MAX_READ]


def is_read(incident: Incident) -> bool:
    """Whether the reader has read an incident in its present or a worse state."""
    mark = incident_mark(incident)
    return any(held[:ID_LENGTH] == mark[:ID_LENGTH] and _rank(held) >= _rank(mark) for held in read_marks())


def _rank(mark: str) -> int:
    """Return the rank of the severity in a mark; only the two worst severities are distinguished from the others."""
    return "wa".find(mark[-1])


def mark_incidents(found: Iterable[Incident], *, read: bool) -> None:
    """Mark incidents as read or as unread."""
    marks, held, state = [incident_mark(incident) for incident in found], read_marks(), st.session_state
    names = [mark[:ID_LENGTH] for mark in marks]
    others = tuple(mark for mark in held if mark[:ID_LENGTH] not in names)
    changed = (*dict.fromkeys(marks), *others)[:MAX_READ] if read else others
    if set(changed) == set(held):
        return
    changes = state.get(CHANGED, ())
    turn = max(int(time.time() * 1000), changes[-1]["turn"] + 1 if changes else 0)
    change = {"turn": turn, "add": marks if read else [], "drop": names}
    state.update({HELD: changed, CHANGED: (*changes, change)[-MAX_CHANGES:], UNWRITTEN: True})


def changed_marks() -> dict[str, Any] | None:
    """The changes that the script of the palette makes to the cookie when it is drawn; None if this session made none.

    The script makes each change only once, which it ensures by the number of the change. Later changes by another tab therefore remain.
    """
    changes = st.session_state.get(CHANGED)
    return {"changes": list(changes), "most": MAX_READ, "length": ID_LENGTH} if changes else None


def write_marks() -> None:
    """Draw the page again if marks changed after its palette was drawn. The palette writes the marks, and the tab may be closed before the
    next page.
    """
    if st.session_state.pop(UNWRITTEN, False) and figure_capture.COLLECTOR.get() is None:
        st.rerun()


def asked_marks(does: str, named: Iterable[str], found: Mapping[str, Incident]) -> bool | None:
    """Whether an action on a list of incidents marks the named ones as read (True) or as unread (False); None for another action.

    The action `turn`, which belongs to the key, marks the incidents as read. If all of them are already read, it marks them as unread.
    """
    if does == "turn":
        return not all(is_read(found[name]) for name in named if name in found)
    return {"read": True, "unread": False}.get(does)
