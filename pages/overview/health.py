"""Fleet health :material/monitor_heart:
The fleet in thirty seconds: is each model up, are its inputs normal, is it right, what changed, and what needs a person? One row a model, those
that need a person first. It is read from counts that are kept as records arrive, never from raw rows, and refreshes itself every 30 seconds.
"""

from datetime import UTC, datetime

import streamlit as st

from observability.core import formatting
from observability.core.finding import needs_action
from observability.dashboard import frame, load, open_tasks
from observability.dashboard.overview import fleet, incidents
from observability.dashboard.table import table

scope = frame.begin("health")


@st.fragment(run_every="30s")
def overview() -> None:
    """Everything that refreshes itself."""
    with frame.loading(320):
        standings = fleet.neediest_first([fleet.standing(scope, each) for each in load.catalog().models])
    needy = [each for each in standings if needs_action(each.severity)]
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(
            f"**{formatting.plural(len(standings), 'model')}**, {formatting.plural(len(needy), 'needs', 'need')} a person. "
            f":gray[:small[As of {formatting.plain(formatting.minute(datetime.now(UTC)))} UTC; refreshes every 30 seconds.]]"
        )
        frame.still_looking([each.window for each in standings])
    table("fleet", "Models, those that need a person first", fleet.COLUMNS, [fleet.as_row(each, scope) for each in standings])
    others = load.record_incidents(scope)
    left, right = st.columns(2, gap="large")
    with left:
        st.header("What needs a person", anchor=False)
        open_tasks.listed(standings, others, scope)
    with right:
        st.header("What changed", anchor=False)
        rows = fleet.changes(standings, scope, acts=False)
        table("changes", "Events and what is new to watch", fleet.CHANGE_COLUMNS, rows[:12], compact=True) if rows else st.caption(
            "Nothing else changed in these windows."
        )
    more = fleet.more_to_watch(standings, others)
    if more:
        st.header("More to watch", anchor=False)
        incidents.listed("more", "Incidents to watch that are not new, worst first", more, scope, most=8, once=True)


overview()
