"""The time range Live: it is the last hour and follows the clock, and the page is drawn again when records arrive.

A line under the tabs asks every few seconds for the state of the store, while the tab is visible and nobody types. Asking needs no query.
The page runs again only if rows have arrived or the window has moved on.
"""

from collections.abc import Hashable
from datetime import UTC, datetime

import streamlit as st

from observability.core import formatting
from observability.dashboard import load, time_zone
from observability.dashboard.components import page_component
from observability.dashboard.scope import Scope
from observability.dashboard.state_cache import model_stamp, notes_stamp, store_stamp

EVERY, EVERY_OF_ALL = 5, 15
"""Seconds between two requests for the state of the store: on a page about one model, and on a page about all models. A run of the latter
analyzes every model that received rows.
"""
DRAWN = "live-drawn"
"""The session key of the state of the data that the page shows."""


def draw_live_range(scope: Scope) -> None:
    """Draw the line of the time range Live, which refreshes the page; nothing for other time ranges."""
    if scope.span != "live":
        return
    st.session_state[DRAWN] = shown_state(scope)
    with st.container(key="live-range"):
        _live_line(scope)


@st.fragment
def _live_line(scope: Scope) -> None:
    """Draw the line. Each request of the browser reruns only this part; if the state has changed, the whole page is rerun."""
    if st.session_state.get(DRAWN) != shown_state(scope):
        st.rerun()
    every = EVERY if scope.model else EVERY_OF_ALL
    data = {"said": live_words(load.newest_live_record(scope), datetime.now(UTC), every), "every": every * 1000}
    html = '<div id="live"><span class="dot" aria-hidden="true"></span><span class="said"></span></div>'
    page_component("live", html)(key="live", data=data, on_tick_change=lambda: None)


def shown_state(scope: Scope) -> Hashable:
    """Return a key that changes with everything that a page in this scope depends on: the rows of its model (or of all models), entries of
    people, and the end of the window.
    """
    rows = (model_stamp(scope.model, computed=False), notes_stamp()) if scope.model else store_stamp(computed=False)
    return rows, load.page_clock()


def live_words(newest: datetime | None, now: datetime, every: int = EVERY) -> str:
    """A sentence with the seconds between two updates and the time of the newest record."""
    if newest is None:
        return f"Live, every {every} s. No record yet."
    sign = time_zone.zone_sign(newest)
    when = f"{time_zone.zoned(newest):%H:%M:%S} {sign}" if newest.date() == now.date() else time_zone.named_minute(newest)
    return f"Live, every {every} s. Newest record {when}, {formatting.time_ago(newest, now)}."
