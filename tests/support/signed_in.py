"""Draws the pages of this process for a person who has signed in."""

import pytest

from observability.dashboard import person_name, sign_in
from observability.dashboard.operations import access as access_page
from observability.server.access import Person


def sign(monkeypatch: pytest.MonkeyPatch, person: Person) -> None:
    """Let every page be drawn for this person."""
    for module in (sign_in, person_name, access_page):
        monkeypatch.setattr(module, "current_person", lambda: person)
