"""The message that a page shows instead of a part whose computation raised an error."""

import streamlit as st

from observability.core import formatting
from observability.core.errors import ObservabilityError
from observability.dashboard import empty_states
from observability.dashboard.figure_capture import note_for_collector


def draw_page_failure(error: Exception) -> bool:
    """Draw the error and advice; the traceback is in the log. Returns True, so that Streamlit does not draw the error itself."""
    if isinstance(error, ObservabilityError):
        empty_states.error_state(error)
        return True
    what = f"The computation failed ({type(error).__name__})."
    note_for_collector(what)
    st.error(f"{formatting.error_markdown(what)} {empty_states.FAILURE_ADVICE}", title="Cannot be shown", icon=":material/error:")
    return True
