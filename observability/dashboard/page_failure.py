"""What a page shows in place of a part whose computation raised an error."""

import streamlit as st

from observability.core import formatting
from observability.core.errors import ObservabilityError
from observability.dashboard import empty_states
from observability.dashboard.figure_capture import note_for_collector

NEXT = "Other pages and models are not affected. Try again, or choose another time range; the log of the dashboard has the details."


def draw_page_failure(error: Exception) -> bool:
    """Draw what happened and what to do; the log has the traceback. True: Streamlit draws nothing of its own."""
    if isinstance(error, ObservabilityError):
        empty_states.error_state(error)
        return True
    what = f"The computation failed ({type(error).__name__})."
    note_for_collector(what)
    st.error(f"{formatting.escape_markdown(what)} {NEXT}", title="Cannot be shown", icon=":material/error:")
    return True
