"""The message that a page shows instead of a part whose computation raised an error."""

import streamlit as st

from observability.core import formatting
from observability.core.errors import ObservabilityError
from observability.dashboard import empty_states
from observability.dashboard.figure_capture import note_for_collector

PART_ADVICE = "Other parts are not affected. Try again; the log of the dashboard says more."
"""Advice for a part of a page whose dates cannot be chosen."""


def draw_page_failure(error: Exception) -> bool:
    """Draw the error and advice; the traceback is in the log. Returns True, so that Streamlit does not draw the error itself."""
    _draw_failure(error, "Cannot be shown", empty_states.FAILURE_ADVICE)
    return True


def draw_part_failure(error: Exception, part: str) -> None:
    """Draw the error of a part of a page, with the title of the part."""
    _draw_failure(error, f"Cannot be shown: {part}", PART_ADVICE)


def _draw_failure(error: Exception, title: str, advice: str) -> None:
    if isinstance(error, ObservabilityError):
        empty_states.error_state(error, title)
        return
    what = f"The computation failed ({type(error).__name__})."
    note_for_collector(what)
    st.error(f"{formatting.error_markdown(what)} {advice}", title=formatting.escape_markdown(title), icon=":material/error:")
