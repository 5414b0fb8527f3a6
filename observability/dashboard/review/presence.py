"""The people who have a part of a review open now. This is kept only in the memory of the process that runs all sessions; nothing is
stored.
"""

import threading
import time
from dataclasses import dataclass

LASTS = 20.0
"""A session counts as gone this many seconds after its last sign of life."""


@dataclass(frozen=True)
class PresentSession:
    """A session: the person's name, the part that the person has open, and when the session was last seen (monotonic seconds)."""

    name: str
    part: str
    at: float


_SEEN: dict[str, dict[str, PresentSession]] = {}
_LOCK = threading.Lock()


def note_presence(review: str, session: str, name: str, part: str, now: float | None = None) -> None:
    """Remember that a session has a part of a review open (an item, an action item or a step). A session has one part open at a time."""
    now = time.monotonic() if now is None else now
    with _LOCK:
        held = _SEEN.setdefault(review, {})
        held[session] = PresentSession(name, part, now)
        for gone in [key for key, seen in held.items() if now - seen.at > LASTS]:
            del held[gone]


def people_elsewhere(review: str, session: str, now: float | None = None) -> dict[str, list[str]]:
    """The names of the people in other sessions, by the part that they have open. Each name appears once; names are sorted."""
    now = time.monotonic() if now is None else now
    found: dict[str, set[str]] = {}
    with _LOCK:
        for key, seen in _SEEN.get(review, {}).items():
            if key != session and now - seen.at <= LASTS:
                found.setdefault(seen.part, set()).add(seen.name)
    return {part: sorted(names, key=str.casefold) for part, names in found.items()}
