"""The status line of a page in a read-only process: the time of the published state, and whether what the person saved has arrived."""

import time
from datetime import UTC, datetime
from urllib.parse import urlencode

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from observability.core.formatting import escape_markdown, plural
from observability.dashboard import time_zone
from observability.dashboard.links import DEFAULT_PAGE
from observability.dashboard.state_cache import owned_store
from observability.server.replica import Replica, current_replica

SAVED = "saved-at-owner"
"""Session key: the time, by the owner's clock, at which the owner last accepted something that was saved in this session."""
LATE = 4
"""A page warns if the shown state is older than this multiple of the interval between two published states."""

CLOCKS_APART = 5
"""Seconds by which the owner's clock may be ahead before a page says that the clocks differ."""


def draw_replica_line(page: str) -> None:
    """Draw the time of the data, with a link to the same page at the owner. Draws nothing if this process owns its store."""
    reads = current_replica()
    if reads is None:
        return
    as_of, now = shown_as_of(reads), datetime.now(UTC)
    late = max((now - as_of).total_seconds(), time.monotonic() - reads.newer_at) > LATE * reads.store.state.every
    words = f"{':material/warning: ' if late else ''}{lag_sentence(as_of, now)}"
    if reads.failure:
        words += f" The newest state cannot be shown: {escape_markdown(reads.failure)}"
    elif late:
        words += " The owner publishes nothing newer."
    st.caption(f"{words} [Open this page at the owner]({owner_page(reads.owner.address, page)})")
    saved: datetime | None = st.session_state.get(SAVED)
    if saved is not None and as_of <= saved:
        _wait_for_saved(saved)
    elif saved is not None:
        del st.session_state[SAVED]


def lag_sentence(as_of: datetime, now: datetime) -> str:
    """A sentence with the time of the data, and how far it is behind the clock."""
    seconds = round((now - as_of).total_seconds())
    size, unit = (1, "second") if abs(seconds) < 120 else (60, "minute") if abs(seconds) < 7200 else (3600, "hour")
    when = f"{time_zone.zoned(as_of):%H:%M} {time_zone.zone_sign(as_of)}" if as_of.date() == now.date() else time_zone.named_minute(as_of)
    if seconds < -CLOCKS_APART:
        ahead = plural(-seconds // size, unit)
        return f"Data as of {when} by the owner's clock, which is {ahead} ahead of this machine. The delay is unknown."
    return f"Data as of {when}, {plural(max(seconds, 0) // size, unit)} behind."


def shown_as_of(reads: Replica) -> datetime:
    """The time of the data that this run of the page shows."""
    return reads.as_of_state(owned_store())


def owner_page(address: str, page: str) -> str:
    """The address of a page at the owner, with the parameters of the present view."""
    query = urlencode([(key, value) for key in st.query_params for value in st.query_params.get_all(key)])
    return f"{address}/{'' if page == DEFAULT_PAGE else page}{f'?{query}' if query else ''}"


def is_done_at_owner(what: str, page: str) -> bool:
    """Whether this process only reads. If so, it draws a sentence that says that something is done at the owner, with a link to the page
    there. what: subject and verb of that sentence, such as "Weeks are frozen".
    """
    reads = current_replica()
    if reads is not None:
        st.caption(f"{what} at the owner of the store. [Open this page there]({owner_page(reads.owner.address, page)})")
    return reads is not None


def note_saved_at_owner(at: datetime) -> None:
    """Remember when the owner accepted a change, so that the page that this thread runs can tell the person about it."""
    if get_script_run_ctx(suppress_warning=True) is not None:
        st.session_state[SAVED] = at


@st.fragment(run_every="2s")
def _wait_for_saved(saved: datetime) -> None:
    """Show that something was saved at the owner, and rerun the page as soon as the saved change can be seen here."""
    reads = current_replica()
    if reads is not None and reads.as_of > saved:
        st.rerun()
    st.info("Saved at the owner. It shows here with the next state.", icon=":material/cloud_done:")
