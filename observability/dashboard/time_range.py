"""The time range of the page, which is stored in the address."""

from datetime import datetime

import streamlit as st

from observability.dashboard.scope import TIME_KEYS, Scope


def set_dates(start: datetime | None, end: datetime | None) -> None:
    """Choose dates as the time range."""
    set_time_range(Scope(span="dates", start=start, end=end))


def set_time_range(scope: Scope) -> None:
    """Write the time range of a scope to the address."""
    clear_dependent_boxes()
    for key in TIME_KEYS:
        st.query_params.pop(key, None)
    st.query_params.update(time_parameters(scope))


def time_parameters(scope: Scope) -> dict[str, str]:
    """The parameters of an address that hold the time range of a scope."""
    return {key: value for key, value in scope.parameters().items() if key in TIME_KEYS}


def clear_dependent_boxes(*dependent: str) -> None:
    """Called when a box has changed: clear the boxes that depend on it, and the warnings about the link."""
    for key in dependent:
        st.session_state[key] = None
    for key in ("unread", "assumed"):
        st.session_state.pop(key, None)
