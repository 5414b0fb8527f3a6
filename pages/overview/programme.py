"""Programme :material/query_stats:
How the review programme goes, by calendar month (UTC), whatever dates are chosen: actions done by the date first agreed, alerts that were
useful, and the median time to detect, acknowledge and resolve. Times are those of the alerts opened in the month. An onset is known where
its incident is in a frozen week.
"""

import streamlit as st

from observability.dashboard import empty_states, frame, scope
from observability.dashboard.review import load_review, programme

about = scope.scope_from_state(st.session_state)
found = load_review.programme_values(about.model)
frame.begin_fleet_page("programme", anyway=bool(found))
if not found:
    empty_states.stop_with_empty_state(
        "No month to show yet.", "Agree an action with a due date in a review, or wait for the first alert.", "review", "Open the review"
    )
programme.programme_section(found)
