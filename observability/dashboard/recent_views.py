"""The pages that a person viewed in this session, each with its scope, newest first."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

HELD = "recent-views"
MAX_RECENT_VIEWS = 8
"""Maximum number of recent views that are remembered."""
TOLD_APART = ("model", "id", "run", "study", "dashboard", "project", "dataset", "incident", "review")
"""Parameters that distinguish views of one page. Of two views that differ only in other parameters, only the later is kept."""


def note_view(view: dict[str, Any]) -> None:
    """Remember a view (a target of `links.follow_link`) as the newest one, and drop an earlier view of the same thing."""
    others = [other for other in recent_views() if place_of_view(other) != place_of_view(view)]
    st.session_state[HELD] = [view, *others][: MAX_RECENT_VIEWS + 1]


def recent_views() -> list[dict[str, Any]]:
    """The remembered views as targets of links, newest first. The first is the view that is shown now."""
    views: list[dict[str, Any]] = st.session_state.get(HELD, [])
    return views


def place_of_view(view: Mapping[str, Any]) -> tuple[str, ...]:
    """The identity of a view: its page, and the thing that it is about."""
    return (str(view["page"]), *(str(view["parameters"].get(key) or "") for key in TOLD_APART))
